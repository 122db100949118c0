"""Tokens for OAUTHBEARER: from a token server by the client's credentials (RFC 6749, 4.4), or from a file kept fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import structlog
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from twin_app.security.settings import SecuritySettings, secret_in
from twin_app.security.tls import tls_context

REFRESH_AT = 0.8
"""A token is replaced after this part of its life."""
LIFE_S_DEFAULT = 60.0
"""Assumed when the token server does not say how long its token lives."""
REQUEST_TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 1 << 20

log = structlog.get_logger(__name__)


class FileTokens(AbstractTokenProvider):
    """The token in a file, read for each connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Raises KafkaConnectionError when there is none: the client then tries again."""
        try:
            found = (await asyncio.to_thread(secret_in, str(self._path))).strip()
        except ValueError as error:
            raise KafkaConnectionError(f"no token: {error}") from error
        if not found:
            raise KafkaConnectionError(f"no token: {self._path} is empty")
        return found


class ClientCredentialsTokens(AbstractTokenProvider):
    """Tokens of a token server, each used for most of its life.

    Clients in several threads (Faust fetches in one of its own) may share it: at worst two ask at the same moment.
    """

    def __init__(self, settings: SecuritySettings, clock: Callable[[], float] = time.monotonic) -> None:
        assert settings.oauth_token_url is not None
        assert settings.oauth_client_id is not None
        assert settings.oauth_client_secret is not None
        self._url = settings.oauth_token_url
        self._auth = httpx.BasicAuth(settings.oauth_client_id, settings.oauth_client_secret.get_secret_value())
        self._form = {"grant_type": "client_credentials"} | ({"scope": settings.oauth_scope} if settings.oauth_scope else {})
        self._verify = tls_context(settings.oauth_ca_file)
        self._clock = clock
        self._kept: tuple[str, float] | None = None

    async def token(self) -> str:
        """Raises KafkaConnectionError when the server gives none: the client then tries again."""
        kept = self._kept
        if kept is not None and self._clock() < kept[1]:
            return kept[0]
        asked = self._clock()
        try:
            async with httpx.AsyncClient(verify=self._verify, timeout=REQUEST_TIMEOUT_S) as http:
                answer = await http.post(self._url, data=self._form, auth=self._auth)
            if not answer.is_success or len(answer.content) > ANSWER_BYTES_MAX:
                raise KafkaConnectionError(f"no token: the token server answered with status {answer.status_code}")
            fields = answer.json()
            found, life_s = str(fields["access_token"]), float(fields.get("expires_in", LIFE_S_DEFAULT))
        except httpx.HTTPError as error:
            raise KafkaConnectionError(f"no token: the token server did not answer ({type(error).__name__})") from error
        except (ValueError, KeyError, TypeError) as error:
            # The answer itself is not told: it may hold a token.
            raise KafkaConnectionError("no token: what answered is no token server") from error
        self._kept = (found, asked + life_s * REFRESH_AT)
        log.debug("token-fetched", lives_s=life_s)
        return found


def tokens(settings: SecuritySettings) -> AbstractTokenProvider:
    """The provider that the settings ask for."""
    if settings.oauth_token_file is not None:
        return FileTokens(settings.oauth_token_file)
    return ClientCredentialsTokens(settings)
