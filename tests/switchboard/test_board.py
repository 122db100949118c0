"""Types never change, values stay in bounds, patches are whole or nothing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import Rejected
from tests.switchboard.plants import line
from twin_app.switchboard import Board, Source, flatten
from twin_app.switchboard.casting import cast


def board() -> tuple[Board, dict]:
    values = {path: parameter.value for path, parameter in flatten(line()).items()}
    return Board(line(), values.__getitem__), values


def refused(changes: dict, **kwargs) -> Rejected:
    with pytest.raises(Rejected) as caught:
        board()[0].check(changes, **kwargs)
    return caught.value


@pytest.mark.parametrize("value", [4, 4.0, "4", "4.0", "4e0"])
def test_a_whole_number_is_not_refused_for_an_int(value):
    number = cast("variables.count", "int", value)
    assert number == 4
    assert type(number) is int


@pytest.mark.parametrize(
    "value",
    [4.9, "4.9", "abc", True, False, "false", "true", None, [], {}, "", " 4", "4 ", "0x4", "1_0", "٤", "+4", "inf", "1e999"],
)
def test_what_is_no_whole_number_does_not_become_one(value):
    with pytest.raises(Rejected) as caught:
        cast("variables.count", "int", value)
    assert caught.value.code in ("wrong-type", "not-finite")


@pytest.mark.parametrize(
    ("value", "meant"), [(True, True), (False, False), ("true", True), ("false", False), ("FALSE", False), ("True", True)]
)
def test_a_boolean_is_not_misread(value, meant):
    assert cast("variables.open", "bool", value) is meant


@pytest.mark.parametrize("value", [0, 1, 1.0, "0", "yes", "", None, [], "falsee"])
def test_what_is_no_boolean_does_not_become_one(value):
    with pytest.raises(Rejected, match="wrong-type"):
        cast("variables.open", "bool", value)


@pytest.mark.parametrize(("value", "meant"), [(2, 2.0), (2.5, 2.5), ("2.5", 2.5), ("-1e3", -1000.0), (0, 0.0), (-0.0, 0.0)])
def test_a_number_is_not_refused_for_a_float(value, meant):
    number = cast("p", "float", value)
    assert type(number) is float
    assert math.copysign(1, number) == math.copysign(1, meant)
    assert number == meant


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "nan", "inf", "Infinity", True, None, "", "1,5", [1.0], 10**400, "9" * 100]
)
def test_what_is_no_finite_number_does_not_become_a_float(value):
    with pytest.raises(Rejected):
        cast("p", "float", value)


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("variables.mode", "bypass", [3, True, None, 1.0, [], {}]),
        ("variables.recipe", {"a": 1}, [[], "x", None, 3]),
        ("variables.table", [3], [{}, "x", None, 3]),
        ("variables.ratio", 3, [True, "x", None]),
    ],
)
def test_a_type_never_changes(path, good, bad):
    there, _ = board()
    [change] = there.check({path: good})
    assert type(change.new) is type(flatten(line())[path].value)
    for value in bad:
        assert refused({path: value}).code == "wrong-type"


@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": None}, True])
def test_a_variable_that_began_as_null_does_not_refuse_json(value):
    [change] = board()[0].check({"variables.anything": value})
    assert change.new == value


@pytest.mark.parametrize("value", [[math.nan], {"a": [math.inf]}, math.nan])
def test_an_infinity_does_not_hide_inside_json(value):
    assert refused({"variables.anything": value}).code == "not-finite"


def test_a_value_too_large_for_an_event_is_not_accepted():
    assert refused({"variables.mode": "x" * 20_000}).code == "value-too-large"
    assert refused({"variables.anything": ["x" * 20_000]}).code == "value-too-large"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resources.b.capacity": -1}, "out-of-bounds"),
        ({"resources.b.capacity": 4}, "out-of-bounds"),
        ({"resources.free.capacity": 10**7}, "out-of-bounds"),
        ({"resources.b.max_capacity": 0}, "out-of-bounds"),
        ({"services.turning.sd": -0.1}, "out-of-bounds"),
        ({"arrivals.orders.mean": 0}, "out-of-bounds"),
        ({"arrivals.orders.mean": 1e13}, "out-of-bounds"),
        ({"services.sawing.low": 3}, "inconsistent"),
        ({"services.sawing.high": 0.5}, "inconsistent"),
        ({"services.packing.mode": 1}, "inconsistent"),
        ({"services.packing.low": 4}, "inconsistent"),
        ({"resources.nope.capacity": 1}, "unknown-path"),
        ({"resources.b": 1}, "unknown-path"),
        ({"resources.b.capacity.x": 1}, "unknown-path"),
        ({"": 1}, "unknown-path"),
        ({"." * 200: 1}, "unknown-path"),
    ],
)
def test_a_value_out_of_bounds_is_not_accepted(changes, code):
    assert refused(changes).code == code


def test_bounds_are_not_checked_against_half_a_patch():
    there, values = board()
    there.check({"services.sawing.low": 3, "services.sawing.high": 5})
    there.check({"services.sawing.high": 5, "services.sawing.low": 3})
    there.check({"resources.b.capacity": 5, "resources.b.max_capacity": 5})
    there.check({"services.packing.high": 12, "services.packing.mode": 11, "services.packing.low": 10})
    assert refused({"services.sawing.low": 3, "services.sawing.high": 5, "variables.count": "x"}).code == "wrong-type"
    assert values == board()[1]


def test_a_bound_moved_earlier_is_not_forgotten():
    there, values = board()
    values["resources.b.max_capacity"] = 9
    assert there.check({"resources.b.capacity": 9})
    values["services.sawing.high"] = 50.0
    assert there.check({"services.sawing.low": 40})


def test_the_nearest_path_is_not_kept_from_the_sender():
    assert refused({"resorces.b.capcity": 1}).remedy == "did you mean 'resources.b.capacity'?"
    assert refused({"services.millin.constant": 1}).remedy == "did you mean 'services.milling.constant'?"
    assert refused({"resources.b.capacty": 1}).path == "resources.b.capacty"


def test_a_stale_version_is_not_accepted():
    there, _ = board()
    source = Source("twin-config", 0, 1)
    there.commit(there.check({"variables.count": 4}, 0), 1.5, source)
    assert there.mark("variables.count") == (1, 1.5, source)
    with pytest.raises(Rejected, match="stale-version"):
        there.check({"variables.count": 5}, 0)
    with pytest.raises(Rejected, match="stale-version"):
        there.check({"variables.count": 5}, 2)
    with pytest.raises(Rejected, match="stale-version"):
        there.check({"variables.count": 5, "variables.mode": "x"}, 1)
    assert there.check({"variables.count": 5, "variables.mode": "x"}, {"variables.count": 1})
    assert there.check({"variables.count": 5}, 2, not_before=True)
    with pytest.raises(Rejected, match="stale-version"):
        there.check({"variables.count": 5}, 0, not_before=True)


def test_a_restored_board_does_not_forget_versions():
    there, values = board()
    there.commit(there.check({"variables.count": 4}), 1.5, Source("t", 0, 1))
    there.changed("variables.mode", 2.0)
    again = Board(line(), values.__getitem__)
    again.restore(there.snapshot())
    assert again.snapshot() == there.snapshot()
    assert again.mark("variables.mode").version == 1
    assert again.mark("variables.mode").source is None


PATHS = st.sampled_from(list(flatten(line()))) | st.text(max_size=30)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(PATHS, VALUES, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_is_never_of_another_type_nor_out_of_bounds(changes):
    there, values = board()
    try:
        checked = there.check(changes)
    except Rejected:
        return
    assert [change.path for change in checked] == list(changes)
    for change in checked:
        parameter = there.parameters[change.path]
        assert parameter.type == "json" or type(change.new) is type(parameter.value)
        values[change.path] = change.new
    for low, high in (("services.sawing.low", "services.sawing.high"), ("resources.b.capacity", "resources.b.max_capacity")):
        assert values[low] <= values[high]
    assert values["services.turning.sd"] >= 0
    assert values["arrivals.orders.mean"] > 0
