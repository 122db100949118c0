"""A new version never gives other events from the old logs, unless it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from models import checkpoint
from models.blueprint import Blueprint
from models.flow import STEPS
from tests.histories.history import FOLDER, HOW_TO_GO_ON, History, differences
from tests.histories.stories import STORIES, failures, families, machines, stocks
from twin_app.partition.checkpoints import twin_states

FILES = sorted(FOLDER.glob("*.jsonl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_event_of_the_past_comes_out_differently(path: Path) -> None:
    history = History.load(path)
    if history.logic_version != checkpoint.LOGIC_VERSION:
        pytest.skip("told by the logic of another version; its checkpoint is read below")
    assert differences(history) == [], HOW_TO_GO_ON


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_checkpoint_of_the_past_becomes_unreadable(path: Path) -> None:
    states = list(twin_states(History.load(path).checkpoint))
    assert states, HOW_TO_GO_ON


@pytest.mark.parametrize("name", sorted(STORIES))
def test_no_version_of_the_logic_is_without_a_history(name: str) -> None:
    assert FOLDER / f"{name}-{checkpoint.LOGIC_VERSION}.jsonl" in FILES, HOW_TO_GO_ON


def _event_changed(history: History) -> None:
    seq, topic, value = history.told[40]
    fields = orjson.loads(value)
    history.told[40] = (seq, topic, orjson.dumps(fields | {"sim_time": fields["sim_time"] + 1e-9}))


def _event_gone(history: History) -> None:
    del history.told[-1]


def _tick_gone(history: History) -> None:
    del history.ticks[5]


def _tick_moved(history: History) -> None:
    tick = history.ticks[5]
    history.ticks[5] = type(tick)(tick.seq, tick.wall_us + 2_000_000, tick.next_offset, tick.events)


def _command_changed(history: History) -> None:
    first = history.commands[0]
    assert first.value is not None
    history.commands[0] = first._replace(value=first.value.replace(b'"seed":42', b'"seed":43'))


def _command_gone(history: History) -> None:
    del history.commands[1]


def _checkpoint_damaged(history: History) -> None:
    key = next(key for key in history.checkpoint if key.startswith(b"twin/"))
    row = bytearray(history.checkpoint[key])
    row[-7] ^= 0x04
    history.checkpoint[key] = bytes(row)


def _checkpoint_of_another_twin(history: History) -> None:
    key = next(key for key in history.checkpoint if key.startswith(b"twin/"))
    [(_, state, _)] = twin_states(history.checkpoint)
    state["live"]["twin"]["streams"] = {}
    [history.checkpoint[key]] = checkpoint.encode(state)


@pytest.mark.parametrize(
    "tamper",
    [
        *(_event_changed, _event_gone, _tick_gone, _tick_moved, _command_changed, _command_gone),
        *(_checkpoint_damaged, _checkpoint_of_another_twin),
    ],
)
def test_a_history_that_was_tampered_with_is_not_accepted(tamper: Callable[[History], None]) -> None:
    history = History.load(FOLDER / f"line-{checkpoint.LOGIC_VERSION}.jsonl")
    tamper(history)
    assert differences(history)


def test_no_step_of_the_language_is_left_out() -> None:
    """The histories are to hold everything that there is; a new step belongs into one. `call` runs foreign code."""
    used = {
        step.verb
        for document in (machines(), stocks(), families(), failures())
        for flow in Blueprint.model_validate(document).flows.values()
        for step in flow
    }
    assert STEPS - used == {"call"}
