"""A worker process with counting hosts: `python -m tests.streaming.counting_worker OUT_TOPIC`; settings from TWIN_*."""

import asyncio
import sys

from tests.streaming.counting import CountingHosting
from topics.admin import ensure_topics
from twin_app.settings import Settings, load_settings
from twin_app.streaming import logs
from twin_app.streaming.worker import run_worker


async def prepare(settings: Settings) -> tuple[Settings, CountingHosting]:
    await ensure_topics(settings.bootstrap_servers, settings.topics)
    return settings, CountingHosting(sys.argv[1])


if __name__ == "__main__":
    settings = load_settings()
    logs.configure(settings)
    asyncio.run(run_worker(settings, prepare))
