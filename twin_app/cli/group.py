"""The workers as the consumer group knows them: who is there, who has which partition, what is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError, for_code
from tenacity import AsyncRetrying, retry_if_exception, wait_fixed

from twin_app.cli import connect
from twin_app.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """A worker. `url`: where it serves HTTP, if it says so."""

    id: str
    host: str
    url: str | None
    partitions: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """`state` as Kafka names it: Stable, PreparingRebalance, CompletingRebalance, Empty, Dead."""

    state: str
    members: tuple[Member, ...]
    committed: dict[int, int]
    """Partition of the config topic -> next offset."""
    ends: dict[int, int]
    """Partition of the config topic -> end of the log, as a read-committed consumer sees it."""

    def owner(self, partition: int) -> Member | None:
        return next((member for member in self.members if partition in member.partitions), None)


async def read_group(settings: Settings, timeout_s: float) -> Group:
    """How the group stands now. Raises TwinError `broker-unreachable`, `unknown-topic`."""
    topic, group = settings.config_topic, settings.app_id
    tps = await connect.partitions_of(settings, timeout_s, topic)
    async with connect.consumer(settings, timeout_s) as client:
        client.assign(tps)
        ends = await connect.within(settings, timeout_s, client.end_offsets(tps))
    async with connect.admin(settings, timeout_s) as admin:
        found = await connect.within(settings, timeout_s, _patiently(partial(_described, admin, group)))
        offsets = partial(admin.list_consumer_group_offsets, group, partitions=tps)
        committed = await connect.within(settings, timeout_s, _patiently(offsets))
    members = tuple(sorted((_member(raw, topic) for raw in found["members"]), key=lambda member: member.partitions))
    known = {tp.partition: at.offset for tp, at in committed.items() if at.offset >= 0}
    return Group(found["state"], members, known, {tp.partition: end for tp, end in ends.items()})


async def _described(admin: AIOKafkaAdminClient, group: str) -> dict[str, Any]:
    [answer] = await admin.describe_consumer_groups([group])
    found: dict[str, Any] = answer.to_object()["groups"][0]
    if found["error_code"]:
        raise for_code(found["error_code"])
    return found


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again for as long as the broker says that it will know later: a new cluster first makes the topic that groups are in,
    and after a restart it is read. The caller sets the limit."""
    later = retry_if_exception(lambda error: isinstance(error, KafkaError) and bool(error.retriable))
    async for attempt in AsyncRetrying(retry=later, wait=wait_fixed(connect.RETRY_S), reraise=True):
        with attempt:
            return await ask()
    raise AssertionError("it is asked until it answers")


def _member(raw: dict[str, Any], topic: str) -> Member:
    partitions: list[int] = []
    if raw["member_assignment"]:
        assigned = ConsumerProtocolMemberAssignment.decode(raw["member_assignment"]).partitions()
        partitions = sorted(tp.partition for tp in assigned if tp == TopicPartition(topic, tp.partition))
    return Member(raw["member_id"], raw["client_host"].lstrip("/"), _url(raw["member_metadata"]), tuple(partitions))


def _url(metadata: bytes) -> str | None:
    """Workers tell the group their URL with Faust's own metadata; None for what is not one of ours."""
    try:
        url = orjson.loads(ConsumerProtocolMemberMetadata.decode(metadata).user_data)["url"]
        return str(url) if urlsplit(url).scheme in ("http", "https") and urlsplit(url).port else None
    except Exception:  # whatever others put there
        return None
