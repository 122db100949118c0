"""The topics: their names, keys, partitions and policies. What each carries is in :mod:`topics.asyncapi`.

Topics that are *co-partitioned* have as many partitions as the config topic: partition *p* of each belongs to the host of
config partition *p*.
"""

from dataclasses import dataclass, replace
from typing import Literal

from models.errors import TwinError

DAY_MS = 24 * 60 * 60 * 1000
FOREVER_MS = -1

LARGE_RECORD_BYTES_MAX = 16 * 1024 * 1024
"""Largest row of a changelog: a checkpoint holds all the work in progress of a twin. The broker's own limit for a replica
fetch and the clients' request sizes must allow it too."""

COMMAND_BYTES_MAX = 1024 * 1024
"""Largest command that is looked into; the topic itself takes more, so that an oversized one becomes a dead letter that names
its producer's mistake."""

TOPIC_NAME_CHARS_MAX = 249
"""Kafka's limit."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. ``retention_ms`` -1 keeps for ever; a compacted topic keeps the latest record per key for ever."""

    role: str
    name: str
    key: str
    description: str
    partitions: int
    serializer: Literal["json", "avro", "msgpack", "bytes"]
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = 7 * DAY_MS
    record_bytes_max: int | None = None
    co_partitioned: bool = True

    def configs(self) -> dict[str, str]:
        """The broker's settings for this topic."""
        configs: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.cleanup == "delete":
            configs["retention.ms"] = str(self.retention_ms)
        else:
            # Recovery reads the whole topic: compact early, and in small segments, so that it stays short.
            configs["min.cleanable.dirty.ratio"] = "0.2"
            configs["segment.ms"] = str(DAY_MS // 4)
        if self.record_bytes_max is not None:
            configs["max.message.bytes"] = str(self.record_bytes_max)
        return configs


@dataclass(frozen=True, slots=True)
class TopicSpecs:
    """Every topic of one application, by role."""

    config: TopicSpec
    clock: TopicSpec
    events: TopicSpec
    vitals: TopicSpec
    forecasts: TopicSpec
    alerts: TopicSpec
    dead_letters: TopicSpec
    divergence: TopicSpec
    registry_changelog: TopicSpec
    checkpoint_changelog: TopicSpec

    def all(self) -> tuple[TopicSpec, ...]:
        """In a fixed order, the config topic first."""
        return (
            self.config,
            self.clock,
            self.events,
            self.vitals,
            self.forecasts,
            self.alerts,
            self.dead_letters,
            self.divergence,
            self.registry_changelog,
            self.checkpoint_changelog,
        )


def topic_specs(*, app: str = "twin", prefix: str = "", partitions: int = 4, names: dict[str, str] | None = None) -> TopicSpecs:
    """The topics of the application ``app``.

    ``prefix`` is put before every name except the changelogs', which carry ``app``; ``names`` replaces single names by role
    (``{"events": "plant-events"}``). Raises TwinError ``bad-topic`` for unknown roles, illegal or repeated names and for
    fewer than one partition.
    """
    if partitions < 1:
        raise TwinError(
            "bad-topic", f"a topic needs at least one partition, not {partitions}", remedy="set partitions to 1 or more"
        )
    specs = _defaults(app, prefix, partitions)
    roles = {spec.role: spec for spec in specs.all()}
    chosen = dict(names or {})
    for role, name in chosen.items():
        if role not in roles:
            raise TwinError("bad-topic", f"there is no topic role {role!r}", remedy=f"use one of {', '.join(sorted(roles))}")
        roles[role] = replace(roles[role], name=name)
    seen: dict[str, str] = {}
    for spec in roles.values():
        check_name(spec.name, spec.role)
        if spec.name in seen:
            raise TwinError(
                "bad-topic",
                f"the topics for {seen[spec.name]} and {spec.role} have the same name {spec.name!r}",
                remedy="give every role a topic of its own",
            )
        seen[spec.name] = spec.role
    return TopicSpecs(**roles)


def check_name(name: str, role: str) -> None:
    """Raise TwinError ``bad-topic`` if this cannot be the name of a topic."""
    legal = name.isascii() and all(letter.isalnum() or letter in "._-" for letter in name)
    if not legal or not 0 < len(name) <= TOPIC_NAME_CHARS_MAX or name in (".", ".."):
        raise TwinError(
            "bad-topic",
            f"{name!r} is not a topic name",
            place=f"topic role {role}",
            remedy=f"use up to {TOPIC_NAME_CHARS_MAX} letters, digits, dots, underscores and hyphens",
        )


def _defaults(app: str, prefix: str, partitions: int) -> TopicSpecs:
    def changelog(role: str, table: str, description: str) -> TopicSpec:
        return TopicSpec(
            role=role,
            name=f"{app}-{table}-changelog",
            key="row",
            description=description,
            partitions=partitions,
            serializer="bytes",
            cleanup="compact",
            record_bytes_max=LARGE_RECORD_BYTES_MAX,
        )

    return TopicSpecs(
        config=TopicSpec(
            role="config",
            name=f"{prefix}twin-config",
            key="twin",
            description="Commands to twins, in order per twin. Kept for ever: with the clock it is the history of every twin.",
            partitions=partitions,
            serializer="json",
            retention_ms=FOREVER_MS,
            record_bytes_max=4 * COMMAND_BYTES_MAX,
        ),
        clock=TopicSpec(
            role="clock",
            name=f"{prefix}twin-clock",
            key="partition",
            description="How far simulation time went and which commands had been applied by then. Kept for ever.",
            partitions=partitions,
            serializer="msgpack",
            retention_ms=FOREVER_MS,
        ),
        events=TopicSpec(
            role="events",
            name=f"{prefix}sim-events",
            key="twin",
            description="What happens in the twins, without gaps per twin.",
            partitions=partitions,
            serializer="avro",
            retention_ms=30 * DAY_MS,
            record_bytes_max=2 * COMMAND_BYTES_MAX,
        ),
        vitals=TopicSpec(
            role="vitals",
            name=f"{prefix}sim-vitals",
            key="twin or partition",
            description="Measurements of the twins and of the system, among them its lag.",
            partitions=partitions,
            serializer="json",
            retention_ms=7 * DAY_MS,
        ),
        forecasts=TopicSpec(
            role="forecasts",
            name=f"{prefix}sim-forecasts",
            key="twin",
            description="What is going to happen, computed from the live state.",
            partitions=partitions,
            serializer="avro",
            retention_ms=30 * DAY_MS,
            record_bytes_max=4 * COMMAND_BYTES_MAX,
        ),
        alerts=TopicSpec(
            role="alerts",
            name=f"{prefix}sim-alerts",
            key="twin/question, with /entity where it is about one",
            description="Standing questions that have become true, or are not true any more: the latest of a key is its state.",
            partitions=partitions,
            serializer="avro",
            cleanup="compact",
        ),
        dead_letters=TopicSpec(
            role="dead_letters",
            name=f"{prefix}twin-dead-letters",
            key="key of the rejected record",
            description="Commands that were rejected, each with its place, value and reason.",
            partitions=partitions,
            serializer="json",
            retention_ms=30 * DAY_MS,
            # The value of the rejected record is inside, at up to 4/3 of its size.
            record_bytes_max=8 * COMMAND_BYTES_MAX,
        ),
        divergence=TopicSpec(
            role="divergence",
            name=f"{prefix}sim-divergence",
            key="twin",
            description="How far the twins were from reality: the events of kind `divergence-measured` once more.",
            partitions=partitions,
            serializer="avro",
            retention_ms=30 * DAY_MS,
        ),
        registry_changelog=changelog("registry_changelog", "registry", "Latest value of every path, for recovery."),
        checkpoint_changelog=changelog("checkpoint_changelog", "checkpoint", "Latest saved state of every twin, for recovery."),
    )
