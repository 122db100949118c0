"""`twin config`: each setting, its value and where that comes from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretBytes, SecretStr

from twin_app.cli import output
from twin_app.cli.options import OPTION_OF, AppId, Bootstrap, DataDir, Json, Registry, given
from twin_app.settings import PREFIX, Settings, load_settings

MASK = "********"
_SECRET_NAME = re.compile(r"(password|secret|token|passphrase|credential|api_key|sasl_jaas)", re.IGNORECASE)


def config(
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show every setting, its value and where it comes from. Secrets are masked; an unknown TWIN_ variable is an error."""
    chosen = given({"bootstrap_servers": bootstrap, "registry_url": registry, "app_id": app_id, "data_dir": data_dir})
    rows = [_row(name, chosen, load_settings(**chosen)) for name in Settings.model_fields]
    if as_json:
        for row in rows:
            output.put_json(row)
    else:
        output.table(rows, ("name", "value", "from", "meaning"))


def _row(name: str, chosen: dict[str, Any], settings: Settings) -> dict[str, Any]:
    variable = PREFIX + name.upper()
    if name in chosen:
        origin = f"option {OPTION_OF[name]}"
    elif variable in os.environ:
        origin = "environment"
    else:
        origin = "default"
    return {
        "name": variable,
        "value": masked(name, getattr(settings, name)),
        "from": origin,
        "meaning": Settings.model_fields[name].description or "",
    }


def masked(name: str, value: Any) -> Any:
    """The value as it may be shown: secrets masked, passwords in URLs too. None stays None: a missing secret is seen."""
    if value is None:
        return None
    if isinstance(value, SecretStr | SecretBytes):
        return MASK if value.get_secret_value() else ""
    if _SECRET_NAME.search(name):
        return MASK if value != "" else ""
    if isinstance(value, Path):
        return str(value)
    return _without_password(value) if isinstance(value, str) and "://" in value else value


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
    except ValueError:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{MASK}@{host}"))
