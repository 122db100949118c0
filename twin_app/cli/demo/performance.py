"""One performance of the demo, from the first process to the verdict. Whatever happens, its processes are ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from models.errors import TwinError
from twin_app.cli import connect
from twin_app.cli.decoding import EventReader
from twin_app.cli.demo.plant import WORKSHOP, WORKSHOP_NAME
from twin_app.cli.demo.scenario import Scenario, ScenarioTale
from twin_app.cli.demo.stage import WORKERS_START_S, Stage
from twin_app.cli.demo.story import Story
from twin_app.cli.demo.tale import Tale
from twin_app.cli.golden import retell
from twin_app.cli.history import count_records, read_history
from twin_app.cli.send import registration
from twin_app.cli.verdict import Finding, judge
from twin_app.partition import HostSettings
from twin_app.partition.contracts import Contracts
from twin_app.security.kafka import client_security
from twin_app.security.registry import registry_of
from twin_app.settings import Settings

if TYPE_CHECKING:
    from twin_app.cli.demo.verb import Teller

READ_S = 30.0
PICTURE_EVERY_S = 0.2


async def perform(
    folder: Path,
    bootstrap: str | None,
    registry: str | None,
    teller: Teller,
    timeout_s: float,
    stay: Callable[[list[Finding]], None] | None = None,
    scenario: Scenario | None = None,
) -> list[Finding]:
    """Play the factory line's story, or a `scenario`, then check. Raises TwinError when it cannot be played to its end.

    With `stay` the workers go on after the check, which it is told, until the task is cancelled.
    """
    stage = Stage(folder, bootstrap, registry, lambda sentence: teller.tell("demo", sentence))
    try:
        async with asyncio.timeout(timeout_s):
            await stage.open()
            story: Story | ScenarioTale
            if scenario is None:
                story = Story(stage, teller.tell, teller.heard)
            else:
                story = ScenarioTale(stage, teller.tell, teller.heard, scenario)
            pictures = asyncio.ensure_future(_show(story, teller))
            try:
                await story.play()
            finally:
                pictures.cancel()
            if scenario is not None:
                await stage.dismiss_workers()  # its twin never comes to an end by itself
            elif stay is None:
                for worker in stage.workers:
                    worker.ask_to_stop()
            findings = await _check(stage.settings, teller)
            if isinstance(story, ScenarioTale):
                findings += story.findings()
    except TimeoutError as error:
        raise TwinError(
            "demo-stalled", f"the demo did not end within {timeout_s:g} s", remedy="see the logs: `twin demo --keep DIR`"
        ) from error
    else:
        if stay is not None:
            stay(findings)
            await _go_on(stage, teller, scenario)
        return findings
    finally:
        if bootstrap is not None:
            with contextlib.suppress(KafkaError, TimeoutError, AttributeError):
                await asyncio.wait_for(_remove_topics(stage.settings), READ_S)
        stage.processes.end()


async def _go_on(stage: Stage, teller: Teller, scenario: Scenario | None) -> None:
    """For as long as somebody wants to look at it: the scenario's twin, or a workshop that never runs out of work."""
    if scenario is None:
        await _open_workshop(stage)
    else:
        worker = stage.start_worker()
        await stage.until(lambda: stage.all_hosted_by(worker) and worker in stage.pages, WORKERS_START_S, "a worker going on")
    stage.listen()
    page = next(stage.pages[worker] for worker in stage.workers if worker.alive and worker in stage.pages)
    what, twin = ("the plant goes on, with a workshop beside the lines", WORKSHOP_NAME)
    if scenario is not None:
        what, twin = "the twin goes on", scenario.twin
    teller.tell("demo", f"{what}: {page}#{twin} (Ctrl-C ends it)")
    while True:
        await asyncio.sleep(1.0)
        for worker in stage.workers:
            if not worker.alive and worker.popen.returncode >= 0:
                raise worker.died()


async def _open_workshop(stage: Stage) -> None:
    async with connect.producer(stage.settings, READ_S) as writer:
        outgoing = registration(WORKSHOP, "the demo's workshop")
        sending = writer.send_and_wait(stage.settings.config_topic, outgoing.value, key=outgoing.key)
        await connect.within(stage.settings, READ_S, sending)


async def _show(story: Tale, teller: Teller) -> None:
    while True:
        teller.show(story.pictures())
        await asyncio.sleep(PICTURE_EVERY_S)


async def _check(settings: Settings, teller: Teller) -> list[Finding]:
    """Read everything back as a consumer does, and compare it with an undisturbed run of the same commands and clock."""
    histories = await read_history(settings, READ_S)
    counts = count_records(histories)
    teller.tell(
        "demo",
        f"checking: {counts['events']:,} events, {counts['commands']:,} commands and {counts['ticks']:,} ticks are read back",
    )
    contracts = Contracts(settings.topics, registry_of(settings, patience_s=READ_S))
    await contracts.prepare()
    reader = EventReader(settings, READ_S)
    host_settings = HostSettings(config_topic=settings.config_topic)
    golden = []
    for history in histories:
        await contracts.resolve(history.commands)
        await reader.resolve([record.value for record in history.events])
        try:
            golden.append(retell(history, contracts, host_settings))
        except TwinError as error:
            return [Finding("the commands and the clock can be replayed", False, str(error))]
    return judge(histories, golden, lambda value: reader.decode(value, "events"))


async def _remove_topics(settings: Settings) -> None:
    """Leave nothing behind on a broker that is not the demo's own."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **client_security(settings))
    await admin.start()
    try:
        await admin.delete_topics([spec.name for spec in settings.topics.all()])
    finally:
        await admin.close()
