"""Creating the topics, and refusing those that cannot work."""

import asyncio
from collections.abc import Mapping, Sequence, Set

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential

from models.errors import TwinError
from topics.specs import TopicSpec, TopicSpecs

log = structlog.get_logger(__name__)

BROKER_PATIENCE_S = 600.0
"""How long to wait for a broker that cannot be reached before giving up."""

BROKER_WAIT_S_MAX = 10.0
"""Longest pause between two attempts to reach the broker."""

VISIBLE_WITHIN_S = 30.0
"""How long a topic that was just created may take to be known to the broker that is asked."""


async def ensure_topics(
    bootstrap: str,
    specs: TopicSpecs,
    *,
    replication: int = 1,
    patience_s: float = BROKER_PATIENCE_S,
    client_settings: Mapping[str, object] | None = None,
    beside: Sequence[TopicSpec] = (),
) -> dict[str, int]:
    """Create the topics that are missing; returns the number of partitions of every topic by name.

    An existing config topic decides how many partitions the co-partitioned topics that are created get, whatever the
    specs say: twins are where their key hashes to. ``beside``: further topics, with as many. ``client_settings`` are passed to
    aiokafka (security, time-outs).
    Waits up to ``patience_s`` for the broker. Raises TwinError: ``broker-unreachable``; ``partition-count`` when an existing
    topic has another number of partitions than the config topic; ``topic-not-created`` when the broker refuses.
    """
    admin = await _connect(bootstrap, patience_s, dict(client_settings or {}))
    try:
        every = (*specs.all(), *beside)
        names = {spec.name for spec in every}
        existing = await _partition_counts(admin, names)
        partitions = existing.get(specs.config.name, specs.config.partitions)
        wanted = {spec.name: partitions if spec.co_partitioned or spec in beside else spec.partitions for spec in every}
        check_partition_counts(specs, existing, partitions)
        missing = [spec for spec in every if spec.name not in existing]
        if missing:
            await _create(admin, missing, wanted, replication)
            await _wait_until_visible(admin, names, bootstrap)
            # Another worker may have created some of them at the same moment, with other settings.
            check_partition_counts(specs, await _partition_counts(admin, names), partitions)
        return wanted | existing
    finally:
        await admin.close()


def check_partition_counts(specs: TopicSpecs, existing: Mapping[str, int], partitions: int) -> None:
    """Raise TwinError ``partition-count`` when a co-partitioned topic has another count than the config topic."""
    for spec in specs.all():
        count = existing.get(spec.name)
        if spec.co_partitioned and count is not None and count != partitions:
            raise TwinError(
                "partition-count",
                f"it has {count} partitions, but {specs.config.name} has {partitions}: records would be on the wrong partition",
                place=f"topic {spec.name}",
                remedy=f"use another name, or delete it and let it be created again with {partitions} partitions; "
                "the number of partitions of a running application cannot be changed",
            )


async def _connect(bootstrap: str, patience_s: float, settings: dict) -> AIOKafkaAdminClient:
    def tell(attempt: RetryCallState) -> None:
        pause_s = attempt.next_action.sleep if attempt.next_action else 0.0
        log.warning(
            "broker not reachable, waiting", bootstrap=bootstrap, attempt=attempt.attempt_number, next_try_in_s=round(pause_s, 1)
        )

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(KafkaConnectionError),
        stop=stop_after_delay(patience_s),
        wait=wait_exponential(multiplier=0.5, max=BROKER_WAIT_S_MAX),
        before_sleep=tell,
        reraise=True,
    )
    try:
        async for attempt in retrying:
            with attempt:
                admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **settings)
                try:
                    await admin.start()
                except BaseException:
                    await admin.close()
                    raise
                return admin
    except KafkaConnectionError as error:
        raise TwinError(
            "broker-unreachable",
            f"no broker answered within {patience_s:.0f} s: {error}",
            place=bootstrap,
            remedy="start the broker, or correct the bootstrap address and the security settings",
        ) from error
    raise AssertionError("unreachable")


async def _partition_counts(admin: AIOKafkaAdminClient, names: Set[str]) -> dict[str, int]:
    # Asked by listing first: naming an unknown topic in a metadata request may create it with the broker's defaults.
    known = sorted(names & set(await admin.list_topics()))
    if not known:
        return {}
    described = await admin.describe_topics(known)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


async def _create(admin: AIOKafkaAdminClient, missing: list[TopicSpec], wanted: Mapping[str, int], replication: int) -> None:
    requests = [
        NewTopic(name=spec.name, num_partitions=wanted[spec.name], replication_factor=replication, topic_configs=spec.configs())
        for spec in missing
    ]
    try:
        response = await admin.create_topics(requests)
    except TopicAlreadyExistsError:
        return
    except KafkaError as error:
        raise _not_created(", ".join(spec.name for spec in missing), str(error)) from error
    for name, code, *message in response.topic_errors:
        kind = for_code(code)
        if code != 0 and kind is not TopicAlreadyExistsError:
            raise _not_created(name, f"{kind.__name__}: {(message or [None])[0] or kind.description}")
    log.info("topics created", topics=[spec.name for spec in missing])


def _not_created(topic: str, why: str) -> TwinError:
    return TwinError(
        "topic-not-created",
        f"the broker did not create the topic: {why}",
        place=f"topic {topic}",
        remedy="create it by hand, or correct the replication factor and the rights of this user",
    )


async def _wait_until_visible(admin: AIOKafkaAdminClient, names: Set[str], bootstrap: str) -> None:
    """The controller answers before every broker knows of the topic; a client that is too quick gets an error."""
    try:
        async with asyncio.timeout(VISIBLE_WITHIN_S):
            while not names <= set(await _partition_counts(admin, names)):  # noqa: ASYNC110 - the broker sends no notice
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise _not_created(", ".join(sorted(names)), f"{bootstrap} did not know of it after {VISIBLE_WITHIN_S:.0f} s") from error
