"""Topics: their settings, their partitions, and what is refused."""

import logging
import re
from pathlib import Path

from twin_app.embedded.broker.partition import Partition
from twin_app.embedded.broker.wire import Code

log = logging.getLogger(__name__)

PARTITIONS_PER_TOPIC_MAX = 1024
PARTITIONS_MAX = 8192
NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
FOREVER_MS = (1 << 63) - 1

# The settings this broker acts on, with the defaults of a Kafka broker, and how each is checked.
ACTED_ON = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "max.compaction.lag.ms": str(FOREVER_MS),
    "max.message.bytes": "1048588",
    "min.cleanable.dirty.ratio": "0.5",
    "min.compaction.lag.ms": "0",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
}
# Known to Kafka, accepted and shown, without effect here: there is one copy and one kind of file.
ACCEPTED = {
    "compression.type": "producer",
    "file.delete.delay.ms": "60000",
    "flush.messages": str(FOREVER_MS),
    "flush.ms": str(FOREVER_MS),
    "index.interval.bytes": "4096",
    "message.timestamp.type": "CreateTime",
    "min.insync.replicas": "1",
    "preallocate": "false",
    "segment.index.bytes": "10485760",
    "segment.jitter.ms": "0",
    "unclean.leader.election.enable": "false",
}
DEFAULTS = {**ACTED_ON, **ACCEPTED}


class Topic:
    """A topic with its partitions. `uid` keeps the files of a topic apart from those of a deleted one of the same name."""

    def __init__(self, name: str, uid: int, config: dict[str, str]) -> None:
        self.name = name
        self.uid = uid
        self.config = config
        self.partitions: list[Partition] = []
        self.alive = True

    @property
    def policy(self) -> set[str]:
        return {part.strip() for part in self.setting("cleanup.policy").split(",")}

    def setting(self, name: str) -> str:
        return self.config.get(name, DEFAULTS[name])

    def number(self, name: str) -> int:
        return int(self.setting(name))


def bad_config(config: dict[str, str | None]) -> str | None:
    """Why a topic may not have these settings, or None."""
    for name, value in config.items():
        if name not in DEFAULTS:
            return f"Unknown topic config name: {name}"
        if value is None:
            return f"Null value not supported for topic configs: {name}"
        try:
            if name == "cleanup.policy":
                if not {part.strip() for part in value.split(",")} <= {"delete", "compact"}:
                    return f"cleanup.policy must be of delete, compact: {value}"
            elif name == "min.cleanable.dirty.ratio":
                if not 0.0 <= float(value) <= 1.0:
                    return f"{name} must be between 0 and 1: {value}"
            elif name in ACTED_ON and int(value) < (-1 if name.startswith("retention.") else 0):
                return f"{name} is too low: {value}"
        except ValueError:
            return f"{name} is not a number: {value}"
    return None


class Topics:
    """All topics, by name. The owner journals what these methods change."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self.folder = folder
        self.fsync = fsync
        self.by_name: dict[str, Topic] = {}
        self.next_uid = 1

    def partition(self, topic: str | None, index: int) -> Partition | None:
        found = self.by_name.get(topic or "")
        return found.partitions[index] if found and 0 <= index < len(found.partitions) else None

    def count(self) -> int:
        return sum(len(topic.partitions) for topic in self.by_name.values())

    def refusal(self, name: str | None, partitions: int, replicas: int, config: dict[str, str | None]) -> tuple[Code, str | None]:
        """Why a topic may not be created, or NONE."""
        if not name or not NAME.fullmatch(name) or name in (".", ".."):
            return Code.INVALID_TOPIC, f"Topic name {name!r} is not of 1 to 249 letters, digits, '.', '_' and '-'"
        if name in self.by_name:
            return Code.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists."
        if not 1 <= partitions <= PARTITIONS_PER_TOPIC_MAX or self.count() + partitions > PARTITIONS_MAX:
            limits = f"at most {PARTITIONS_PER_TOPIC_MAX} a topic, {PARTITIONS_MAX} in all"
            return Code.INVALID_PARTITIONS, f"{partitions} partitions; {limits}"
        if replicas not in (-1, 1):
            return Code.INVALID_REPLICATION_FACTOR, f"{replicas} replicas, but this broker is alone"
        wrong = bad_config(config)
        return (Code.INVALID_CONFIG, wrong) if wrong else (Code.NONE, None)

    def create(self, name: str, partitions: int, config: dict[str, str]) -> Topic:
        topic = Topic(name, self.next_uid, config)
        self.next_uid += 1
        self.by_name[name] = topic
        self.grow(topic, partitions)
        return topic

    def grow(self, topic: Topic, partitions: int) -> None:
        while len(topic.partitions) < partitions:
            self._add_partition(topic, 0)

    def reopen(self, name: str, uid: int, starts: list[int], config: dict[str, str]) -> None:
        """Takes a topic up again after a restart; `starts` has the first offset to serve of each partition."""
        topic = self.by_name[name] = Topic(name, uid, config)
        for start in starts:
            self._add_partition(topic, start)

    def _add_partition(self, topic: Topic, start: int) -> None:
        path = self.folder / f"{topic.uid}-{topic.name[:180]}-{len(topic.partitions)}.log"
        partition = Partition(path, fsync=self.fsync)
        cut = partition.open(start)
        if cut:
            log.warning("%s: cut off a torn end of %d bytes", path.name, cut)
        topic.partitions.append(partition)

    def delete(self, name: str) -> None:
        topic = self.by_name.pop(name)
        topic.alive = False
        for partition in topic.partitions:
            partition.delete()

    def sweep(self) -> None:
        """Removes log files that belong to no topic: left by a crash in the middle of a deletion or a rewrite."""
        owned = {partition.path for topic in self.by_name.values() for partition in topic.partitions}
        for path in self.folder.iterdir():
            if path not in owned:
                path.unlink()
