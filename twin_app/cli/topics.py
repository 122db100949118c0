"""`twin topics`: what topics the application has, and creating them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from topics.admin import ensure_topics
from topics.specs import TopicSpec
from twin_app.cli import output
from twin_app.cli.connect import run_async
from twin_app.cli.options import AppId, Bootstrap, Json, Timeout, settings_from
from twin_app.security.kafka import client_security


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create those that the broker does not have.")] = False,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions", min=1, max=10_000, help="Of each topic, when it is created; else TWIN_PARTITIONS.", show_default=False
        ),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option("--replication", min=1, max=15, help="Copies of each; else TWIN_REPLICATION_FACTOR.", show_default=False),
    ] = None,
    bootstrap: Bootstrap = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """List the topics of the application: names, keys, policies. With --create, also make those that are missing."""
    settings = settings_from(bootstrap, None, app_id, partitions=partitions, replication_factor=replication)
    specs = settings.topics
    counts: dict[str, int] = {}
    if create:
        counts = run_async(
            ensure_topics(
                settings.bootstrap_servers,
                specs,
                replication=settings.replication_factor,
                patience_s=timeout,
                client_settings=client_security(settings),
            )
        )
    rows = [_row(spec, counts) for spec in specs.all()]
    if as_json:
        for row in rows:
            output.put_json(row)
        return
    output.table(rows, ("name", "partitions", "key", "values", "kept", "meaning"))
    if create:
        output.note(f"all {len(rows)} topics are there, on {settings.bootstrap_servers}")


def _row(spec: TopicSpec, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "role": spec.role,
        "name": spec.name,
        "partitions": counts.get(spec.name, spec.partitions),
        "key": spec.key,
        "values": spec.serializer,
        "kept": _kept(spec),
        "meaning": spec.description,
    }


def _kept(spec: TopicSpec) -> str:
    if spec.cleanup == "compact":
        return "latest per key"
    return "for ever" if spec.retention_ms < 0 else f"{spec.retention_ms / 86_400_000:g} days"
