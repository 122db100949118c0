"""Random streams with an independent future: what replications of a fork are made of."""

from typing import Any

import pytest

from tests.kernel.three_ways import blueprint, through_text
from twin_app.kernel import Emission, Twin


def shop() -> Twin:
    twin = Twin(
        blueprint(
            resources={"a": {"capacity": 1}},
            services={"work": {"exponential": {"mean": 2.0}}},
            arrivals={"orders": {"interarrival": {"exponential": {"mean": 3.0}}, "flow": "make"}},
            flows={"make": [{"process": {"resource": "a", "service": "work"}}, {"branch": [{"weight": 0.5, "go": "end"}]}]},
        )
    )
    twin.advance(50.0)
    twin.drain()
    return twin


def future(snapshot: dict[str, Any], salt: int | None) -> list[Emission]:
    fork = Twin.restore(snapshot)
    if salt is not None:
        fork.reseed(salt)
    fork.advance(200.0)
    return fork.drain()


def test_salt_0_is_the_twins_own_future_to_the_last_event() -> None:
    snapshot = shop().snapshot()
    assert future(snapshot, 0) == future(snapshot, None)


def test_the_same_salt_gives_the_same_future_and_another_one_another() -> None:
    snapshot = shop().snapshot()
    own, first, again, second = (future(snapshot, salt) for salt in (None, 1, 1, 2))
    assert first == again
    assert own != first != second != own


def test_a_reseeded_twin_is_restored_into_the_same_future() -> None:
    fork = shop()
    fork.reseed(5)
    fork.advance(77.0)
    fork.drain()
    copy = Twin.restore(through_text(fork.snapshot()))
    assert copy.state_hash() == fork.state_hash()
    fork.advance(200.0)
    copy.advance(200.0)
    assert copy.drain() == fork.drain()


def test_reseeding_disturbs_nothing_that_is_already_on_the_calendar() -> None:
    twin = shop()
    before = twin.next_time
    twin.reseed(3)
    assert twin.next_time == before


@pytest.mark.parametrize("salt", [0, 1])
def test_a_snapshot_without_a_salt_has_the_same_hash_as_ever(salt: int) -> None:
    twin = shop()
    before = twin.state_hash()
    twin.reseed(salt)
    assert (twin.state_hash() == before) == (salt == 0)
