"""`twin status`: who has which partition, in which state, how far behind."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import typer
from prometheus_client.parser import text_string_to_metric_families

from twin_app.cli import connect, output
from twin_app.cli.group import Group, Member, read_group
from twin_app.cli.options import AppId, Bootstrap, Json, Timeout, settings_from
from twin_app.cli.output import ExitCode
from twin_app.metrics import catalogue as c
from twin_app.settings import Settings

ASK_S = 3.0
"""A worker that does not answer in this time is shown without what only it knows."""
ANSWER_BYTES_MAX = 16 << 20

Figures = dict[tuple[str, str], float]
"""Name and partition -> value; for states and reasons, name and partition -> 1 under `name:word`."""


def status(bootstrap: Bootstrap = None, app_id: AppId = None, timeout: Timeout = 15.0, as_json: Json = False) -> None:
    """Show every partition: its owner, state, lag and twins. Ends with 1 if one has no owner or waits for something outside.

    Owners and offsets come from the brokers, the rest from the workers' own metrics.
    """
    settings = settings_from(bootstrap, None, app_id)
    group, figures = connect.run_async(_read(settings, timeout))
    rows = [_row(partition, group, figures) for partition in sorted(group.ends)]
    if as_json:
        for row in rows:
            output.put_json(row)
    else:
        output.say(f"{settings.app_id}: {len(group.members)} workers, group {group.state.lower() or 'unknown'}")
        output.table(rows, ("partition", "state", "lag_records", "lag_s", "twins", "committed", "end", "owner", "why"))
    if any(row["owner"] is None or row["why"] in OUTSIDE for row in rows):
        raise typer.Exit(ExitCode.FAILED)


OUTSIDE = frozenset({"broker-unreachable", "registry-unreachable", "commit-waits", "transaction-lost"})


async def _read(settings: Settings, timeout_s: float) -> tuple[Group, dict[str, Figures]]:
    group = await read_group(settings, timeout_s)
    async with httpx.AsyncClient(timeout=ASK_S, follow_redirects=False) as http:
        answers = await asyncio.gather(*(_ask(http, member) for member in group.members))
    return group, {member.id: found for member, found in zip(group.members, answers, strict=True)}


async def _ask(http: httpx.AsyncClient, member: Member) -> Figures:
    """What a worker says of its partitions; nothing when it does not answer."""
    if member.url is None:
        return {}
    try:
        answer = await http.get(f"{member.url}/metrics", headers={"Accept": "text/plain"})
        if not answer.is_success or len(answer.content) > ANSWER_BYTES_MAX:
            return {}
        return _figures(answer.text)
    except (httpx.HTTPError, ValueError):
        return {}


def _figures(text: str) -> Figures:
    found: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            word = labels.get("state") or labels.get("reason")
            if "partition" in labels and sample.value and word:
                found[f"{sample.name}:{word}", labels["partition"]] = sample.value
            elif "partition" in labels:
                found[sample.name, labels["partition"]] = sample.value
    return found


def _row(partition: int, group: Group, figures: dict[str, Figures]) -> dict[str, Any]:
    owner = group.owner(partition)
    known = figures.get(owner.id, {}) if owner is not None else {}
    committed, end = group.committed.get(partition), group.ends[partition]
    return {
        "partition": partition,
        "state": _word(known, c.PARTITION_STATE.name, partition) or ("no owner" if owner is None else "unknown"),
        "lag_records": max(0, end - (committed or 0)),
        "lag_s": known.get((c.LAG_SECONDS.name, str(partition))),
        "twins": _whole(known.get((c.TWINS.name, str(partition)))),
        "committed": committed,
        "end": end,
        "owner": None if owner is None else owner.url or f"{owner.id} at {owner.host}",
        "why": _word(known, c.PARTITION_WAITING.name, partition),
    }


def _word(known: Figures, name: str, partition: int) -> str | None:
    return next((key.partition(":")[2] for key, p in known if p == str(partition) and key.startswith(f"{name}:")), None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
