"""Requests in, answers out: the protocol structs of aiokafka, with the versions that this broker offers.

Versions are the ones without flexible fields, which every client of the last years still speaks; clients that ask for
newer ApiVersions are told the list and fall back, as the protocol prescribes.
"""

import importlib
import inspect
import io
import pkgutil
import struct
from enum import IntEnum
from typing import Any, NamedTuple

import aiokafka.protocol as protocol
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Int64, Schema


class Code(IntEnum):
    """Error codes of the Kafka protocol that this broker answers with."""

    NONE = 0
    UNKNOWN_SERVER_ERROR = -1
    OFFSET_OUT_OF_RANGE = 1
    CORRUPT_MESSAGE = 2
    UNKNOWN_TOPIC_OR_PARTITION = 3
    MESSAGE_TOO_LARGE = 10
    OFFSET_METADATA_TOO_LARGE = 12
    INVALID_TOPIC = 17
    INVALID_REQUIRED_ACKS = 21
    ILLEGAL_GENERATION = 22
    INCONSISTENT_GROUP_PROTOCOL = 23
    INVALID_GROUP_ID = 24
    UNKNOWN_MEMBER_ID = 25
    INVALID_SESSION_TIMEOUT = 26
    REBALANCE_IN_PROGRESS = 27
    TOPIC_ALREADY_EXISTS = 36
    INVALID_PARTITIONS = 37
    INVALID_REPLICATION_FACTOR = 38
    INVALID_CONFIG = 40
    INVALID_REQUEST = 42
    OUT_OF_ORDER_SEQUENCE = 45
    INVALID_PRODUCER_EPOCH = 47
    INVALID_TXN_STATE = 48
    INVALID_PRODUCER_ID_MAPPING = 49
    INVALID_TRANSACTION_TIMEOUT = 50
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    MEMBER_ID_REQUIRED = 79
    GROUP_MAX_SIZE_REACHED = 81
    FENCED_INSTANCE_ID = 82
    INVALID_RECORD = 87


PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 8, 9, 10
JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP, DESCRIBE_GROUPS, LIST_GROUPS = 11, 12, 13, 14, 15, 16
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS = 18, 19, 20, 21
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 22, 24, 25, 26, 28
DESCRIBE_CONFIGS, ALTER_CONFIGS, CREATE_PARTITIONS, DELETE_GROUPS = 32, 33, 37, 42

OFFERED: dict[int, tuple[int, int]] = {
    PRODUCE: (3, 8),
    FETCH: (4, 11),
    LIST_OFFSETS: (1, 3),  # the codec library lacks the leader epoch of versions 4 and 5
    METADATA: (0, 5),
    OFFSET_COMMIT: (1, 3),
    OFFSET_FETCH: (1, 3),
    FIND_COORDINATOR: (0, 1),
    JOIN_GROUP: (0, 5),
    HEARTBEAT: (0, 1),
    LEAVE_GROUP: (0, 1),
    SYNC_GROUP: (0, 3),
    DESCRIBE_GROUPS: (0, 1),
    LIST_GROUPS: (0, 1),
    API_VERSIONS: (0, 2),
    CREATE_TOPICS: (0, 3),
    DELETE_TOPICS: (0, 3),
    DELETE_RECORDS: (0, 1),
    INIT_PRODUCER_ID: (0, 0),
    ADD_PARTITIONS_TO_TXN: (0, 0),
    ADD_OFFSETS_TO_TXN: (0, 0),
    END_TXN: (0, 0),
    TXN_OFFSET_COMMIT: (0, 0),
    DESCRIBE_CONFIGS: (0, 2),
    ALTER_CONFIGS: (0, 1),
    CREATE_PARTITIONS: (0, 1),
    DELETE_GROUPS: (0, 1),
}
# Versions whose layout is that of an earlier one, and which the codec library therefore does not list.
SAME_LAYOUT = {(JOIN_GROUP, 3): 2, (JOIN_GROUP, 4): 2, (SYNC_GROUP, 2): 1}
ARRAY_ITEMS_MAX = 1_000_000
CLIENT_ID_BYTES_MAX = 1_000
UNSUPPORTED_VERSION = 35


class Malformed(Exception):
    """The bytes are no request of ours; the connection that sent them is closed."""


class Frame(NamedTuple):
    """One request as it came: `body` is decoded by `decode` once the api and version are known to be offered."""

    api: int
    version: int
    correlation: int
    client: str
    body: bytes


def _collect() -> tuple[dict[tuple[int, int], Any], dict[tuple[int, int], Any]]:
    requests: dict[tuple[int, int], Any] = {}
    responses: dict[tuple[int, int], Any] = {}
    for module in pkgutil.iter_modules(protocol.__path__):
        for name, member in inspect.getmembers(importlib.import_module(f"aiokafka.protocol.{module.name}"), inspect.isclass):
            key, version = member.__dict__.get("API_KEY"), member.__dict__.get("API_VERSION")
            if isinstance(key, int) and isinstance(version, int) and hasattr(member, "SCHEMA"):
                (responses if "Response" in name else requests)[key, version] = member
    for (key, version), source in SAME_LAYOUT.items():
        requests[key, version], responses[key, version] = requests[key, source], responses[key, source]
    return requests, responses


_REQUESTS, _RESPONSES = _collect()


def parse_frame(data: bytes) -> Frame:
    """Splits header and body. Raises Malformed."""
    if len(data) < 10:
        raise Malformed(f"a request of {len(data)} bytes has no header")
    api, version, correlation, length = struct.unpack_from(">hhih", data)
    if length > min(len(data) - 10, CLIENT_ID_BYTES_MAX):
        raise Malformed(f"client id of {length} bytes")
    end = 10 + max(length, 0)
    return Frame(api, version, correlation, data[10:end].decode("utf-8", "replace"), data[end:])


def offered(frame: Frame) -> bool:
    low, high = OFFERED.get(frame.api, (1, 0))
    return low <= frame.version <= high


def decode(frame: Frame) -> Any:
    """The request as an object whose fields have the names of the protocol's struct. Raises Malformed."""
    stream = _Bounded(frame.body)
    struct_class = _REQUESTS[frame.api, frame.version]
    try:
        values = _decode(struct_class.SCHEMA, stream)
    except (ValueError, struct.error, UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise Malformed(f"api {frame.api} version {frame.version}: {error}") from error
    if stream.left():
        raise Malformed(f"api {frame.api} version {frame.version}: {stream.left()} bytes too many")
    return struct_class(*values)


def encode(api: int, version: int, **fields: Any) -> bytes:
    """The body of an answer. Fields that this version does not have are left out; missing ones get the protocol's default."""
    schema = _RESPONSES[api, version].SCHEMA
    return bytes(schema.encode(_shape(schema, fields)))


def frame_answer(correlation: int, body: bytes) -> bytes:
    return struct.pack(">ii", len(body) + 4, correlation) + body


def api_versions_refused() -> bytes:
    """The answer to an ApiVersions request that is too new: error 35 in the oldest layout, with what is offered."""
    listed = b"".join(struct.pack(">hhh", key, low, high) for key, (low, high) in OFFERED.items())
    return struct.pack(">hi", UNSUPPORTED_VERSION, len(OFFERED)) + listed


class _Bounded(io.BytesIO):
    def left(self) -> int:
        return len(self.getbuffer()) - self.tell()


def _decode(kind: Any, stream: _Bounded) -> Any:
    """Decodes like the codec library, but refuses an array that claims more items than there are bytes left."""
    if isinstance(kind, Schema):
        return tuple(_decode(field, stream) for field in kind.fields)
    if isinstance(kind, Array):
        count = Int32.decode(stream)
        if count < 0:
            return None
        if count > min(stream.left(), ARRAY_ITEMS_MAX):
            raise ValueError(f"an array of {count} items in {stream.left()} bytes")
        return [_decode(kind.array_of, stream) for _ in range(count)]
    return kind.decode(stream)


def _shape(kind: Any, value: Any) -> Any:
    """Arranges dicts and tuples in the order of the schema."""
    if isinstance(kind, Schema):
        if isinstance(value, dict):
            return tuple(
                _shape(field, value[name]) if name in value else _default(name, field)
                for name, field in zip(kind.names, kind.fields, strict=True)
            )
        return tuple(_shape(field, item) for field, item in zip(kind.fields, value, strict=True))
    if isinstance(kind, Array):
        return None if value is None else [_shape(kind.array_of, item) for item in value]
    return value


def _default(name: str, kind: Any) -> Any:
    if name == "preferred_read_replica" or kind is Int64:
        return -1
    if kind in (Int8, Int16, Int32):
        return 0
    if kind is Boolean:
        return False
    return [] if isinstance(kind, Array) else None
