"""How this process connects: the arguments that all consumers, producers and admin clients share."""

from __future__ import annotations

from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from twin_app.security.kafka import broker_tls, client_security, token_provider
from twin_app.settings import Settings

RECORD_OVERHEAD_BYTES = 64 << 10
"""Room for key, headers and framing around a record of the largest size."""
PRODUCER_BATCH_BYTES = 512 << 10
"""Records of one partition sent together; below the size that any topic lets through. A larger record goes alone."""
PRODUCER_BACKOFF_S = 0.02
"""Pause before a producer repeats a request. A new transaction often meets the end of the last one still being written, and
the broker then answers 'try again': the usual 100 ms would be felt."""
REPLAY_FETCH_BYTES = 4 << 20
"""Prefetched per partition by a side consumer; a larger record still comes through alone."""


def connection(settings: Settings) -> dict[str, Any]:
    """Arguments common to every client."""
    timeout_ms = int(settings.request_timeout_s * 1000)
    return {"bootstrap_servers": settings.bootstrap, "request_timeout_ms": timeout_ms, **client_security(settings)}


def credentials(settings: Settings) -> faust.Credentials | None:
    """The same security as Faust takes it, for its consumer and its producer; None without any."""
    context = broker_tls(settings)
    if not settings.uses_sasl:
        return None if context is None else faust.SSLCredentials(context)
    if settings.sasl_mechanism == "OAUTHBEARER":
        return faust.OAuthCredentials(oauth_cb=token_provider(settings), ssl_context=context)
    arguments = client_security(settings)
    return faust.SASLCredentials(
        username=arguments["sasl_plain_username"],
        password=arguments["sasl_plain_password"],
        ssl_context=context,
        mechanism=arguments["sasl_mechanism"],
    )


def largest_message(settings: Settings) -> int:
    """What brokers, topics, producers and fetches must let through, in bytes."""
    return settings.record_bytes_max + RECORD_OVERHEAD_BYTES


def side_consumer(settings: Settings) -> AIOKafkaConsumer:
    """A read-committed consumer outside the group, to be assigned by hand."""
    return AIOKafkaConsumer(
        **connection(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=REPLAY_FETCH_BYTES,
    )


def partition_producer(settings: Settings, transactional_id: str) -> AIOKafkaProducer:
    """A transactional producer; its `start` fences every earlier one of the same id."""
    producer = AIOKafkaProducer(
        **connection(settings),
        transactional_id=transactional_id,
        acks="all",
        transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
        linger_ms=0,
        max_request_size=largest_message(settings),
        max_batch_size=PRODUCER_BATCH_BYTES,
        compression_type=settings.compression_type,
    )
    producer._sender._retry_backoff = PRODUCER_BACKOFF_S  # not the client's: it would ask a dead broker as often
    return producer


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """An admin client, not yet started."""
    return AIOKafkaAdminClient(**connection(settings))
