"""The schema registry: registering our schemas, and fetching those of others. Waits for it while it is down.

Speaks the Confluent REST interface through python-schema-registry-client, which Confluent, Karapace, Apicurio (its ccompat
address) and the embedded registry understand. Nothing here is called while a record is encoded or decoded.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import structlog
from schema_registry.client import AsyncSchemaRegistryClient
from schema_registry.client.errors import ClientError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential

from models.errors import TwinError
from topics.compatibility import Level, breaks

log = structlog.get_logger(__name__)

REGISTRY_PATIENCE_S = 600.0
"""How long to wait for a registry that is down before giving up (the worker then ends, and is started again)."""

REGISTRY_WAIT_S_MAX = 15.0
"""Longest pause between two attempts."""

REGISTRY_WAIT_S_MIN = 0.25
"""First pause between two attempts; each further one is twice as long."""

REQUEST_TIMEOUT_S = 10.0

VERSIONS_COMPARED_MAX = 100
"""How many of a subject's latest versions a new schema is compared with."""

T = TypeVar("T")


class _Unavailable(Exception):
    """The registry did not answer, or not as a registry: try again."""


class SchemaRegistry:
    """One registry, at ``url``.

    ``waiting`` is None, or says in one line what is being waited for, for a status display. ``client_settings`` go to
    AsyncSchemaRegistryClient (``auth``, ``extra_headers``, ...); ``tls`` says whom to trust and what certificate to show.
    """

    def __init__(
        self,
        url: str,
        *,
        patience_s: float = REGISTRY_PATIENCE_S,
        client_settings: Mapping[str, Any] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TwinError(
                "bad-registry-address", "the address of the schema registry is no http or https address", remedy="correct it"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        # What is shown must not hold the user and password that the address may carry.
        self.address = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self.patience_s = patience_s
        self.waiting: str | None = None
        settings = {"timeout": httpx.Timeout(REQUEST_TIMEOUT_S), **(client_settings or {})}
        self._client = AsyncSchemaRegistryClient(url, **settings)
        # The client opens a connection pool for each request; without this each would also read all CA certificates, which
        # holds up the event loop for some 40 ms.
        self._client.client_kwargs["verify"] = tls or httpx.create_ssl_context()

    def __repr__(self) -> str:
        return f"SchemaRegistry({self.address!r}, waiting={self.waiting!r})"

    async def register(self, subject: str, schema: Mapping[str, Any], level: Level) -> int:
        """The id of ``schema`` under ``subject``, registered if it was not, with the compatibility level set.

        Raises TwinError: ``incompatible-schema`` naming what would break; ``registry-refused``; ``registry-unreachable``
        after the patience is over.
        """
        plain = dict(schema)
        known = await self._patiently(lambda: self._client.check_version(subject, plain), subject)
        if known is None:
            await self.check(subject, schema, level)
            schema_id = await self._register_new(subject, plain)
            log.info("schema registered", subject=subject, schema_id=schema_id, registry=self.address)
        else:
            schema_id = known.schema_id
        await self._set_level(subject, level)
        return int(schema_id)

    async def _register_new(self, subject: str, schema: dict[str, Any]) -> int:
        """Register it. Of workers that do so at once, Apicurio answers some as it would if the schema were incompatible."""
        try:
            return int(await self._patiently(lambda: self._client.register(subject, schema), subject))
        except TwinError as error:
            schema_id = await self.known(subject, schema) if error.code == "incompatible-schema" else None
            if schema_id is None:
                raise
            return schema_id

    async def known(self, subject: str, schema: Mapping[str, Any]) -> int | None:
        """The id under which ``schema`` is registered for ``subject``; None if it is not. Raises as `register` does."""
        found = await self._patiently(lambda: self._client.check_version(subject, dict(schema)), subject)
        return None if found is None else int(found.schema_id)

    async def check(self, subject: str, schema: Mapping[str, Any], level: Level) -> None:
        """Raise TwinError ``incompatible-schema`` if ``schema`` may not follow the registered versions under ``level``."""
        versions = await self._patiently(lambda: self._client.get_versions(subject), subject)
        older = []
        for version in sorted(versions)[-VERSIONS_COMPARED_MAX:]:
            found = await self._patiently(partial(self._client.get_schema, subject, version), subject)
            if found is not None:
                older.append(found.schema.raw_schema)
        reasons = breaks(schema, older, level)
        if reasons:
            raise TwinError(
                "incompatible-schema",
                f"the schema may not follow the registered ones ({level}): {'; '.join(reasons)}",
                place=f"subject {subject} at {self.address}",
                remedy="undo the change, or add fields with a default only; a break needs a new subject (topic or record name)",
            )

    async def fetch(self, schema_id: int) -> str | None:
        """The text of the Avro schema with this id, None when the registry has no Avro schema of that id.

        Raises TwinError ``registry-unreachable`` after the patience is over, ``registry-refused``.
        """

        async def ask() -> str | None:
            url, method = self._client.url_manager.url_for("get_by_id", schema_id=schema_id)
            response = await self._client.request(url, method=method)
            if response.status_code == httpx.codes.NOT_FOUND:
                # A proxy's own "not found" page must not be taken for the registry's.
                if "error_code" not in response.json():
                    raise _Unavailable("an answer that is not a registry's")
                return None
            if not response.is_success:
                raise ClientError("cannot fetch the schema", http_code=response.status_code, server_traceback=response.text[:200])
            answer = response.json()
            if answer.get("schemaType", "AVRO") != "AVRO" or answer.get("references"):
                return None
            return str(answer["schema"])

        return await self._patiently(ask, f"schema id {schema_id}")

    async def subjects(self) -> tuple[list[str], Mapping[str, str]]:
        """All subjects, and the headers of the answer. Raises TwinError ``registry-unreachable``, ``registry-refused``."""

        async def ask() -> tuple[list[str], Mapping[str, str]]:
            url, method = self._client.url_manager.url_for("get_subjects")
            response = await self._client.request(url, method=method)
            if not response.is_success:
                raise ClientError(
                    "cannot list the subjects", http_code=response.status_code, server_traceback=response.text[:200]
                )
            return [str(name) for name in response.json()], response.headers

        return await self._patiently(ask, "subjects")

    async def _set_level(self, subject: str, level: Level) -> None:
        async def change() -> None:
            try:
                if await self._client.get_compatibility(subject) == level:
                    return
            except ClientError as error:
                if error.http_code != httpx.codes.NOT_FOUND:  # not found: the subject has no level of its own yet
                    raise
            try:
                await self._client.update_compatibility(level, subject)
            except ClientError as error:
                if error.http_code == httpx.codes.CONFLICT:
                    raise _Unavailable("another worker sets the level at this moment") from error
                raise

        try:
            await self._patiently(change, subject)
        except TwinError as error:
            if error.code != "registry-refused":
                raise
            # Often only administrators may: the check of register() stands all the same.
            log.warning("compatibility level not set", subject=subject, level=level, registry=self.address, why=error.message)

    async def _patiently(self, ask: Callable[[], Awaitable[T]], about: str) -> T:
        """Ask, again and again while the registry is down; translate every failure."""

        async def once() -> T:
            try:
                return await ask()
            except ClientError as error:
                status = error.http_code or 0
                if status >= 500 or status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT):
                    raise _Unavailable(f"status {status}") from error
                raise self._refused(error, about) from error
            except httpx.TransportError as error:
                raise _Unavailable(f"{type(error).__name__} {error}".strip()) from error
            except (ValueError, KeyError, TypeError, AttributeError, httpx.HTTPError) as error:
                # No JSON, or not of the known shape: something else answers at this address, a starting proxy perhaps.
                raise _Unavailable(f"an answer that is not a registry's ({type(error).__name__})") from error

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Unavailable),
            stop=stop_after_delay(self.patience_s),
            wait=wait_exponential(multiplier=REGISTRY_WAIT_S_MIN, max=REGISTRY_WAIT_S_MAX),
            before_sleep=self._tell(about),
            reraise=True,
        )
        try:
            return await retrying(once)
        except _Unavailable as error:
            raise TwinError(
                "registry-unreachable",
                f"the schema registry did not answer within {self.patience_s:.0f} s: {error}",
                place=self.address,
                remedy="start the registry, or correct its address",
            ) from error
        finally:
            self.waiting = None

    def _tell(self, about: str) -> Callable[[RetryCallState], None]:
        def tell(attempt: RetryCallState) -> None:
            pause_s = attempt.next_action.sleep if attempt.next_action else 0.0
            why = attempt.outcome.exception() if attempt.outcome else None
            self.waiting = f"waiting for the schema registry at {self.address} ({why})"
            log.warning(
                "schema registry not reachable, waiting",
                registry=self.address,
                about=about,
                why=str(why),
                attempt=attempt.attempt_number,
                next_try_in_s=round(pause_s, 1),
            )

        return tell

    def _refused(self, error: ClientError, about: str) -> TwinError:
        answer = error.server_traceback
        detail = answer.get("message", "") if isinstance(answer, Mapping) else str(answer or "")
        message = f"{error.message} (status {error.http_code}){': ' + str(detail)[:300] if detail else ''}"
        place = f"{about} at {self.address}"
        if error.http_code == httpx.codes.CONFLICT:
            remedy = "undo the change of the record class, or add fields with a default only"
            return TwinError("incompatible-schema", message, place=place, remedy=remedy)
        return TwinError("registry-refused", message, place=place, remedy="check the user's rights and the registry's log")
