"""`twin config`: each setting, its value and where that comes from."""

from __future__ import annotations

import os
from typing import Any

from twin_app.cli import output
from twin_app.cli.options import OPTION_OF, AppId, Bootstrap, DataDir, Json, Registry, given, load_named
from twin_app.security.masking import masked
from twin_app.settings import FILE, PREFIX, Settings


def config(
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show every setting, its value and where it comes from. Secrets are masked; an unknown TWIN_ variable is an error."""
    chosen = given({"bootstrap_servers": bootstrap, "registry_url": registry, "app_id": app_id, "data_dir": data_dir})
    settings = load_named(chosen)
    rows = [_row(name, chosen, settings) for name in Settings.model_fields]
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
    elif variable + FILE in os.environ:
        origin = f"file {os.environ[variable + FILE]}"
    else:
        origin = "default"
    return {
        "name": variable,
        "value": masked(name, getattr(settings, name)),
        "from": origin,
        "meaning": Settings.model_fields[name].description or "",
    }
