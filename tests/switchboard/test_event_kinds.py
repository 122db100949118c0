"""Every kind of event that is documented is told, with the payload that is documented; none is told that is not."""

import re
from pathlib import Path

import orjson

from models.event_kinds import ACKNOWLEDGING, EVENT_KINDS, OWNERS_KINDS
from tests.histories.history import FOLDER, History

ROOT = Path(__file__).resolve().parents[2]
KINDS = EVENT_KINDS | OWNERS_KINDS
ELSEWHERE = {"entity-moved", "entity-refused", "schedule-refused", "forecast-requested", "questions-changed", "twin-unchanged"}
"""Told in no recorded history; each has a test of its own, which is looked for below."""


def told() -> dict[str, dict]:
    """One event of each kind that the recorded histories hold."""
    found: dict[str, dict] = {}
    for path in sorted(FOLDER.glob("*.jsonl")):
        for _, topic, value in History.load(path).told:
            if topic == "sim-events":
                event = orjson.loads(value)
                found.setdefault(event["kind"], event["payload"])
    return found


def test_no_documented_kind_is_never_told():
    missing = set(KINDS) - set(told())
    assert missing <= ELSEWHERE
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path.name != Path(__file__).name)
    assert [kind for kind in sorted(ELSEWHERE) if f'"{kind}"' not in tests] == []


def test_no_kind_is_told_with_another_payload_than_is_documented():
    for kind, payload in told().items():
        if kind in KINDS:
            own = {name: value for name, value in payload.items() if name not in ACKNOWLEDGING}
            KINDS[kind].model_validate(own)


def test_no_kind_that_the_code_tells_is_undocumented():
    sources = "\n".join(path.read_text() for folder in ("twin_app", "models") for path in (ROOT / folder).rglob("*.py"))
    named = re.findall(r'(?:emit|note|_note|_tell|report)\(\s*"([a-z]+(?:-[a-z]+)+)"', sources)
    assert len(named) > 25
    assert sorted(set(named) - set(KINDS)) == []
