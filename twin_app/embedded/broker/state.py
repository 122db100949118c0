"""Everything the broker knows, and how it comes back after a restart."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from twin_app.embedded.broker.cleaning import clean
from twin_app.embedded.broker.groups import Committed, Groups
from twin_app.embedded.broker.journal import Journal
from twin_app.embedded.broker.topics import Topic, Topics
from twin_app.embedded.broker.transactions import Transactions
from twin_app.embedded.broker.wire import Code

log = logging.getLogger(__name__)

NODE_ID = 1
HOST = "127.0.0.1"
CLUSTER_ID = "twin-embedded"


class Call(NamedTuple):
    """What a request handler knows beside the request: its version, who sent it, and an error it is to answer with."""

    version: int
    client: str
    refuse: Any = Code.NONE


class State:
    """Opens the folder `data` in the constructor; from then on the state in memory and on disk go together."""

    def __init__(self, data: Path, *, fsync: bool, auto_create: bool) -> None:
        logs = data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self.auto_create = auto_create
        self.topics = Topics(logs, fsync=fsync)
        self.groups = Groups()
        self.journal = Journal(data / "journal.jsonl", self.snapshot, fsync=fsync)
        self.transactions = Transactions(self.topics, self.groups, self.journal.write)
        self._replay()

    # -- surviving ------------------------------------------------------------------------------------------------------

    def _replay(self) -> None:
        found: dict[str, tuple[int, list[int], dict[str, str]]] = {}
        for entry in self.journal.replay():
            kind, *rest = entry
            if kind == "topic":
                name, uid, partitions, config = rest
                self.topics.next_uid = max(self.topics.next_uid, uid + 1)
                found[name] = (uid, [0] * partitions, config)
            elif kind == "grow":
                found[rest[0]][1].extend([0] * (rest[1] - len(found[rest[0]][1])))
            elif kind == "config":
                found[rest[0]][2].clear()
                found[rest[0]][2].update(rest[1])
            elif kind == "drop-topic":
                del found[rest[0]]
            elif kind == "start":
                found[rest[0]][1][rest[1]] = max(found[rest[0]][1][rest[1]], rest[2])
            elif kind == "offset":
                group, topic, index, offset, metadata = rest
                self.groups.get(group).offsets[topic, index] = Committed(offset, metadata)
            elif kind == "forget-offset":
                self.groups.get(rest[0]).offsets.pop((rest[1], rest[2]), None)
            elif kind == "drop-group":
                self.groups.by_name.pop(rest[0], None)
            elif not self.transactions.replay(entry):
                log.warning("journal: entry of unknown kind %r passed over", kind)
        for name, (uid, starts, config) in found.items():
            self.topics.reopen(name, uid, starts, config)
        self.topics.sweep()
        self.transactions.finish_undone()
        self._settle_strays()

    def _settle_strays(self) -> None:
        """Aborts what is open in a log and belongs to no open transaction, so that no reader waits for it for ever."""
        for topic in self.topics.by_name.values():
            for index, partition in enumerate(topic.partitions):
                for producer_id in list(partition.open_transactions):
                    owner = self.transactions.by_producer.get(producer_id)
                    if owner is None or (topic.name, index) not in owner.partitions:
                        epoch = partition.producers[producer_id].epoch if producer_id in partition.producers else 0
                        partition.mark(producer_id, epoch, commit=False)

    def snapshot(self) -> Iterable[list[Any]]:
        for topic in self.topics.by_name.values():
            yield ["topic", topic.name, topic.uid, len(topic.partitions), topic.config]
            for index, partition in enumerate(topic.partitions):
                if partition.start:
                    yield ["start", topic.name, index, partition.start]
        for group in self.groups.by_name.values():
            for (name, index), committed in group.offsets.items():
                yield ["offset", group.name, name, index, *committed]
        yield from self.transactions.snapshot()

    def close(self) -> None:
        for topic in self.topics.by_name.values():
            for partition in topic.partitions:
                partition.close()
        self.journal.close()

    # -- topics ---------------------------------------------------------------------------------------------------------

    def create_topic(self, name: str, partitions: int, config: dict[str, str]) -> Topic:
        topic = self.topics.create(name, partitions, config)
        self.journal.write("topic", name, topic.uid, partitions, config)
        return topic

    def delete_topic(self, name: str) -> None:
        self.journal.write("drop-topic", name)
        self.topics.delete(name)
        self.groups.drop_topic(name, self.journal.write)

    # -- time -----------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        now = time.monotonic()
        self.groups.tick(now)
        self.transactions.tick(now)
        self.journal.shrink()

    async def clean(self) -> None:
        now_ms = int(time.time() * 1000)
        for topic in list(self.topics.by_name.values()):
            for index, partition in enumerate(topic.partitions):
                if topic.alive:

                    def moved(start: int, name: str = topic.name, index: int = index) -> None:
                        self.journal.write("start", name, index, start)

                    await clean(topic, partition, now_ms, moved)
