"""Scorecards from the topics: what was foretold (forecasts) is held against what happened (events), by an own reader.

Nothing is kept but the topics themselves: a restart reads them again from `since` on. In a round all new forecasts are read
first, then the events, but none that is younger than the time given: a forecast is published some seconds after the state that
it is of, and must be known before the events that follow that state.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from models.errors import TwinError
from models.events import TwinEvent
from models.forecasts import ForecastRecord
from models.scorecard import LIGHT_VALUES, Scorecard
from models.vitals import VitalRecord
from topics.reader import ConfluentReader, schema_id_of
from topics.registry import SchemaRegistry
from topics.serdes import Json
from twin_app.forecast.scorecard import Scorecards
from twin_app.settings import Settings

FETCH_RECORDS_MAX = 200
FETCH_WAIT_MS = 200
GRACE_S = 30.0
"""How much older than now events must be to be judged, beside the time that a forecast may take."""

log = structlog.get_logger(__name__)


class ScoreReader:
    """Reads both topics of some partitions into one scorecard each. `client`: a started read-committed consumer of its own."""

    def __init__(self, settings: Settings, client: AIOKafkaConsumer, registry: SchemaRegistry) -> None:
        self._forecasts, self._events = settings.topics.forecasts.name, settings.topics.events.name
        self._client = client
        limit = settings.record_bytes_max
        self._forecast_reader = ConfluentReader(registry, ForecastRecord, raw_bytes_max=limit)
        self._event_reader = ConfluentReader(registry, TwinEvent, raw_bytes_max=limit)
        self._positions: dict[TopicPartition, int] = {}
        self.cards: dict[int, Scorecards] = {}
        self.unreadable = 0
        """Records that were passed over since they are not what their topic holds."""

    async def open(self, partitions: Iterable[int], since_ms: int) -> None:
        """From here on these partitions, new ones from `since_ms` (ms since 1970 UTC) on; others are forgotten."""
        wanted = set(partitions)
        for gone in set(self.cards) - wanted:
            del self.cards[gone]
        added = wanted - set(self.cards)
        tps = [TopicPartition(topic, p) for topic in (self._forecasts, self._events) for p in sorted(added)]
        if tps:
            self._client.assign(tps)
            starts = await self._client.offsets_for_times(dict.fromkeys(tps, since_ms))
            ends = await self._client.end_offsets(tps)
            for tp in tps:
                found = starts.get(tp)
                self._positions[tp] = ends[tp] if found is None else found.offset
        self._positions = {tp: at for tp, at in self._positions.items() if tp.partition in wanted}
        for partition in added:
            self.cards[partition] = Scorecards()

    async def round(self, until_ms: int | None = None) -> None:
        """Take in what is new: every forecast, and the events up to `until_ms`. Raises KafkaError, TwinError."""
        async for record in self._read(self._forecasts, self._forecast_reader, None, lambda r: True):
            fields = self._decoded(self._forecast_reader, record)
            if fields is not None:
                self.cards[record.partition].forecast(fields)
        async for record in self._read(self._events, self._event_reader, until_ms, self._matters):
            fields = self._decoded(self._event_reader, record)
            if fields is not None:
                self.cards[record.partition].event(fields)

    def scorecards(self) -> list[tuple[int, Scorecard]]:
        """Partition and scorecard of every twin that was forecast."""
        return [(partition, card) for partition in sorted(self.cards) for card in self.cards[partition].cards()]

    def _matters(self, record: ConsumerRecord) -> bool:
        """Only events of twins that are under judgement are worth decoding."""
        return record.key is not None and self.cards[record.partition].judges(record.key.decode("utf-8", "replace"))

    def _decoded(self, reader: ConfluentReader, record: ConsumerRecord) -> dict[str, Any] | None:
        try:
            return reader.decode(record.value) if record.value is not None else None
        except TwinError:
            self.unreadable += 1
            return None

    async def _read(
        self, topic: str, reader: ConfluentReader, until_ms: int | None, matters: Callable[[ConsumerRecord], bool]
    ) -> AsyncIterator[ConsumerRecord]:
        """Records of a topic from where the last round ended to where it ends now, with their schemas known."""
        client = self._client
        tps = [tp for tp in self._positions if tp.topic == topic]
        if not tps:
            return
        client.assign(tps)
        ends = await client.end_offsets(tps)
        for tp in tps:
            client.seek(tp, self._positions[tp])
        going = {tp for tp in tps if self._positions[tp] < ends[tp]}
        while going:
            fetched = await client.getmany(*going, timeout_ms=FETCH_WAIT_MS, max_records=FETCH_RECORDS_MAX)
            for tp, records in fetched.items():
                ripe = [r for r in records if until_ms is None or r.timestamp <= until_ms]
                wanted = [r for r in ripe if schema_id_of(r.value) is not None and matters(r)]
                while not await reader.resolve([record.value for record in wanted]):
                    pass
                for record in wanted:
                    yield record
                if ripe:
                    self._positions[tp] = ripe[-1].offset + 1
                if len(ripe) < len(records):
                    going.discard(tp)
            for tp in list(going):
                position = await client.position(tp)
                if position >= ends[tp]:
                    self._positions[tp] = position
                    going.discard(tp)
            await asyncio.sleep(0)


class Scoring:
    """The scorecards of a worker's partitions, brought up to date in the background and told as vitals."""

    def __init__(self, settings: Settings, registry: SchemaRegistry, partitions: Callable[[], Iterable[int]]) -> None:
        self._settings, self._registry, self._partitions = settings, registry, partitions
        self._reader: ScoreReader | None = None
        self._told: dict[str, Scorecard] = {}
        self._vitals = settings.topics.vitals.name
        self._json = Json()

    def card(self, twin: str) -> Scorecard | None:
        """The scorecard of a twin of this worker, as of the last round."""
        cards = self._reader.cards.values() if self._reader is not None else ()
        return next((card for found in cards if (card := found.card(twin)) is not None), None)

    async def run(self, client: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """For ever. `client` is its own; what goes wrong is said, and tried again in the next round."""
        settings = self._settings
        self._reader = reader = ScoreReader(settings, client, self._registry)
        while True:
            await asyncio.sleep(settings.scorecard_interval_s)
            now_ms = time.time_ns() // 1_000_000
            try:
                await reader.open(self._partitions(), now_ms - round(settings.scorecard_window_h * 3_600_000))
                await reader.round(now_ms - round(1000 * min(GRACE_S, settings.scorecard_interval_s)))
                for partition, card in reader.scorecards():
                    if self._told.get(card.twin) != card and card.forecasts:
                        self._told[card.twin] = card
                        await self._tell(producer, partition, card)
            except (KafkaError, TwinError) as error:
                log.warning("scorecards-wait", error=str(error), goes_on="it tries again")
            self._told = {twin: card for twin, card in self._told.items() if self.card(twin) is not None}

    async def _tell(self, producer: AIOKafkaProducer, partition: int, card: Scorecard) -> None:
        for vital in vitals_of(card, partition, time.time_ns() // 1000):
            await producer.send(self._vitals, self._json.encode(vital), key=card.twin.encode(), partition=partition)


def vitals_of(card: Scorecard, partition: int, wall_us: int) -> list[VitalRecord]:
    """A scorecard as vitals: `forecast.light`, and for each kind its figures under `forecast.<kind>`."""
    figures = {"forecast.light": LIGHT_VALUES[card.light], "forecast.judged": float(card.forecasts)}
    for score in card.kinds:
        about = f"forecast.{score.kind}"
        figures |= {
            f"{about}.expected": score.expected,
            f"{about}.held": score.held,
            f"{about}.bias": score.bias,
            f"{about}.forecasts": float(score.forecasts),
            f"{about}.light": LIGHT_VALUES[score.light],
        }
    return [VitalRecord(card.twin, name, value, "1", wall_us, partition) for name, value in figures.items()]
