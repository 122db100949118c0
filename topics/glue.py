"""Avro values for the AWS Glue Schema Registry, through the package aws-glue-schema-registry (extra ``glue``).

Wire format: version byte 3, compression byte (0, none), the sixteen bytes of the schema version's UUID, the record in Avro
binary. https://github.com/awslabs/aws-glue-schema-registry is where that layout comes from.
"""

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fastavro
import structlog
from dataclasses_avroschema.pydantic import AvroBaseModel
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential

from models.errors import TwinError
from models.events import EventRecord, TwinEvent
from topics import envelope
from topics.compatibility import Level, breaks
from topics.confluent import subject_name
from topics.registry import REGISTRY_PATIENCE_S, REGISTRY_WAIT_S_MAX, REGISTRY_WAIT_S_MIN, VERSIONS_COMPARED_MAX
from topics.serdes import plain

if TYPE_CHECKING:
    from aws_schema_registry import SchemaRegistryClient

log = structlog.get_logger(__name__)

VERSION_AND_NO_COMPRESSION = b"\x03\x00"

GLUE_LEVELS: dict[Level, str] = {
    "NONE": "NONE",
    "BACKWARD": "BACKWARD",
    "BACKWARD_TRANSITIVE": "BACKWARD_ALL",
    "FORWARD": "FORWARD",
    "FORWARD_TRANSITIVE": "FORWARD_ALL",
    "FULL": "FULL",
    "FULL_TRANSITIVE": "FULL_ALL",
}
"""Glue's names of the compatibility levels."""

TRANSIENT_CODES = frozenset(
    {"ThrottlingException", "InternalServiceException", "OperationTimeoutException", "ServiceUnavailable"}
)


class _Unavailable(Exception):
    """Glue did not answer, or asks to come back later."""


class GlueAvro:
    """Avro for one record class on one topic, registered with Glue.

    ``client`` is aws_schema_registry's SchemaRegistryClient around a boto3 Glue client. The schema's name is
    ``<topic>-<record name>`` unless ``schema_name`` gives another.
    """

    content_type = "application/vnd.aws.glue.avro"

    def __init__(
        self,
        model: type[AvroBaseModel],
        client: "SchemaRegistryClient",
        *,
        topic: str,
        schema_name: str | None = None,
        level: Level = "FULL_TRANSITIVE",
        patience_s: float = REGISTRY_PATIENCE_S,
    ) -> None:
        self.model = model
        self.schema: dict[str, Any] = model.avro_schema_to_python()
        self.schema_name = schema_name or subject_name(topic, model)
        self.level: Level = level
        self.version_id: UUID | None = None
        self.waiting: str | None = None
        self._client = client
        self._patience_s = patience_s
        self._parsed = fastavro.parse_schema(self.schema)
        self._header = b""

    def __repr__(self) -> str:
        return f"GlueAvro({self.model.__name__}, schema={self.schema_name!r}, version={self.version_id})"

    async def prepare(self) -> None:
        """Register the schema, in a thread, since boto3 blocks. Waits while Glue is down.

        Raises TwinError: ``incompatible-schema`` naming what would break; ``registry-refused``; ``registry-unreachable``
        after the patience is over.
        """
        if self.version_id is not None:
            return
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Unavailable),
            stop=stop_after_delay(self._patience_s),
            wait=wait_exponential(multiplier=REGISTRY_WAIT_S_MIN, max=REGISTRY_WAIT_S_MAX),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            version_id: UUID = await retrying(asyncio.to_thread, self._register)
        except _Unavailable as error:
            raise TwinError(
                "registry-unreachable",
                f"Glue did not answer within {self._patience_s:.0f} s: {error}",
                place=self._place,
                remedy="check the network, the region and the endpoint",
            ) from error
        finally:
            self.waiting = None
        self.version_id = version_id
        self._header = VERSION_AND_NO_COMPRESSION + version_id.bytes
        log.info("schema registered", schema=self.schema_name, version=str(version_id), registry=self._place)

    def encode(self, record: Any) -> bytes:
        """The record in Glue's wire format.

        Raises TwinError: ``serializer-not-prepared``; ``unencodable-record`` when it does not fit the class.
        """
        if not self._header:
            raise TwinError(
                "serializer-not-prepared", f"{self!r} has no schema version yet", remedy="await prepare() before encoding"
            )
        if self.model is TwinEvent and isinstance(record, EventRecord):
            return envelope.encode_avro(record, self._header)
        out = io.BytesIO()
        out.write(self._header)
        try:
            fastavro.schemaless_writer(out, self._parsed, plain(record), strict_allow_default=True)
        except Exception as error:  # fastavro raises many kinds for a record that does not fit
            raise TwinError(
                "unencodable-record",
                f"the record does not fit {self.model.__name__}: {error}",
                place=f"schema {self.schema_name}",
                remedy="give every field of the class with a value of its type",
            ) from error
        return out.getvalue()

    @property
    def _place(self) -> str:
        return f"schema {self.schema_name} in the Glue registry {self._client.registry_name}"

    def _register(self) -> UUID:
        definition = json.dumps(self.schema)
        try:
            reasons = breaks(self.schema, self._older(definition), self.level)
            if reasons:
                raise TwinError(
                    "incompatible-schema",
                    f"the schema may not follow the registered ones ({self.level}): {'; '.join(reasons)}",
                    place=self._place,
                    remedy="undo the change, or add fields with a default only; a break needs a new schema name",
                )
            version = self._client.get_or_register_schema_version(definition, self.schema_name, "AVRO", GLUE_LEVELS[self.level])
        except TwinError:
            raise
        except Exception as error:  # the package and boto3 have no common root; what counts is the first cause
            raise self._translated(error) from error
        return version.version_id

    def _older(self, definition: str) -> list[dict[str, Any]]:
        """The registered versions, oldest first; none when this very definition is among them."""
        glue = self._client.glue_client
        name = {"SchemaName": self.schema_name, "RegistryName": self._client.registry_name}
        try:
            latest = glue.get_schema(SchemaId=name)["LatestSchemaVersion"]
        except glue.exceptions.EntityNotFoundException:
            return []
        older = []
        for number in range(max(1, latest - VERSIONS_COMPARED_MAX + 1), latest + 1):
            try:
                found = glue.get_schema_version(SchemaId=name, SchemaVersionNumber={"VersionNumber": number})
            except glue.exceptions.EntityNotFoundException:
                continue  # this version was deleted
            registered = json.loads(found["SchemaDefinition"])
            if registered == json.loads(definition):
                return []
            older.append(registered)
        return older

    def _translated(self, error: BaseException) -> Exception:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        causes: list[BaseException] = [error]
        while causes[-1].__cause__ is not None and len(causes) < 10:
            causes.append(causes[-1].__cause__)
        first = causes[-1]
        for cause in causes:
            if isinstance(cause, HTTPClientError | ConnectionError):
                return _Unavailable(f"{type(cause).__name__} {cause}")
            if isinstance(cause, ClientError):
                answer = cause.response
                status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if answer.get("Error", {}).get("Code") in TRANSIENT_CODES or status >= 500:
                    return _Unavailable(str(cause))
            if isinstance(cause, ClientError | BotoCoreError):
                first = cause
        if "FAILURE status" in str(error) or "FAILURE status" in str(first):
            return TwinError("incompatible-schema", str(first), place=self._place, remedy="undo the change of the record class")
        return TwinError(
            "registry-refused",
            f"{type(first).__name__}: {first}",
            place=self._place,
            remedy="check the credentials, the region and the rights",
        )

    def _tell(self, attempt: RetryCallState) -> None:
        why = attempt.outcome.exception() if attempt.outcome else None
        pause_s = attempt.next_action.sleep if attempt.next_action else 0.0
        self.waiting = f"waiting for {self._place} ({why})"
        log.warning("Glue not reachable, waiting", registry=self._place, why=str(why), next_try_in_s=round(pause_s, 1))
