"""The schema registry as the settings say it is to be reached."""

from __future__ import annotations

from typing import Any

import httpx

from topics.registry import REGISTRY_PATIENCE_S, SchemaRegistry
from twin_app.security.tls import tls_context
from twin_app.settings import Settings


def registry_of(settings: Settings, *, patience_s: float = REGISTRY_PATIENCE_S) -> SchemaRegistry:
    """The registry's client, with its TLS context and credentials. Raises TwinError `bad-certificate`, `bad-registry-address`."""
    arguments: dict[str, Any] = {}
    if settings.registry_username is not None:
        assert settings.registry_password is not None
        arguments["auth"] = httpx.BasicAuth(settings.registry_username, settings.registry_password.get_secret_value())
    elif settings.registry_token is not None:
        arguments["auth"] = BearerAuth(settings.registry_token.get_secret_value())
    context = None
    if settings.registry_ca_file is not None or settings.registry_cert_file is not None:
        context = tls_context(
            settings.registry_ca_file,
            settings.registry_cert_file,
            settings.registry_key_file,
            settings.registry_key_password,
        )
    return SchemaRegistry(settings.registry_url, patience_s=patience_s, client_settings=arguments, tls=context)


class BearerAuth(httpx.Auth):
    """A token in the header of every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Any:
        """httpx asks for the request to send."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
