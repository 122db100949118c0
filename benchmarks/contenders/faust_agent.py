"""A Faust agent that does nothing but count: python faust_agent.py BOOTSTRAP TOPIC RECORDS PARTITIONS FOLDER

As Faust's documentation has it, raw values, commits by timer.
"""

import asyncio
import json
import os
import sys
import time

import faust

bootstrap, topic, records, partitions, folder = sys.argv[1:6]
app = faust.App(
    f"agent-{topic}",
    broker=f"kafka://{bootstrap}",
    datadir=folder,
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    consumer_auto_offset_reset="earliest",
    worker_redirect_stdouts=False,
)
source = app.topic(topic, partitions=int(partitions), value_serializer="raw", key_serializer="raw")
seen = 0
began = (0.0, 0.0)


@app.agent(source)
async def nothing(stream):  # type: ignore[no-untyped-def]
    global seen, began
    async for _ in stream:
        seen += 1
        if seen == 100:
            began = time.perf_counter(), time.process_time()
        if seen == int(records):
            seconds, cpu_s, counted = time.perf_counter() - began[0], time.process_time() - began[1], seen - 100
            print(json.dumps({"per_s": counted / seconds, "cpu_us": cpu_s / counted * 1e6}), flush=True)
            os._exit(0)


async def main() -> None:
    app.finalize()
    await app.start()
    await app.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
