"""A register with keep_work: the twin goes on, its rows and answers agree with it, and a replay tells the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest

from models.errors import Rejected
from tests.partition.test_host import EVERY_TICK, run
from tests.partition.world import T0_US, Log, line, new_host, recover, replay
from twin_app.switchboard import parse

CUTS = [x * 0.5 for x in range(1, 61)]


def polished(**changes: Any) -> dict[str, Any]:
    """The line with a step in front of the others, another capacity, and without the second machine's distribution."""
    document = line(**changes)
    document["flows"]["make"].insert(0, {"polish": {"delay": 0.25}})
    document["resources"]["a"]["capacity"] = 2
    document["variables"] = {"mode": "auto"}
    return document


def story(log: Log, **register: Any) -> int:
    log.write("Line_A", {"kind": "register", "blueprint": line(variables={"old": 1})}, 0.0)
    log.write("Line_A", {"path": "resources.b.capacity", "value": 1}, 2.0)
    log.write("Line_A", {"path": "resources.b.capacity", "value": 4, "at": 20.0}, 2.5)
    log.write("Line_A", {"path": "variables.old", "value": 2, "at": 21.0}, 2.5)
    command = {"kind": "register", "blueprint": polished(), "replace": True, "keep_work": True, **register}
    offset = log.write("Line_A", command, 10.3)
    log.write("Line_A", {"path": "variables.mode", "value": "manual"}, 12.0)
    return offset


def test_the_twin_goes_on_and_no_row_of_what_is_gone_stays() -> None:
    log = Log()
    offset = story(log, id="v2")
    committed = run(log, CUTS)
    events = committed.events
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    [told] = [e for e in events if e["kind"] == "twin-migrated"]
    assert told["cause"]["offset"] == offset
    assert told["payload"]["command"] == "v2"
    assert told["sim_time"] == pytest.approx(10.3)
    counted = {
        name: told["payload"][name] for name in ("entities_moved", "parameters_taken", "parameters_new", "parameters_gone")
    }
    assert counted == {"entities_moved": 0, "parameters_taken": 1, "parameters_new": 1, "parameters_gone": 1}
    rows = {key.decode(): orjson.loads(value) for key, value in committed.tables["registry"].items()}
    assert "Line_A.variables.old" not in rows
    assert rows["Line_A.resources.a.capacity"]["value"] == 2
    assert rows["Line_A.resources.b.capacity"]["value"] == 4  # what was scheduled is not forgotten
    assert rows["Line_A.variables.mode"]["value"] == "manual"
    [late] = [e for e in events if e["kind"] == "command-rejected"]
    assert late["payload"]["code"] == "unknown-path"
    created = {e["entity"] for e in events if e["kind"] == "entity-created"}
    left = {e["entity"] for e in events if e["kind"] == "entity-left"}
    live = recover(committed, log).cells["Line_A"].live
    assert live is not None
    assert live.wip == len(created) - len(left)
    assert set(live.twin.entities) == created - left


def test_a_replay_over_a_migration_tells_the_same() -> None:
    log = Log()
    story(log)
    committed = run(log, CUTS, EVERY_TICK)
    whole = new_host()
    replay(whole, committed.ticks, log.records)
    from_checkpoint = recover(committed, log).cells["Line_A"].live
    from_start = whole.cells["Line_A"].live
    assert from_checkpoint is not None
    assert from_start is not None
    assert from_checkpoint.state_hash() == from_start.state_hash()
    assert run(log, [30.0]).raw("sim-events") == committed.raw("sim-events")


def test_what_does_not_fit_is_refused_as_a_whole_and_changes_nothing() -> None:
    golden, log = Log(), Log()
    for at_s, target in ((0.0, golden), (0.0, log)):
        target.write("Line_A", {"kind": "register", "blueprint": line()}, at_s)
    other = line(flows={"make": [{"delay": 1}]}, time={"unit": "minutes"})
    other["resources"].pop("a")
    log.write("Line_A", {"kind": "register", "blueprint": other, "replace": True, "keep_work": True}, 10.3)
    told, expected = run(log, CUTS), run(golden, CUTS)
    assert told.raw("sim-events") == expected.raw("sim-events")
    [letter] = [orjson.loads(value) for value in told.raw("twin-dead-letters")]
    assert letter["code"] == "work-does-not-fit"
    for place in ("time.unit", "make.0", "make.1"):
        assert place in letter["message"]


def test_a_changed_factor_never_lets_simulation_time_jump() -> None:
    log = Log()
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
    faster = line(time={"factor": 0.5})
    log.write("Line_A", {"kind": "register", "blueprint": faster, "replace": True, "keep_work": True}, 10.3)
    committed = run(log, CUTS)
    events = committed.events
    [at] = [e["sim_time"] for e in events if e["kind"] == "twin-migrated"]
    assert at == pytest.approx(10.3)
    for e in events:
        wall_s = e["sim_time"] if e["sim_time"] < at else at + (e["sim_time"] - at) * 0.5
        assert datetime.fromisoformat(e["event_time"]).timestamp() - T0_US / 1e6 == pytest.approx(wall_s, abs=2e-3)
    instants = [datetime.fromisoformat(e["event_time"]) for e in events]
    assert instants == sorted(instants)
    assert max(e["sim_time"] for e in events) == pytest.approx(10.3 + 2 * 19.7, abs=1.0)


@pytest.mark.parametrize(
    "fields", [{"keep_work": True}, {"replace": True, "keep_work": True, "discard_work": True}, {"moves": {"make.0": "make.1"}}]
)
def test_a_register_that_says_two_things_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        parse(orjson.dumps({"kind": "register", "blueprint": line(), **fields}), b"Line_A")
    assert caught.value.code == "invalid-command"
