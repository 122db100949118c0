"""What may be shown of a setting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretBytes, SecretStr

MASK = "********"
_SECRET_NAME = re.compile(r"(password|secret|token$|passphrase|credential|api_key|sasl_jaas)", re.IGNORECASE)


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
    return without_password(value) if isinstance(value, str) and "://" in value else value


def without_password(url: str) -> str:
    """An address with the password in it masked."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
    except ValueError:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{MASK}@{host}"))
