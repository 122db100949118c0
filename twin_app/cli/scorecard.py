"""`twin scorecard`: how far the forecasts of each twin came true, from the topics alone."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from models.commands import duration_s
from models.errors import TwinError
from models.scorecard import Scorecard
from twin_app.cli import connect, output
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from
from twin_app.security.registry import registry_of
from twin_app.settings import Settings
from twin_app.streaming.scoring import ScoreReader

STYLES = {"green": "green", "amber": "yellow", "red": "bold red", "none": "dim"}


def scorecard(
    twin: Annotated[
        list[str] | None, typer.Argument(metavar="[TWIN]...", help="Only of these twins; else of all.", show_default=False)
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="24h", help="Forecasts of so long a time, until now.")] = "30d",
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Hold every forecast against what then happened: how often its intervals held, its bias, and a trust light."""
    settings = settings_from(bootstrap, registry, app_id)
    try:
        since_ms = time.time_ns() // 1_000_000 - round(1000 * duration_s(since))
    except ValueError as error:
        raise TwinError("bad-option", str(error), place="--since") from None
    cards = connect.run_async(_cards(settings, max(0, since_ms), timeout))
    wanted = [card for card in cards if not twin or card.twin in twin]
    if as_json:
        for card in wanted:
            output.put_json(card.model_dump())
        return
    if not wanted:
        output.note("no forecast is there to be judged")
    for card in wanted:
        output.stdout().print(*_shown(card), sep="\n")


async def _cards(settings: Settings, since_ms: int, timeout_s: float) -> list[Scorecard]:
    specs = settings.topics
    tps = await connect.partitions_of(settings, timeout_s, specs.forecasts.name, specs.events.name)
    async with connect.consumer(settings, timeout_s) as client:
        reader = ScoreReader(settings, client, registry_of(settings, patience_s=timeout_s))
        await connect.within(settings, timeout_s, reader.open({tp.partition for tp in tps}, since_ms))
        await reader.round()
    if reader.unreadable:
        output.note(f"{reader.unreadable:,} records could not be read")
    return sorted((card for _, card in reader.scorecards()), key=lambda card: card.twin)


def _shown(card: Scorecard) -> list[Text | Table]:
    head = Text(card.twin, style="bold").append(f"  {card.light}", style=STYLES[card.light])
    parts = [f"{card.forecasts:,} forecasts judged"]
    if card.voided:
        parts.append(f"{card.voided:,} of them up to a change that nobody foretold")
    if card.open:
        parts.append(f"{card.open:,} not over yet")
    if card.skipped:
        parts.append(f"{card.skipped:,} not judged")
    head.append("  " + ", ".join(parts), style="dim")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("estimate", "trust", "forecasts", "estimates", "said", "held", "gap", "bias", "mean error"):
        table.add_column(column, justify="left" if column in ("estimate", "trust") else "right")
    for score in card.kinds:
        ends = "" if score.gap_low is None else f" [{100 * score.gap_low:+.0f}, {100 * (score.gap_high or 0.0):+.0f}]"
        table.add_row(
            score.kind,
            Text({"none": "too few"}.get(score.light, score.light), style=STYLES[score.light]),
            f"{score.forecasts:,}",
            f"{score.estimates:,}",
            f"{100 * score.expected:.1f} %",
            f"{100 * score.held:.1f} %",
            f"{100 * score.gap:+.1f}{ends}",
            f"{score.bias:+.2f}",
            f"{score.error:+.3g}",
        )
    return [head, table] if card.kinds else [head]
