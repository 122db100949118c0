"""Dead letters: commands that were refused, with their place, what was sent, and why.

A record of any bytes must fit, so key and value are texts: as they are where they are UTF-8, in base64 otherwise. Of a value
longer than VALUE_BYTES_KEPT only the beginning is kept; its place (topic, partition, offset) tells where the whole is.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Literal

from dataclasses_avroschema.pydantic import AvroBaseModel
from dataclasses_avroschema.types import Int32
from pydantic import Field

from models.errors import Rejected, TwinError

VALUE_BYTES_KEPT = 1_048_576
KEY_BYTES_KEPT = 1_024
TEXT_CHARS_MAX = 4_000

REPLAYED = "replayed"
"""The code of a record that refuses nothing: it marks the dead letter at `replayed_offset` as sent again."""
PATH_CHARS_MAX = 512

Encoding = Literal["utf-8", "base64"]


class DeadLetter(AvroBaseModel):
    """One refused command."""

    topic: str = Field(description="Topic of the refused record")
    partition: Int32 = Field(description="Partition of the refused record")
    offset: int = Field(description="Offset of the refused record")
    timestamp_ms: int = Field(description="Timestamp of the refused record, in milliseconds since 1970, UTC")
    code: str = Field(description="Stable name of the kind of refusal, for example unknown-path")
    reason: str = Field(description="What is wrong, in words")
    remedy: str | None = Field(default=None, description="What the sender can do")
    path: str | None = Field(default=None, description="The path that the command was about, if it got that far")
    twin: str | None = Field(default=None, description="The twin that the command was for, if it got that far")
    sim_time: float | None = Field(default=None, description="Simulation time of the refusal, for a scheduled command")
    key: str | None = Field(default=None, description="Key of the refused record, in key_encoding")
    key_encoding: str = Field(default="utf-8", description="utf-8 or base64")
    value: str | None = Field(default=None, description="Value of the refused record, in value_encoding; null for a tombstone")
    value_encoding: str = Field(default="utf-8", description="utf-8 or base64")
    value_bytes: int = Field(default=0, description="Length of the whole value; only its first 1,048,576 bytes are kept")

    replayed_offset: int | None = Field(
        default=None, description="Of the code `replayed`: offset, in this partition, of the dead letter that was sent again"
    )
    replayed_as: str | None = Field(default=None, description="Of the code `replayed`: where the command is now")

    class Meta:
        namespace = "twin.deadletters"

    @classmethod
    def of(
        cls,
        rejected: Rejected,
        *,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        twin: str | None = None,
        sim_time: float | None = None,
    ) -> DeadLetter:
        """The dead letter for the record that `rejected` is about. Never fails, whatever the bytes."""
        key_text, key_encoding = _text(key, KEY_BYTES_KEPT)
        value_text, value_encoding = _text(value, VALUE_BYTES_KEPT)
        return cls(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp_ms=timestamp_ms,
            code=rejected.code,
            reason=_sound(rejected.message, TEXT_CHARS_MAX),
            remedy=_sound(rejected.remedy, TEXT_CHARS_MAX) if rejected.remedy is not None else None,
            path=_sound(rejected.path, PATH_CHARS_MAX) if rejected.path is not None else None,
            twin=_sound(twin, KEY_BYTES_KEPT) if twin is not None else None,
            sim_time=sim_time,
            key=key_text,
            key_encoding=key_encoding,
            value=value_text,
            value_encoding=value_encoding,
            value_bytes=len(value) if value is not None else 0,
        )

    def mark(self, offset: int, place: str) -> DeadLetter:
        """The record that marks this letter, which is at `offset` in its partition, as sent again to `place`."""
        return DeadLetter(
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            timestamp_ms=self.timestamp_ms,
            code=REPLAYED,
            reason=f"sent again as {place}",
            path=self.path,
            twin=self.twin,
            key=self.key,
            key_encoding=self.key_encoding,
            replayed_offset=offset,
            replayed_as=place,
        )

    @property
    def is_whole(self) -> bool:
        """Whether the whole value is here."""
        return self.value_bytes <= VALUE_BYTES_KEPT

    def raw_key(self) -> bytes | None:
        """The key's bytes (its first 1,024)."""
        return _bytes(self.key, self.key_encoding)

    def raw_value(self) -> bytes | None:
        """The value's bytes, for sending it again. Raises TwinError (`truncated`) if only its beginning was kept."""
        if not self.is_whole:
            raise TwinError(
                "truncated",
                f"the dead letter holds {VALUE_BYTES_KEPT:,} of {self.value_bytes:,} bytes",
                place=f"{self.topic}-{self.partition}-{self.offset}",
                remedy="read the record at its place",
            )
        return _bytes(self.value, self.value_encoding)


def _text(raw: bytes | None, kept: int) -> tuple[str | None, Encoding]:
    if raw is None:
        return None, "utf-8"
    raw = bytes(raw[:kept])
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        return b64encode(raw).decode(), "base64"


def _bytes(text: str | None, encoding: str) -> bytes | None:
    if text is None:
        return None
    return b64decode(text) if encoding == "base64" else text.encode()


def _sound(text: str, chars_max: int) -> str:
    """The text within the limit and without halves of surrogate pairs, which UTF-8 cannot carry."""
    return text[:chars_max].encode("utf-8", "replace").decode()
