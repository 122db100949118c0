"""`twin feed`: the records of any topic as arrivals of a twin."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from models.errors import Rejected, TwinError
from twin_app.cli import connect, output
from twin_app.cli.arrival import Recipe, Source
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from


def feed(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic to read: JSON objects.")],
    flow: Annotated[str, typer.Option("--flow", metavar="FLOW", help="The flow that each record's entity enters.")],
    twin: Annotated[str | None, typer.Option("--twin", metavar="TWIN", help="The twin.", show_default=False)] = None,
    twin_field: Annotated[
        str | None,
        typer.Option("--twin-field", metavar="FIELD", help="The record's field that names the twin.", show_default=False),
    ] = None,
    at_field: Annotated[
        str | None,
        typer.Option(
            "--at-field",
            metavar="FIELD",
            help="The record's field with the time of the arrival: ISO 8601, or a number of the twin's time units. Else the "
            "record's own timestamp counts.",
            show_default=False,
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute", metavar="FIELD", help="Only these fields become attributes (repeatable).", show_default=False
        ),
    ] = None,
    shift: Annotated[
        float, typer.Option("--shift", metavar="SECONDS", help="Added to each time: 86400 replays yesterday, paced as it was.")
    ] = 0.0,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="At the first start: all that is kept, not only what comes from now on.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on, or stop at what is there now.")] = True,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Of the feed: its consumer group. Who starts the same later takes over and goes on there.",
            show_default="<app>-feed-<topic>",
        ),
    ] = None,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Feed the records of a topic to twins: each becomes a command that brings an entity. Each record once, through any crash.

    The record's fields are the entity's attributes. What cannot be an arrival becomes a dead letter.
    """
    if (twin is None) == (twin_field is None):
        raise TwinError("bad-option", "the twin is given by --twin or by --twin-field", remedy="give one of them")
    settings = settings_from(bootstrap, registry, app_id)
    if topic in {spec.name for spec in settings.topics.all()}:
        raise TwinError("own-topic", f"{topic} is a topic of the twins themselves", remedy="name the topic that others write")
    recipe = Recipe(flow, twin, twin_field, at_field, shift * 1000.0, frozenset(attribute) if attribute else None)
    from twin_app.cli.feeding import Feed

    def told(record: Source, rejected: Rejected) -> None:
        output.tell(TwinError(rejected.code, rejected.message, place=record.place, remedy=rejected.remedy))

    work = Feed(settings, topic, recipe, name or f"{settings.app_id}-feed-{topic}", timeout, told)
    if follow and not as_json:
        output.note(
            f"feeding {topic} to {twin or 'the twins of ' + str(twin_field)} on {settings.bootstrap_servers}; Ctrl-C ends"
        )
    try:
        connect.run_async(work.run(from_beginning=from_beginning, follow=follow))
    finally:
        tally = work.tally
        if as_json:
            output.put_json(asdict(tally))
        else:
            output.say(f"{tally.fed:,} fed, {tally.refused:,} refused, {tally.empty:,} empty")
