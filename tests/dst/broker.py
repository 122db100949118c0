"""The broker's side, in memory: logs with offsets, transactions with markers and epochs, offsets of a group. No time, no I/O.

What a client of Apache Kafka can see of the transaction protocol (KIP-98, KIP-360) and the product relies on:
- a transaction's end is decided at one instant; its markers reach the partitions later, each on its own;
- up to a marker, a read-committed reader stops at the first record of the open transaction (the last stable offset);
- a marker and an aborted record take an offset that no reader gets to see;
- `init_producer` with a known id ends the former epoch: its open transaction is aborted, one whose commit is decided is brought
  to its end first, and whatever the former owner still sends is refused;
- a batch that is sent again is recognised by its number and not written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from aiokafka import TopicPartition
from aiokafka.errors import ConcurrentTransactions, InvalidTxnState, OutOfOrderSequenceNumber, ProducerFenced

Headers = Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Entry:
    """One offset of a log. `marker`: the end of a transaction, never seen by a reader."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    marker: bool = False
    aborted: bool = False


class Log:
    """One partition. `entries` is all that was ever written; `gone` holds the offsets that compaction took away."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.start = 0
        self.gone: set[int] = set()
        self._open: dict[str, int] = {}
        """Transactional id -> offset of the first record of its open transaction."""

    @property
    def end(self) -> int:
        return len(self.entries)

    @property
    def stable_end(self) -> int:
        """The last stable offset."""
        return min(self._open.values(), default=self.end)

    def append(
        self, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: Headers = (), transaction: str = ""
    ) -> int:
        offset = self.end
        if transaction:
            self._open.setdefault(transaction, offset)
        self.entries.append(Entry(offset, timestamp_ms, key, value, headers))
        return offset

    def mark(self, transaction: str, offsets: Iterable[int], commit: bool) -> None:
        """Write the end of a transaction."""
        if not commit:
            for offset in offsets:
                self.entries[offset].aborted = True
        self._open.pop(transaction, None)
        self.entries.append(Entry(self.end, 0, None, None, marker=True))

    def committed(self, start: int = 0) -> Iterator[Entry]:
        """What a read-committed reader has seen from `start` on if it read at once: also what is gone by now."""
        for entry in self.entries[start : self.stable_end]:
            if not entry.marker and not entry.aborted:
                yield entry

    def visible(self, entry: Entry) -> bool:
        return not entry.marker and not entry.aborted and entry.offset not in self.gone

    def compact(self) -> None:
        """Keep the last committed record of each key, and tombstones."""
        seen: set[bytes | None] = set()
        for entry in reversed([*self.committed()]):
            if entry.key in seen:
                self.gone.add(entry.offset)
            seen.add(entry.key)

    def trim(self, start: int) -> None:
        """Retention: nothing below `start` can be read any more."""
        self.start = max(self.start, min(start, self.stable_end))


class State(Enum):
    EMPTY = 1
    OPEN = 2
    ENDING = 3
    """The end is decided; markers are on their way."""


@dataclass(slots=True)
class Transactional:
    """What the coordinator knows of one transactional id."""

    name: str
    epoch: int = 0
    state: State = State.EMPTY
    commit: bool = False
    opened_at: float = 0.0
    timeout_s: float = 60.0
    added: set[TopicPartition] = field(default_factory=set)
    records: dict[TopicPartition, list[int]] = field(default_factory=dict)
    offsets: dict[tuple[str, TopicPartition], int] = field(default_factory=dict)
    numbers: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)
    """Partition -> number of the last batch written in this epoch, and its first offset."""


class Broker:
    """All logs, transactional ids and group offsets. Each method is one request, carried out at one instant."""

    def __init__(self, marker_delay: Callable[[Callable[[], None]], None], clock: Callable[[], float]) -> None:
        """`marker_delay` calls something back a little later."""
        self.logs: dict[TopicPartition, Log] = {}
        self.ids: dict[str, Transactional] = {}
        self.group_offsets: dict[tuple[str, TopicPartition], int] = {}
        self._later, self._clock = marker_delay, clock
        self.commits = self.aborts = self.fenced = 0
        self.watchers: dict[TopicPartition, list[Callable[[], None]]] = {}
        """Called when something new can be read there."""

    def log(self, tp: TopicPartition) -> Log:
        log = self.logs.get(tp)
        if log is None:
            log = self.logs[tp] = Log()
        return log

    def partitions_of(self, topic: str) -> set[int]:
        return {tp.partition for tp in self.logs if tp.topic == topic}

    # -- producers

    def init_producer(self, name: str, timeout_s: float) -> int:
        """A new epoch. Raises ConcurrentTransactions until the former owner's transaction is at its end."""
        known = self.ids.setdefault(name, Transactional(name))
        if known.state is State.OPEN:
            known.epoch += 1  # from here on the former owner is refused
            self._end(known, commit=False)
        if known.state is State.ENDING:
            raise ConcurrentTransactions
        known.epoch += 1
        known.timeout_s = timeout_s
        known.numbers.clear()
        return known.epoch

    def add_partitions(self, name: str, epoch: int, tps: Iterable[TopicPartition]) -> None:
        known = self._owner(name, epoch)
        if known.state is State.ENDING:
            raise ConcurrentTransactions
        self._begin(known)
        known.added.update(tps)

    def produce(self, name: str, epoch: int, tp: TopicPartition, number: int, records: Sequence[Entry]) -> int:
        """Write a batch; returns its first offset, -1 if it was written before and that is all that is still known."""
        known = self._owner(name, epoch)
        last, first = known.numbers.get(tp, (-1, -1))
        if number == last:
            return first
        if number < last:
            return -1
        if number != last + 1:
            raise OutOfOrderSequenceNumber
        if known.state is not State.OPEN or tp not in known.added:
            raise InvalidTxnState
        log = self.log(tp)
        offsets = [log.append(r.timestamp_ms, r.key, r.value, r.headers, transaction=name) for r in records]
        known.records.setdefault(tp, []).extend(offsets)
        known.numbers[tp] = (number, offsets[0])
        return offsets[0]

    def commit_offset(self, name: str, epoch: int, group: str, tp: TopicPartition, offset: int) -> None:
        known = self._owner(name, epoch)
        if known.state is State.ENDING:
            raise ConcurrentTransactions
        self._begin(known)
        known.offsets[group, tp] = offset

    def end_transaction(self, name: str, epoch: int, commit: bool) -> None:
        known = self._owner(name, epoch)
        if known.state is State.OPEN:
            self._end(known, commit)
        elif known.commit is not commit:
            raise InvalidTxnState

    def expire(self) -> None:
        """Abort what has been open for too long; the owner is refused from then on."""
        for known in self.ids.values():
            if known.state is State.OPEN and self._clock() - known.opened_at > known.timeout_s:
                known.epoch += 1
                self._end(known, commit=False)

    # -- readers

    def write(self, tp: TopicPartition, timestamp_ms: int, key: bytes | None, value: bytes | None) -> int:
        """A record of a producer without transactions."""
        offset = self.log(tp).append(timestamp_ms, key, value)
        self._wake(tp)
        return offset

    def fetch(self, tp: TopicPartition, position: int, entries_max: int) -> tuple[list[Entry], int]:
        """Committed records from `position` on, looking at so many offsets at most, and the position after them."""
        log = self.log(tp)
        position = max(position, log.start)
        end = min(log.stable_end, position + entries_max)
        return [entry for entry in log.entries[position:end] if log.visible(entry)], max(position, end)

    # -- inside

    def _owner(self, name: str, epoch: int) -> Transactional:
        known = self.ids[name]
        if epoch != known.epoch:
            self.fenced += 1
            raise ProducerFenced
        return known

    def _begin(self, known: Transactional) -> None:
        if known.state is State.EMPTY:
            known.state, known.opened_at = State.OPEN, self._clock()

    def _end(self, known: Transactional, commit: bool) -> None:
        known.state, known.commit = State.ENDING, commit
        self.commits += commit
        self.aborts += not commit
        left = [*sorted(known.records), None]

        def mark(target: TopicPartition | None) -> None:
            if target is not None:
                self.log(target).mark(known.name, known.records[target], commit)
                self._wake(target)
            elif commit:
                self.group_offsets.update(known.offsets)
            left.remove(target)
            if not left:
                known.state = State.EMPTY
                known.added, known.records, known.offsets = set(), {}, {}

        for target in [*left]:
            self._later(lambda target=target: mark(target))  # type: ignore[misc]

    def _wake(self, tp: TopicPartition) -> None:
        for watcher in self.watchers.get(tp, ()):
            watcher()
