"""A bare consume-transform-produce loop on aiokafka, exactly once: python bare_loop.py BOOTSTRAP IN OUT RECORDS PARTITIONS

Per record: read the JSON, make a small JSON answer, send it. One transaction for what one fetch brought. No state, no checks.
"""

import asyncio
import json
import sys
import time

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

POLL_RECORDS = 2_000


async def main(bootstrap: str, source: str, target: str, records: int, partitions: int) -> None:
    group = f"bare-{source}"
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=group, linger_ms=0, max_batch_size=512 << 10)
    await consumer.start()
    await producer.start()
    tps = [TopicPartition(source, p) for p in range(partitions)]
    consumer.assign(tps)
    done, first = 0, (0.0, 0.0, 0)
    while done < records:
        fetched = await consumer.getmany(*tps, timeout_ms=1000, max_records=POLL_RECORDS)
        if not fetched:
            continue
        offsets = {}
        async with producer.transaction():
            for tp, messages in fetched.items():
                for message in messages:
                    command = orjson.loads(message.value)
                    answer = orjson.dumps({"kind": "done", "offset": message.offset, **command})
                    await producer.send(target, answer, message.key, tp.partition, message.timestamp)
                done += len(messages)
                offsets[tp] = messages[-1].offset + 1
            await producer.send_offsets_to_transaction(offsets, group)
        if not first[2]:
            first = (time.perf_counter(), time.process_time(), done)
    counted = done - first[2]
    seconds, cpu_s = time.perf_counter() - first[0], time.process_time() - first[1]
    await consumer.stop()
    await producer.stop()
    print(json.dumps({"per_s": counted / seconds, "cpu_us": cpu_s / counted * 1e6}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
