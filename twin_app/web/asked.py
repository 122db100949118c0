"""What a request asks for, read from its path, query and body: each within bounds, each refusal with its place."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from models.commands import TWIN_NAME, instant
from models.errors import TwinError
from twin_app.web.shapes import Ask

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
TEXT_CHARS_MAX = 200
PAST_DEFAULT = timedelta(minutes=15)
PAST_MAX = timedelta(days=31)


def twin(request: web.Request) -> str:
    """The twin's name in the path. Raises TwinError `unknown-twin` for what can be no name."""
    name = request.match_info["twin"]
    if re.fullmatch(TWIN_NAME, name) is None:
        raise TwinError(
            "unknown-twin",
            "a twin's name has 1 to 100 letters, digits, underscores and hyphens",
            place="twin",
            remedy="see /api/twins for those there are",
        )
    return name


def known(request: web.Request, *names: str) -> None:
    """Raises TwinError `bad-request` for a parameter that is not one of these, or given twice."""
    for name in request.query:
        if name not in names:
            remedy = f"there are: {', '.join(names)}" if names else "there are none here"
            raise TwinError("bad-request", f"there is no parameter {name[:40]!r}", place="query", remedy=remedy)
        if len(request.query.getall(name)) > 1:
            raise TwinError("bad-request", "the parameter is given more than once", place=f"query {name}", remedy="give it once")


def whole(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number in bounds."""
    text = request.query.get(name)
    if text is None:
        return default
    if re.fullmatch(r"-?[0-9]{1,18}", text) is None or not low <= int(text) <= high:
        raise TwinError(
            "bad-request", f"{text[:40]!r} is no whole number from {low} to {high}", place=f"query {name}", remedy="correct it"
        )
    return int(text)


def seconds(request: web.Request, name: str, default: float, high: float) -> float:
    """A length of time from 0."""
    text = request.query.get(name)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) is None or not isfinite(float(text)) or float(text) > high:
        raise TwinError(
            "bad-request", f"{text[:40]!r} is no number of seconds from 0 to {high:g}", place=f"query {name}", remedy="correct it"
        )
    return float(text)


def flag(request: web.Request, name: str) -> bool:
    """`true` or `false`."""
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise TwinError("bad-request", f"{text[:40]!r} is neither true nor false", place=f"query {name}", remedy="correct it")
    return text == "true"


def text(request: web.Request, name: str) -> str:
    """A short text, empty by default."""
    given = request.query.get(name, "")
    if len(given) > TEXT_CHARS_MAX:
        raise TwinError("bad-request", f"longer than {TEXT_CHARS_MAX} characters", place=f"query {name}", remedy="shorten it")
    return given


def words(request: web.Request, name: str, allowed: tuple[str, ...]) -> frozenset[str]:
    """Some of the allowed words, separated by commas; all of them by default."""
    given = request.query.get(name)
    if given is None:
        return frozenset(allowed)
    chosen = frozenset(given[:TEXT_CHARS_MAX].split(","))
    if not chosen <= frozenset(allowed):
        remedy = f"choose from: {', '.join(allowed)}"
        raise TwinError("bad-request", f"{given[:40]!r} names something else", place=f"query {name}", remedy=remedy)
    return chosen


def stretch(request: web.Request) -> tuple[datetime, datetime]:
    """`from` and `to`: the last quarter of an hour by default. Raises TwinError `bad-request`, `bad-stretch`."""
    end = _instant(request, "to") or datetime.now(UTC)
    start = _instant(request, "from")
    if start is None:
        start = end - PAST_DEFAULT if end.year > 1 else end
    if end - start > PAST_MAX:
        raise TwinError(
            "bad-stretch", f"the stretch is longer than {PAST_MAX.days} days", place="query from", remedy="ask for a shorter one"
        )
    return start, end


def _instant(request: web.Request, name: str) -> datetime | None:
    given = request.query.get(name)
    if given is None:
        return None
    try:
        moment = instant(given)
    except ValueError as error:
        raise TwinError("bad-request", str(error)[:300], place=f"query {name}", remedy="correct it") from error
    assert isinstance(moment, datetime)
    return moment


async def json_body(request: web.Request) -> bytes:
    """The body. Its type must be JSON, which no page of another origin can send unasked. Raises TwinError `not-json`."""
    if request.content_type != "application/json":
        raise TwinError(
            "not-json", "the body must be JSON", place="header Content-Type", remedy="send Content-Type: application/json"
        )
    return await request.read()


async def question(request: web.Request) -> Ask:
    """The body of a forecast request. Raises TwinError `not-json`, `bad-request`."""
    body = await json_body(request)
    try:
        return Ask.model_validate_json(body, strict=True)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:TEXT_CHARS_MAX]
        raise TwinError("bad-request", str(first["msg"])[:300], place=f"body {where}".strip(), remedy="correct it") from error
