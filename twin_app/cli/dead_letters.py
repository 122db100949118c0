"""`twin dead-letters`: the commands that were refused; list them, look at one, send them again."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.letters import Letter, Planned, as_command, edited, originals, read_letters, send_again
from twin_app.cli.options import AppId, Bootstrap, Json, Timeout, settings_from
from twin_app.cli.output import ExitCode
from twin_app.settings import Settings

dead_letters = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Commands that were refused: list them, look at one, send them again.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

SHOWN_CHARS = 60
VALUE_CHARS_MAX = 20_000

Twins = Annotated[list[str] | None, typer.Option("--twin", help="Only of these twins (repeatable).", show_default=False)]
Codes = Annotated[
    list[str] | None,
    typer.Option("--code", help="Only refused for these reasons, e.g. unknown-path (repeatable).", show_default=False),
]


@dead_letters.command("list")
def list_(
    twin: Twins = None,
    code: Codes = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that were not sent again.")] = False,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=100_000, help="Only the last N.")] = 100,
    bootstrap: Bootstrap = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """List what was refused, oldest first: where, why, and whether it was sent again."""
    settings = settings_from(bootstrap, None, app_id)
    found = _chosen(connect.run_async(read_letters(settings, timeout)), twin, code)
    found = [letter for letter in found if not (open_only and letter.replayed)]
    found.sort(key=lambda kept: (kept.letter.timestamp_ms, kept.partition, kept.offset))
    shown = found[-last:]
    if as_json:
        for kept in shown:
            output.put_json(_fields(kept))
        return
    output.table([_row(kept) for kept in shown], ("place", "twin", "code", "command", "sent again", "reason"))
    hidden = f", the last {len(shown):,} shown" if len(shown) < len(found) else ""
    output.note(f"{len(found):,} dead letter(s){hidden}; `twin dead-letters show PLACE` for all of one")


@dead_letters.command("show")
def show(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="As `list` gives it: partition@offset.")],
    bootstrap: Bootstrap = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Show one dead letter: why it was refused, what to do, and what was sent, with its headers."""
    settings = settings_from(bootstrap, None, app_id)

    async def find() -> tuple[Letter, Planned | TwinError]:
        [kept] = _named(await read_letters(settings, timeout), [place])
        [planned] = await originals(settings, timeout, [kept])
        return kept, planned

    kept, planned = connect.run_async(find())
    headers = (
        []
        if isinstance(planned, TwinError)
        else [[name, value.decode(errors="replace")] for name, value in planned.record.headers]
    )
    if as_json:
        output.put_json({**_fields(kept), "headers": headers})
        return
    letter = kept.letter
    output.say(f"{kept.source}  {letter.reason} [{letter.code}]", style="bold")
    for name, text in (("remedy", letter.remedy), ("twin", kept.twin), ("path", letter.path), ("key", letter.key)):
        if text is not None:
            output.say(f"{name}: {text}")
    for name, value in headers:
        output.say(f"header {name}: {value}")
    for where in kept.replayed:
        output.say(f"sent again: {where}", style="green")
    value = letter.value or ""
    cut = f" (the first {VALUE_CHARS_MAX:,} characters)" if len(value) > VALUE_CHARS_MAX else ""
    output.say(f"value, {letter.value_bytes:,} bytes, {letter.value_encoding}{cut}:" if letter.value is not None else "no value")
    output.say(value[:VALUE_CHARS_MAX])


@dead_letters.command("replay")
def replay(
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="PLACE...", help="Which, as `list` gives them: partition@offset.", show_default=False),
    ] = None,
    twin: Twins = None,
    code: Codes = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were not sent again, of whatever twin and reason.")] = False,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=JSON", help="Give a field of the JSON another value first (repeatable).", show_default=False
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send. Without it, only what would be sent is shown.")] = False,
    bootstrap: Bootstrap = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Send refused commands again: the same bytes, key and headers, and a header that says so. Shows the plan; --yes sends.

    What was sent again is marked in the same transaction, so that it is not sent twice. Commands act when they come: those that
    others overtook in the meantime may be refused again, or undo what is newer. A record that `twin feed` refused is sent as the
    command that the feed would make of it; --set corrects the record's fields.
    """
    if not (places or twin or code or everything):
        raise TwinError("bad-option", "nothing says which dead letters are meant", remedy="name places, --twin, --code, or --all")
    changes = _changes(change or [])
    settings = settings_from(bootstrap, None, app_id)

    async def find() -> list[Planned | TwinError]:
        letters = await read_letters(settings, timeout)
        chosen = _chosen(_named(letters, places) if places else letters, twin, code)
        return await originals(settings, timeout, [kept for kept in chosen if again or not kept.replayed])

    found = [_prepared(item, changes) for item in connect.run_async(find())]
    for item in found:
        if isinstance(item, TwinError):
            if places:
                raise item
            output.tell(item)
    planned = [item for item in found if isinstance(item, Planned)]
    if not found:
        output.note("nothing to send: no dead letter fits, or all were sent again before (--again sends them once more)")
    elif not yes:
        _show_plan(settings, planned, as_json)
    else:
        _send(settings, timeout, planned, as_json)
    if len(planned) < len(found):
        output.note(f"{len(found) - len(planned):,} left out: they cannot be sent like that")
        raise typer.Exit(ExitCode.WRONG_INPUT)


def _show_plan(settings: Settings, planned: list[Planned], as_json: bool) -> None:
    for item in planned:
        row = _row(item.letter) | {"bytes": len(item.record.value or b""), "headers": len(item.record.headers)}
        command = _text(item.record.value)
        if as_json:
            output.put_json({"planned": {**row, "value": command}})
        else:
            where = f"{item.letter.source} to {settings.config_topic}"
            output.say(f"would send {row['bytes']:,} bytes of {where}: {command[:SHOWN_CHARS]}")
    output.note(f"{len(planned):,} command(s); nothing was sent: add --yes")


def _send(settings: Settings, timeout_s: float, planned: list[Planned], as_json: bool) -> None:
    def told(kept: Letter, place: str) -> None:
        if as_json:
            output.put_json({"replayed": {"place": kept.place, "source": kept.source, "as": place}})
        else:
            output.stdout().print(Text.assemble(f"{kept.source} sent again as ", (place, "green")))

    left_out = connect.run_async(send_again(settings, timeout_s, planned, told))
    if left_out:
        output.note(f"{left_out:,} left out: somebody else sent them again in the meantime")


def _prepared(found: Planned | TwinError, changes: dict[str, Any]) -> Planned | TwinError:
    """As it would be sent, or why it cannot be."""
    try:
        return found if isinstance(found, TwinError) else as_command(edited(found, changes))
    except TwinError as error:
        return error


def _chosen(letters: list[Letter], twins: list[str] | None, codes: list[str] | None) -> list[Letter]:
    return [kept for kept in letters if (not twins or kept.twin in twins) and (not codes or kept.letter.code in codes)]


def _named(letters: list[Letter], places: list[str]) -> list[Letter]:
    """Those at the places. Raises TwinError `no-such-letter`."""
    by_place = {kept.place: kept for kept in letters}
    stray = next((place for place in places if place not in by_place), None)
    if stray is not None:
        remedy = "`twin dead-letters list` gives the places, such as 3@17"
        raise TwinError("no-such-letter", f"there is no dead letter at {stray[:60]!r}", remedy=remedy)
    return [by_place[place] for place in dict.fromkeys(places)]


def _changes(texts: list[str]) -> dict[str, Any]:
    """`FIELD=JSON` as fields. Raises TwinError `bad-option`."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            found[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            equals = ""
        if not name or not equals:
            raise TwinError(
                "bad-option",
                f"--set {text[:60]!r} is not FIELD=JSON",
                remedy="for example --set value=2, or 'path=\"variables.x\"'",
            )
    return found


def _row(kept: Letter) -> dict[str, Any]:
    letter = kept.letter
    return {
        "place": kept.place,
        "source": kept.source,
        "twin": kept.twin,
        "code": letter.code,
        "command": _text(letter.value.encode() if letter.value is not None else None)[:SHOWN_CHARS],
        "sent again": ", ".join(kept.replayed) or None,
        "reason": letter.reason[:200],
    }


def _fields(kept: Letter) -> dict[str, Any]:
    return {"place": kept.place, "replayed": kept.replayed, **kept.letter.model_dump(exclude={"replayed_offset", "replayed_as"})}


def _text(value: bytes | None) -> str:
    return "(no value)" if value is None else value.decode(errors="replace").replace("\n", " ")
