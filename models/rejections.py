"""Every code with which a command can be refused, and what it means. The codes are part of the contract: they do not change."""

REJECTIONS: dict[str, str] = {
    # The record
    "tombstone": "the record has no value; to end a twin there is the command `remove`",
    "too-large": "the value is longer than a command may be (1 MiB)",
    "bad-key": "the record's key is not a twin's name in UTF-8",
    "bad-json": "the value is not JSON; NaN, Infinity and numbers beyond a double are not JSON either",
    "bad-avro": "the value begins like Avro in the Confluent wire format but cannot be read as that",
    "unknown-schema": "the schema registry did not know the schema id when the record was read",
    "not-an-object": "the value is JSON or Avro, but not one object",
    "duplicate-member": "an object has a member twice, or a patch names a path twice",
    "number-too-large": "an integer does not fit: 64 bits anywhere, 2**53 for an int path",
    "not-finite": "a number is NaN or infinite",
    "too-deep": "the value is nested too deeply",
    "too-many-members": "the value has too many members",
    # The command
    "unknown-kind": "there is no command of this kind",
    "invalid-command": "a field of the command is missing, unknown or of the wrong form",
    "no-twin": "neither the command, its path nor the record's key names a twin",
    "key-mismatch": "the command names another twin than the record's key",
    "at-out-of-range": "`at` is too far in the future",
    # The twin
    "unknown-twin": "no twin of this name is registered on the record's partition",
    "twin-exists": "a twin of this name runs with another blueprint, and `replace` is not set",
    "twin-full": "the twin has as many entities as its limit allows",
    "twin-quarantined": "the twin stands still, since its model failed",
    "too-many-twins": "the partition hosts as many twins as its limit allows",
    "too-many-entities": "the twin has as many entities as its limit allows",
    "stale-timestamp": "the record is too old to start a twin at its time",
    "bad-blueprint": "the blueprint has faults; the reason lists them",
    "work-in-progress": "entities or scheduled commands would be lost, and `discard_work` is not set",
    "not-event-mode": "only a twin in event mode can be moved forward by a command",
    "schedule-full": "too many commands wait for their time",
    # The change
    "unknown-path": "the twin has no such path",
    "unknown-flow": "the twin has no such flow",
    "unknown-signal": "no step of the twin waits for such a signal",
    "wrong-type": "the value is not of the path's type",
    "value-too-large": "the value is longer than an event may carry",
    "text-too-long": "a text or a list is longer than the simulation keeps",
    "not-a-value": "the value is not one that the simulation keeps",
    "out-of-bounds": "the value is outside the path's bounds",
    "inconsistent": "values that belong together, such as low and high, do not fit together",
    "stale-version": "the path is not at the version that `if_version` asks for",
    # Replay
}
