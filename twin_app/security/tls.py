"""TLS contexts from PEM files."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

from pydantic import SecretStr

from models.errors import TwinError


def tls_context(
    ca_file: Path | None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    key_password: SecretStr | None = None,
    *,
    check_hostname: bool = True,
) -> ssl.SSLContext:
    """A context that verifies the other side, and shows our certificate if there is one. Raises TwinError `bad-certificate`.

    Contexts are shared by all clients of the process as long as the files stay as they are: to read the system's authorities
    takes some 40 ms, in which the event loop would stand still.
    """
    files = tuple(None if path is None else (str(path), _changed_ns(path)) for path in (ca_file, cert_file, key_file))
    return _context(files, key_password, check_hostname)


@lru_cache(maxsize=16)
def _context(files: tuple[tuple[str, int] | None, ...], key_password: SecretStr | None, check_hostname: bool) -> ssl.SSLContext:
    ca, cert, key = (None if file is None else file[0] for file in files)
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise _bad(ca, error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = check_hostname
    if cert is not None:
        # Without a password OpenSSL would ask for one on the terminal.
        password = "" if key_password is None else key_password.get_secret_value()
        try:
            context.load_cert_chain(cert, key, password)
        except (ssl.SSLError, OSError) as error:
            raise _bad(cert if key is None else f"{cert}, {key}", error) from error
    return context


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise _bad(str(path), error) from error


def _bad(place: str | None, error: Exception) -> TwinError:
    return TwinError(
        "bad-certificate",
        f"the certificate or key cannot be used: {error}",
        place=place,
        remedy="give PEM files that this user can read, the key of that certificate, and the key's password if it has one",
    )
