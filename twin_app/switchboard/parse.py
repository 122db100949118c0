"""From a record of the config topic to a command. Total: whatever the bytes, a command or a `Rejected`."""

from __future__ import annotations

from functools import lru_cache

from models.commands import NAME_CHARS_MAX, Command
from models.errors import Rejected
from twin_app.switchboard.spelling import read_command
from twin_app.switchboard.wire import AvroReader, Limits, read_document

LIMITS = Limits()
KEYS_KEPT = 8_192
"""Keys of records whose twin is kept: it is a small number of twins that has most of the commands."""


def parse(value: bytes | None, key: bytes | None = None, *, limits: Limits = LIMITS, avro: AvroReader | None = None) -> Command:
    """The command in a record's value; `key`, the record's key, names the twin where the command does not.

    A value that begins with a 0 byte is Avro in the Confluent wire format and is read by `avro`; any other is JSON.
    Raises Rejected with a stable code (models/rejections.py lists them); nothing else.
    """
    document = read_document(value, limits, avro)
    return read_command(document, _twin_key(key))


@lru_cache(KEYS_KEPT)
def _twin_key(key: bytes | None) -> str | None:
    if not key:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > NAME_CHARS_MAX:
        raise Rejected("bad-key", "the record's key is not a twin's name", remedy="make the key the twin's name in UTF-8")
    return text
