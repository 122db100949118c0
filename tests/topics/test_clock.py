import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.clock import REFUSED_MAX, TICK_BYTES_MAX, Tick
from models.errors import TwinError

counts = st.integers(0, 2**63 - 1)
ticks = st.builds(
    Tick,
    seq=st.integers(1, 2**63 - 1),
    wall_us=st.integers(-(2**63), 2**63 - 1),
    next_offset=counts,
    events=counts,
    refused=st.lists(counts, max_size=5).map(tuple),
)


@given(ticks)
def test_a_tick_is_not_changed_by_its_journey(tick):
    assert Tick.from_bytes(tick.to_bytes()) == tick


def test_bytes_of_a_tick_never_change():
    tick = Tick(seq=7, wall_us=1_795_338_000_000_000, next_offset=89, events=1042, refused=(88,))
    assert tick.to_bytes().hex() == "960107cf000660d9b3bde40059cd04129158"


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_readable_error(raw):
    try:
        Tick.from_bytes(raw, place="twin-clock-0-5")
    except TwinError as error:
        assert error.place == "twin-clock-0-5"  # noqa: PT017 - most bytes raise, some are a tick


def test_another_format_is_refused_with_what_to_do():
    with pytest.raises(TwinError, match="reads 1") as caught:
        Tick.from_bytes(msgpack.packb([2, "something new", {"and": "more"}]))
    assert caught.value.code == "unknown-tick-format"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        msgpack.packb(None),
        msgpack.packb({}),
        msgpack.packb([]),
        msgpack.packb([True, 1, 1, 1, 1, []]),
        msgpack.packb([1, 1, 1, 1, 1]),
        msgpack.packb([1, 1.0, 1, 1, 1, []]),
        msgpack.packb([1, 0, 1, 1, 1, []]),
        msgpack.packb([1, 1, 1, -1, 1, []]),
        msgpack.packb([1, 1, 1, 1, 1, [-1]]),
        msgpack.packb([1, 1, 1, 1, 1, [True]]),
        msgpack.packb([1, 1, 1, 1, 1, []]) + b"\x00",
        b"\x96" * 10_000,
        b"\x00" * (TICK_BYTES_MAX + 1),
    ],
    ids=repr,
)
def test_what_is_no_tick_is_not_taken_for_one(raw):
    with pytest.raises(TwinError) as caught:
        Tick.from_bytes(raw)
    assert caught.value.code == "bad-tick"


def test_a_tick_that_nobody_could_read_is_not_written():
    full = Tick(1, 2, 3, 4, tuple(range(2**50, 2**50 + REFUSED_MAX)))
    assert Tick.from_bytes(full.to_bytes()) == full
    with pytest.raises(TwinError):
        Tick(1, 2, 3, 4, tuple(range(REFUSED_MAX + 1))).to_bytes()
