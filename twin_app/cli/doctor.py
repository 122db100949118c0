"""`twin doctor`: does everything around a worker stand as it must? Each finding with what to do."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from twin_app.cli import connect, output
from twin_app.cli.examination import Finding, examine
from twin_app.cli.options import AppId, Bootstrap, DataDir, Json, Registry, Timeout, settings_from
from twin_app.cli.output import ExitCode

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}


def doctor(
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    data_dir: DataDir = None,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Check settings, versions, the kernel, state folder, brokers, topics, group, registry and clock. Ends with 1 if one fails.

    Changes nothing. What cannot be checked, since something before it failed, is skipped and says so.
    """
    settings = settings_from(bootstrap, registry, app_id, data_dir=data_dir)
    findings: list[Finding] = []

    async def look() -> None:
        async for finding in examine(settings, timeout):
            findings.append(finding)
            _show(finding, as_json)

    connect.run_async(look())
    failed = sum(finding.status == "failed" for finding in findings)
    if not as_json:
        warned = sum(finding.status == "warning" for finding in findings)
        output.note(f"{len(findings)} checks, {failed} failed, {warned} warnings")
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _show(finding: Finding, as_json: bool) -> None:
    if as_json:
        fields: dict[str, Any] = finding._asdict()
        output.put_json(fields)
        return
    line = Text.assemble((f"{finding.status:8}", STYLES[finding.status]), f"{finding.check:10}", finding.said)
    if finding.remedy:
        line.append(f" ({finding.remedy})", style="green")
    output.stdout().print(line)
