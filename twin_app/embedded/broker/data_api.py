"""Produce, Fetch, ListOffsets, DeleteRecords."""

import asyncio
import time
from typing import Any

from twin_app.embedded.broker import batch as batches
from twin_app.embedded.broker.state import Call, State
from twin_app.embedded.broker.topics import Topic
from twin_app.embedded.broker.wire import Code

LATEST, EARLIEST = -1, -2
FETCH_WAIT_MAX_S = 60.0
FETCH_BYTES_MAX = 64 << 20
READ_COMMITTED = 1


def produce(state: State, request: Any, call: Call) -> dict[str, Any] | None:
    """Appends each partition's batches whole or not at all. Without acks no answer is sent."""
    answers = []
    for topic, partitions in request.topics:
        rows = []
        for index, data in partitions:
            code, base = (call.refuse, -1) if call.refuse else _append(state, request, topic, index, data or b"")
            found = state.topics.partition(topic, index)
            rows.append(
                {"partition": index, "error_code": code, "offset": base, "log_start_offset": found.start if found else -1}
            )
        answers.append({"topic": topic, "partitions": rows})
    return {"topics": answers} if request.required_acks != 0 else None


def _append(state: State, request: Any, topic_name: str, index: int, data: bytes) -> tuple[Code, int]:
    topic, partition = state.topics.by_name.get(topic_name or ""), state.topics.partition(topic_name, index)
    if request.required_acks not in (-1, 0, 1):
        return Code.INVALID_REQUIRED_ACKS, -1
    if topic is None or partition is None:
        return Code.UNKNOWN_TOPIC_OR_PARTITION, -1
    try:
        parts = list(batches.split(data))
        for batch, raw in parts:
            code = _check_batch(state, topic, batch, raw, index)
            if code is not Code.NONE:
                return code, -1
    except batches.BadBatch:
        return Code.CORRUPT_MESSAGE, -1
    base = -1
    for batch, raw in parts:
        code, there = partition.check_sequence(batch)
        if code is not Code.NONE:
            return code, -1
        offset = there if there >= 0 else partition.append(raw, batch)
        base = offset if base < 0 else base
    return (Code.NONE, base) if parts else (Code.CORRUPT_MESSAGE, -1)


def _check_batch(state: State, topic: Topic, batch: batches.Batch, raw: bytes, index: int) -> Code:
    if batch.size > topic.number("max.message.bytes"):
        return Code.MESSAGE_TOO_LARGE
    if batch.control or batch.record_count < 1 or batch.record_count != batch.last_delta + 1:
        return Code.INVALID_RECORD
    if batch.transactional:
        code = state.transactions.check_batch(batch.producer_id, batch.producer_epoch, topic.name, index)
        if code is not Code.NONE:
            return code
    if "compact" in topic.policy and any(record.key is None for record in batches.records(raw)):
        return Code.INVALID_RECORD
    return Code.NONE


async def fetch(state: State, request: Any, call: Call) -> dict[str, Any]:
    """Answers at once when there are `min_bytes`, an error, or the wait is over; else when something was appended."""
    deadline = time.monotonic() + min(max(request.max_wait_time, 0) / 1000, FETCH_WAIT_MAX_S)
    while True:
        topics, size, failed, watched = _read_all(state, request, call)
        left = deadline - time.monotonic()
        if size >= max(1, request.min_bytes) or failed or left <= 0 or not watched:
            return {"topics": topics}
        news = asyncio.get_running_loop().create_future()
        for partition in watched:
            partition.waiters.add(news)
        try:
            await asyncio.wait_for(news, left)
        except TimeoutError:
            pass
        finally:
            for partition in watched:
                partition.waiters.discard(news)


def _read_all(state: State, request: Any, call: Call) -> tuple[list[Any], int, bool, list[Any]]:
    committed_only = getattr(request, "isolation_level", 0) == READ_COMMITTED
    room = min(max(request.max_bytes, 0), FETCH_BYTES_MAX)
    size, failed, watched, answers = 0, False, [], []
    for topic, partitions in request.topics or ():
        rows = []
        for row in partitions:
            index, limit = row[0], row[-1]
            offset = row[2] if call.version >= 9 else row[1]  # since version 9 the leader epoch comes before it
            partition = state.topics.partition(topic, index)
            if call.refuse or partition is None:
                code = call.refuse or Code.UNKNOWN_TOPIC_OR_PARTITION
                rows.append({"partition": index, "error_code": code, "highwater_offset": -1, "message_set": b""})
                failed = True
                continue
            facts = {
                "partition": index,
                "highwater_offset": partition.end,
                "last_stable_offset": partition.stable,
                "log_start_offset": partition.start,
                "aborted_transactions": None,
                "message_set": b"",
            }
            if not partition.start <= offset <= partition.end:
                rows.append({**facts, "error_code": Code.OFFSET_OUT_OF_RANGE})
                failed = True
                continue
            below = partition.stable if committed_only else partition.end
            # The first batch of an answer is sent whole even if it is over the limit, so that a consumer never starves.
            if size == 0 or size < room:
                found = partition.read(offset, min(limit, room - size), below)
                if size == 0 or size + len(found) <= room:
                    facts["message_set"] = found
                    size += len(found)
            if committed_only:
                facts["aborted_transactions"] = partition.aborted_between(offset, below)
            watched.append(partition)
            rows.append({**facts, "error_code": Code.NONE})
        answers.append({"topics": topic, "topic": topic, "partitions": rows})
    return answers, size, failed, watched


def list_offsets(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for topic, partitions in request.topics:
        rows = []
        for row in partitions:
            index, timestamp = row[0], row[-1]
            partition = state.topics.partition(topic, index)
            if call.refuse or partition is None:
                code = call.refuse or Code.UNKNOWN_TOPIC_OR_PARTITION
                rows.append({"partition": index, "error_code": code, "timestamp": -1, "offset": -1})
                continue
            committed_only = getattr(request, "isolation_level", 0) == READ_COMMITTED
            if timestamp == LATEST:
                found = (-1, partition.stable if committed_only else partition.end)
            elif timestamp == EARLIEST:
                found = (-1, partition.start)
            else:
                found = partition.offset_at(timestamp)
            rows.append({"partition": index, "error_code": Code.NONE, "timestamp": found[0], "offset": found[1]})
        answers.append({"topic": topic, "partitions": rows})
    return {"topics": answers}


def delete_records(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for topic, partitions in request.topics:
        rows = []
        for index, before in partitions:
            partition = state.topics.partition(topic, index)
            if partition is None:
                rows.append((index, -1, Code.UNKNOWN_TOPIC_OR_PARTITION))
                continue
            before = partition.end if before == -1 else before
            if before < 0 or before > partition.end:
                rows.append((index, -1, Code.OFFSET_OUT_OF_RANGE))
                continue
            state.journal.write("start", topic, index, max(before, partition.start))
            partition.drop_below(before)
            rows.append((index, partition.start, Code.NONE))
        answers.append((topic, rows))
    return {"topics": answers}
