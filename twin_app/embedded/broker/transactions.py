"""The transaction coordinator: producer ids and epochs, what a transaction touches, its end, its time-out.

Ending is decided by one journal line (`end`): it names the outcome, and everything the transaction touched was journalled
before. A broker that dies after that line ends the transaction the same way when it is started again; one that dies before
it finds the transaction still open, and its producer may go on with it.
"""

import time
from collections.abc import Callable
from typing import Any

from twin_app.embedded.broker.groups import Committed, Groups
from twin_app.embedded.broker.topics import Topics
from twin_app.embedded.broker.wire import Code

EPOCH_MAX = 32767
TIMEOUT_MAX_MS = 900_000  # as Kafka's transaction.max.timeout.ms
TRANSACTIONAL_IDS_MAX = 10_000
EMPTY, ONGOING, COMMITTED, ABORTED = "empty", "ongoing", "committed", "aborted"


class Transaction:
    """The state of one transactional id. `state` stays `committed` or `aborted` until the next transaction begins."""

    def __init__(self, name: str, producer_id: int, epoch: int, timeout_ms: int) -> None:
        self.name = name
        self.producer_id = producer_id
        self.epoch = epoch
        self.timeout_ms = timeout_ms
        self.state = EMPTY
        self.since = 0.0
        self.partitions: dict[tuple[str, int], None] = {}
        self.offsets: dict[str, dict[tuple[str, int], Committed]] = {}

    def begin(self) -> None:
        if self.state != ONGOING:
            self.state, self.since = ONGOING, time.monotonic()


class Transactions:
    """All transactional ids. `journal` writes one entry; `replay` takes the entries back in the same order."""

    def __init__(self, topics: Topics, groups: Groups, journal: Callable[..., None]) -> None:
        self.topics = topics
        self.groups = groups
        self.journal = journal
        self.by_name: dict[str, Transaction] = {}
        self.by_producer: dict[int, Transaction] = {}
        self.next_producer = 1000
        self.undone: list[tuple[Transaction, bool]] = []  # ends that replay found decided but not done

    # -- producers ------------------------------------------------------------------------------------------------------

    def init_producer(self, name: str | None, timeout_ms: int) -> tuple[Code, int, int]:
        """Gives out (producer id, epoch). Under a transactional id it fences the former producer and aborts what it left."""
        if name is None:
            return Code.NONE, self._new_producer(), 0
        if not name:
            return Code.INVALID_REQUEST, -1, -1
        if not 0 < timeout_ms <= TIMEOUT_MAX_MS:
            return Code.INVALID_TRANSACTION_TIMEOUT, -1, -1
        known = self.by_name.get(name)
        if known is None:
            if len(self.by_name) >= TRANSACTIONAL_IDS_MAX:
                return Code.INVALID_REQUEST, -1, -1
            known = self._register(Transaction(name, self._new_producer(), 0, timeout_ms))
        else:
            self._bump(known)
            if known.state == ONGOING:
                self.end(known, commit=False)
            if known.epoch >= EPOCH_MAX:
                known = self._register(Transaction(name, self._new_producer(), 0, timeout_ms))
        known.timeout_ms, known.state = timeout_ms, EMPTY
        self.journal("producer", name, known.producer_id, known.epoch, timeout_ms)
        return Code.NONE, known.producer_id, known.epoch

    def _new_producer(self) -> int:
        fresh = self.next_producer
        self.next_producer += 1
        self.journal("producer-id", self.next_producer)
        return fresh

    def _register(self, transaction: Transaction) -> Transaction:
        former = self.by_name.get(transaction.name)
        if former is not None:
            self.by_producer.pop(former.producer_id, None)
        self.by_name[transaction.name] = self.by_producer[transaction.producer_id] = transaction
        return transaction

    def _bump(self, transaction: Transaction) -> None:
        if transaction.epoch < EPOCH_MAX:
            transaction.epoch += 1
            self.journal("producer", transaction.name, transaction.producer_id, transaction.epoch, transaction.timeout_ms)

    def check(self, name: str | None, producer_id: int, epoch: int) -> tuple[Transaction | None, Code]:
        transaction = self.by_name.get(name or "")
        if transaction is None or transaction.producer_id != producer_id:
            return None, Code.INVALID_PRODUCER_ID_MAPPING
        return transaction, Code.NONE if epoch == transaction.epoch else Code.INVALID_PRODUCER_EPOCH

    def check_batch(self, producer_id: int, epoch: int, topic: str, partition: int) -> Code:
        """Whether a transactional batch may be written: by the present producer, inside a transaction that has the partition."""
        transaction = self.by_producer.get(producer_id)
        if transaction is None:
            return Code.INVALID_PRODUCER_ID_MAPPING
        if epoch != transaction.epoch:
            return Code.INVALID_PRODUCER_EPOCH
        if transaction.state != ONGOING or (topic, partition) not in transaction.partitions:
            return Code.INVALID_TXN_STATE
        return Code.NONE

    # -- one transaction ------------------------------------------------------------------------------------------------

    def add_partitions(self, transaction: Transaction, partitions: list[tuple[str, int]]) -> None:
        transaction.begin()
        fresh = [key for key in partitions if key not in transaction.partitions]
        transaction.partitions.update(dict.fromkeys(fresh))
        self.journal("touch", transaction.name, fresh)

    def add_offsets(self, transaction: Transaction, group: str, offsets: list[tuple[str, int, int, str]]) -> None:
        transaction.begin()
        pending = transaction.offsets.setdefault(group, {})
        for topic, partition, offset, metadata in offsets:
            pending[topic, partition] = Committed(offset, metadata)
        self.journal("offsets-later", transaction.name, group, offsets)

    def end_asked(self, transaction: Transaction, *, commit: bool) -> Code:
        """The client's commit or abort; a repeat of one that is done is answered like the first."""
        if transaction.state == ONGOING:
            self.end(transaction, commit=commit)
            return Code.NONE
        return Code.NONE if transaction.state == (COMMITTED if commit else ABORTED) else Code.INVALID_TXN_STATE

    def end(self, transaction: Transaction, *, commit: bool) -> None:
        self.journal("end", transaction.name, commit)
        self._finish(transaction, commit=commit)
        self.journal("ended", transaction.name)

    def _finish(self, transaction: Transaction, *, commit: bool) -> None:
        for topic, index in transaction.partitions:
            partition = self.topics.partition(topic, index)
            if partition is not None:
                partition.mark(transaction.producer_id, transaction.epoch, commit=commit)
        if commit:
            for group, offsets in transaction.offsets.items():
                self.groups.get(group).offsets.update(offsets)
        self._clear(transaction, commit=commit)

    @staticmethod
    def _clear(transaction: Transaction, *, commit: bool) -> None:
        transaction.partitions, transaction.offsets = {}, {}
        transaction.state = COMMITTED if commit else ABORTED

    def tick(self, now: float) -> None:
        """Aborts transactions that are over their time, and fences their producers."""
        for transaction in self.by_name.values():
            if transaction.state == ONGOING and now - transaction.since > transaction.timeout_ms / 1000:
                self._bump(transaction)
                self.end(transaction, commit=False)

    # -- surviving ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> list[list[Any]]:
        entries: list[list[Any]] = [["producer-id", self.next_producer]]
        for x in self.by_name.values():
            entries.append(["producer", x.name, x.producer_id, x.epoch, x.timeout_ms])
            if x.state == ONGOING:
                entries.append(["touch", x.name, list(x.partitions)])
                for group, offsets in x.offsets.items():
                    entries.append(["offsets-later", x.name, group, [[*key, *committed] for key, committed in offsets.items()]])
            elif x.state != EMPTY:
                entries += [["end", x.name, x.state == COMMITTED], ["ended", x.name]]
        return entries

    def replay(self, entry: list[Any]) -> bool:
        """Takes one journal entry back; False if it is none of this room's."""
        kind, *rest = entry
        if kind == "producer-id":
            self.next_producer = max(self.next_producer, rest[0])
        elif kind == "producer":
            name, producer_id, epoch, timeout_ms = rest
            known = self.by_name.get(name)
            if known is None or known.producer_id != producer_id:
                self._register(Transaction(name, producer_id, epoch, timeout_ms))
            else:
                if epoch != known.epoch and known.state != ONGOING:
                    known.state = EMPTY
                known.epoch, known.timeout_ms = epoch, timeout_ms
        elif kind == "touch":
            self.by_name[rest[0]].begin()
            self.by_name[rest[0]].partitions.update(dict.fromkeys((topic, index) for topic, index in rest[1]))
        elif kind == "offsets-later":
            self.by_name[rest[0]].begin()
            pending = self.by_name[rest[0]].offsets.setdefault(rest[1], {})
            pending.update({(topic, index): Committed(offset, metadata) for topic, index, offset, metadata in rest[2]})
        elif kind == "end":
            self.undone.append((self.by_name[rest[0]], rest[1]))
        elif kind == "ended":
            transaction, commit = self.undone.pop()
            if commit:
                for group, offsets in transaction.offsets.items():
                    self.groups.get(group).offsets.update(offsets)
            self._clear(transaction, commit=commit)
        else:
            return False
        return True

    def finish_undone(self) -> None:
        """After replay, with the logs open: does what an `end` without its `ended` had decided."""
        for transaction, commit in self.undone:
            self._finish(transaction, commit=commit)
            self.journal("ended", transaction.name)
        self.undone.clear()
