"""`twin worker`: one worker process, until it is told to stop."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from twin_app.cli.options import AppId, Bootstrap, DataDir, Registry, make_folder, settings_from


def worker(
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    data_dir: DataDir = None,
    member_id: Annotated[
        str | None,
        typer.Option("--member-id", metavar="NAME", help="Static group membership; else TWIN_MEMBER_ID.", show_default=False),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions", min=1, max=10_000, help="Of topics that it creates; else TWIN_PARTITIONS.", show_default=False
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level", metavar="LEVEL", help="debug, info, warning or error; else TWIN_LOG_LEVEL.", show_default=False
        ),
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines; else TWIN_LOG_JSON.")] = False,
) -> None:
    """Run a worker: it takes its share of the partitions and lives their twins, until SIGTERM or Ctrl-C.

    Every setting can be given as a TWIN_ environment variable; `twin config` lists them. Waits for broker and registry.
    """
    settings = settings_from(
        bootstrap,
        registry,
        app_id,
        data_dir=data_dir,
        member_id=member_id,
        partitions=partitions,
        log_level=log_level,
        log_json=log_json or None,
    )
    make_folder(settings.data_dir, "TWIN_DATA_DIR")
    # Faust takes a second to import: the other verbs do without it.
    from twin_app.streaming import logs
    from twin_app.streaming.assembly import prepare
    from twin_app.streaming.worker import run_worker
    from twin_app.web import beside

    logs.configure(settings)
    asyncio.run(run_worker(settings, prepare, beside if settings.web_enabled else None))
