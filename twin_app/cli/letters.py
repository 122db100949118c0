"""The dead letters of an application, and how each is sent again: the same bytes, key and headers, once.

Sending again is one transaction on the config topic and the dead-letter topic: the commands, and beside each letter a record
that says where it went (a dead letter of the code `replayed`). So nothing is sent without being marked, and two who do it at the
same time fence each other. The original is read at its place in the config topic; only where that is gone it is taken from the
letter itself, which keeps no headers.

What a feed refused is no command: it is made one by the feed's own recipe, which is in a header of the letter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from models.deadletters import REPLAYED, DeadLetter
from models.errors import Rejected, TwinError
from topics.serdes import Serializer
from twin_app.cli import connect
from twin_app.cli.arrival import RECIPE_HEADER, Recipe, Source
from twin_app.cli.decoding import EventReader
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets

REPLAY_HEADER = "twin-replay-of"
"""Of a command that was sent again: topic-partition@offset of its dead letter."""

LETTERS_MAX = 100_000
"""Letters that are kept in memory: beyond them the oldest are not shown."""

BATCH_BYTES_MAX = 8 << 20
BATCH_MAX = 500
"""What one transaction holds at most."""


@dataclass
class Letter:
    """One dead letter, and where it was sent again, if it was. `recipe`: of the feed that wrote it, if one did."""

    partition: int
    offset: int
    letter: DeadLetter
    recipe: Recipe | None = None
    replayed: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Where it is in the dead-letter topic: `partition@offset`."""
        return f"{self.partition}@{self.offset}"

    @property
    def source(self) -> str:
        """Where the refused command is."""
        return f"{self.letter.topic}-{self.letter.partition}@{self.letter.offset}"

    @property
    def twin(self) -> str | None:
        return self.letter.twin or (self.letter.key if self.letter.key_encoding == "utf-8" else None)


class Original(NamedTuple):
    """The refused record as it was."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Planned(NamedTuple):
    """One letter and what would be sent for it."""

    letter: Letter
    record: Original


async def read_letters(settings: Settings, timeout_s: float) -> list[Letter]:
    """All dead letters up to now, in the order of their places, each with its replays. Raises TwinError."""
    topic = settings.topics.dead_letters.name
    reader = EventReader(settings, timeout_s, DeadLetter)
    found: dict[tuple[int, int | None], Letter] = {}
    async with connect.consumer(settings, timeout_s) as client:
        tps = await connect.partitions_of(settings, timeout_s, topic)
        ends = await connect.within(settings, timeout_s, last_data_offsets(client, tps))
        for tp in tps:
            async for record in records_up_to(client, tp, ends[tp], settings, timeout_s):
                await reader.resolve([record.value])
                letter = _letter(record, reader)
                if letter is None:
                    continue
                if letter.code == REPLAYED:
                    marked = found.get((record.partition, letter.replayed_offset))
                    if marked is not None:
                        marked.replayed.append(letter.replayed_as or "")
                    continue
                recipe = next((Recipe.from_bytes(value) for name, value in record.headers if name == RECIPE_HEADER), None)
                found[record.partition, record.offset] = Letter(record.partition, record.offset, letter, recipe)
                if len(found) > LETTERS_MAX:
                    del found[next(iter(found))]
    return sorted(found.values(), key=lambda kept: (kept.partition, kept.offset))


async def records_up_to(
    client: AIOKafkaConsumer, tp: TopicPartition, last: int, settings: Settings, timeout_s: float
) -> AsyncIterator[ConsumerRecord]:
    """The records of a partition up to the offset `last`."""
    client.assign([tp])
    await connect.within(settings, timeout_s, client.seek_to_beginning(tp))
    while last >= 0 and await connect.within(settings, timeout_s, client.position(tp)) <= last:
        for records in (await client.getmany(tp, timeout_ms=200, max_records=connect.FETCH_RECORDS_MAX)).values():
            for record in records:
                if record.offset <= last:
                    yield record


def _letter(record: ConsumerRecord, reader: EventReader) -> DeadLetter | None:
    """The letter in a record; None for what is none: somebody else may write there."""
    try:
        return DeadLetter.model_validate(reader.decode(record.value, f"{record.topic}-{record.partition}@{record.offset}"))
    except (TwinError, ValidationError):
        return None


async def originals(settings: Settings, timeout_s: float, letters: Sequence[Letter]) -> list[Planned | TwinError]:
    """What was refused, as it was written; the TwinError `truncated` where neither topic holds all of it. Raises TwinError."""
    planned: list[Planned | TwinError] = []
    async with connect.consumer(settings, timeout_s) as client:
        tps = await connect.partitions_of(settings, timeout_s, settings.topics.config.name)
        begins = await connect.within(settings, timeout_s, client.beginning_offsets(tps))
        for kept in letters:
            tp = TopicPartition(settings.topics.config.name, kept.letter.partition)
            record = None
            if tp in begins and kept.letter.topic == tp.topic and kept.letter.offset >= begins[tp]:
                record = await _at(client, tp, kept.letter.offset, settings, timeout_s)
            if record is not None:
                planned.append(Planned(kept, Original(record.key, record.value, tuple(record.headers))))
                continue
            try:
                planned.append(Planned(kept, Original(kept.letter.raw_key(), kept.letter.raw_value(), ())))
            except TwinError as truncated:
                planned.append(truncated)
    return planned


async def _at(
    client: AIOKafkaConsumer, tp: TopicPartition, offset: int, settings: Settings, timeout_s: float
) -> ConsumerRecord | None:
    """The record at an offset; None if there is none (any more)."""
    client.assign([tp])
    end = (await connect.within(settings, timeout_s, client.end_offsets([tp])))[tp]
    client.seek(tp, offset)
    while offset < end and await connect.within(settings, timeout_s, client.position(tp)) <= offset:
        for records in (await client.getmany(tp, timeout_ms=200, max_records=1)).values():
            return records[0] if records[0].offset == offset else None
    return None


def edited(planned: Planned, changes: dict[str, Any]) -> Planned:
    """With the fields of its JSON replaced. Raises TwinError `not-editable`, and of what is no command then."""
    if not changes:
        return planned
    kept, record = planned
    try:
        document = orjson.loads(record.value or b"")
        if not isinstance(document, dict):
            raise ValueError("no object")
    except ValueError:
        raise TwinError(
            "not-editable",
            "the refused value is no JSON object",
            place=kept.place,
            remedy="send it again as it is, or leave it out",
        ) from None
    for path, value in changes.items():
        inner: Any = document
        *outer, last = path.split(".") if path not in document else [path]
        for name in outer:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            raise TwinError("not-editable", f"it has no {path!r}", place=kept.place, remedy="name a field that it has")
        inner[last] = value
    value = orjson.dumps(document)
    if kept.recipe is None:
        _checked(kept, value, record.key)
    return Planned(kept, record._replace(value=value))


def _checked(kept: Letter, value: bytes, key: bytes | None) -> None:
    from twin_app.switchboard import parse  # brings the kernel along

    try:
        parse(value, key)
    except Rejected as error:
        raise TwinError(error.code, f"edited like that it is refused again: {error.message}", place=kept.place) from error


def as_command(planned: Planned) -> Planned:
    """Of a record that a feed refused, the command that its recipe makes of it. Raises TwinError where it makes none."""
    kept, record = planned
    if kept.recipe is None:
        return planned
    letter = kept.letter
    source = Source(letter.topic, letter.partition, letter.offset, letter.timestamp_ms, record.key, record.value)
    try:
        made = kept.recipe.command(source)
    except Rejected as error:
        raise TwinError(
            error.code,
            f"by the recipe of its feed it is refused again: {error.message}",
            place=kept.place,
            remedy="correct its fields with --set FIELD=JSON, or send the command itself with `twin send`",
        ) from error
    return Planned(kept, Original(made.key, made.value, ()))


async def send_again(
    settings: Settings, timeout_s: float, planned: Sequence[Planned], told: Callable[[Letter, str], None]
) -> int:
    """Send everything, batch by batch; `told` hears of each with its new place. Gives how many were left out, since somebody
    else had sent them in the meantime. Raises TwinError."""
    from twin_app.streaming.assembly import contracts_of  # brings Faust along

    left_out = 0
    # Marks are written as workers write dead letters.
    contracts = contracts_of(settings, patience_s=timeout_s)
    serializer = contracts.router.serializer(settings.topics.dead_letters.name)
    await serializer.prepare()
    async with connect.producer(settings, timeout_s, transactional_id=f"{settings.app_id}-dead-letters") as writer:
        # Whoever did the same before is fenced now: what he has marked is committed, the rest he cannot commit any more.
        done = {kept.place for kept in await read_letters(settings, timeout_s) if kept.replayed}
        known = {item.letter.place for item in planned if item.letter.replayed}
        for batch in _batches(planned):
            fresh = [item for item in batch if item.letter.place not in done or item.letter.place in known]
            left_out += len(batch) - len(fresh)
            if not fresh:
                continue
            async with writer.transaction():
                places = [await _write(writer, serializer, settings, timeout_s, item) for item in fresh]
            for item, place in zip(fresh, places, strict=True):
                told(item.letter, place)
    return left_out


def _batches(planned: Iterable[Planned]) -> Iterator[list[Planned]]:
    batch: list[Planned] = []
    size = 0
    for item in planned:
        bytes_ = len(item.record.value or b"")
        if batch and (len(batch) >= BATCH_MAX or size + bytes_ > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += bytes_
    if batch:
        yield batch


async def _write(writer: AIOKafkaProducer, serializer: Serializer, settings: Settings, timeout_s: float, item: Planned) -> str:
    """The command and its mark, in the open transaction; where the command is now."""
    kept, record = item
    config, letters = settings.topics.config.name, settings.topics.dead_letters.name
    headers = [header for header in record.headers if header[0] != REPLAY_HEADER]
    headers.append((REPLAY_HEADER, f"{letters}-{kept.place}".encode()))
    # Where the key decides the partition, it does so again; a record without a key stays on its own.
    partition = kept.letter.partition if record.key is None and kept.letter.topic == config else None
    sent = await connect.within(
        settings,
        timeout_s,
        writer.send_and_wait(config, record.value, key=record.key, headers=headers, partition=partition),
    )
    place = f"{config}-{sent.partition}@{sent.offset}"
    mark = kept.letter.mark(kept.offset, place)
    await connect.within(
        settings,
        timeout_s,
        writer.send_and_wait(letters, serializer.encode(mark), key=record.key, partition=kept.partition),
    )
    return place
