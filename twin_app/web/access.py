"""Who may call: a token where one is set; without one, only this machine under its own names.

The check of the `Host` header keeps a page of somebody else's, whose name was made to point at 127.0.0.1, from reading and
commanding the twins through a person's browser.
"""

from __future__ import annotations

import hmac
import ipaddress

from aiohttp import web

from models.errors import TwinError
from twin_app.settings import Settings
from twin_app.web.problems import Handler

OPEN_PREFIXES = ("/api/",)
"""What needs the token. The page itself, health, readiness and metrics hold nothing of a twin's inside."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guard(settings: Settings) -> web.middleware:  # type: ignore[valid-type]
    """The middleware that lets a request through, or raises TwinError."""
    token = None if settings.web_token is None else settings.web_token.get_secret_value().encode()
    local = is_loopback(settings.web_host)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(OPEN_PREFIXES):
            if token is not None:
                _check_token(request, token)
            elif not local:
                raise TwinError(
                    "token-not-set",
                    "this worker listens beyond its machine, and has no token",
                    place="TWIN_WEB_TOKEN",
                    remedy="set TWIN_WEB_TOKEN to the same secret for every worker",
                )
            elif _host_name(request) not in LOCAL_NAMES:
                raise TwinError(
                    "foreign-host",
                    "without a token the API answers only under the names of this machine",
                    place="header Host",
                    remedy="call it by 127.0.0.1 or localhost, or set TWIN_WEB_TOKEN",
                )
        return await handler(request)

    return check


def _check_token(request: web.Request, token: bytes) -> None:
    given = request.headers.get("Authorization", "")
    scheme, _, value = given.partition(" ")
    # Compared as bytes and in a time that does not depend on where they differ.
    if scheme.lower() != "bearer" or not hmac.compare_digest(value.strip().encode("utf-8", "surrogateescape"), token):
        raise TwinError(
            "token-needed",
            "the token is missing or wrong",
            place="header Authorization",
            remedy="send `Authorization: Bearer` and the token (TWIN_WEB_TOKEN)",
        )


def _host_name(request: web.Request) -> str:
    host = request.headers.get("Host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


@web.middleware
async def careful_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Nothing is guessed, framed or fetched from elsewhere."""
    response = await handler(request)
    if not response.prepared:
        add_careful_headers(response)
    return response


def add_careful_headers(response: web.StreamResponse) -> None:
    """For a stream they are to be set before it is prepared."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
