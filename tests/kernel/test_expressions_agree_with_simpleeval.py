"""Compiled expressions against the library whose parser they use: the same value, or a fault from both."""

from __future__ import annotations

import math
from typing import Any

import simpleeval
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EntityFault
from twin_app.kernel.expressions import Expression

NAMES: dict[str, Any] = {"now": 12.5, "variables": {"n": 3, "rate": 0.25, "mode": "auto", "open": True, "table": [1, 2.5, "x"]}}

numbers = st.one_of(st.integers(-50, 50), st.floats(-50, 50, allow_nan=False)).map(repr)
leaves = st.one_of(
    numbers,
    st.sampled_from(["now", "variables.n", "variables.rate", "variables.mode", "variables.open", "true", "false", "none"]),
    st.sampled_from(["'auto'", "'x'", "variables.table", "variables.table[1]", "variables.table[variables.n]"]),
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, inner)
    binary = st.sampled_from(["+", "-", "*", "/", "//", "%"])
    compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
    return st.one_of(
        st.tuples(pairs, binary).map(lambda x: f"({x[0][0]} {x[1]} {x[0][1]})"),
        st.tuples(pairs, compare).map(lambda x: f"({x[0][0]} {x[1]} {x[0][1]})"),
        st.tuples(pairs, st.sampled_from(["and", "or"])).map(lambda x: f"({x[0][0]} {x[1]} {x[0][1]})"),
        st.tuples(inner, inner, inner).map(lambda x: f"({x[0]} if {x[1]} else {x[2]})"),
        st.tuples(inner, inner, inner).map(lambda x: f"({x[0]} < {x[1]} <= {x[2]})"),
        inner.map(lambda x: f"(not {x})"),
        inner.map(lambda x: f"(-{x})"),
        st.tuples(st.sampled_from(["abs", "floor", "ceil", "round", "sqrt", "exp", "len"]), inner).map(
            lambda x: f"{x[0]}({x[1]})"
        ),
        pairs.map(lambda x: f"max({x[0]}, {x[1]})"),
    )


expressions = st.recursive(leaves, _grown, max_leaves=8)


class Names:
    """Names as a twin would read them."""

    def read(self, parts: tuple[str, ...]) -> Any:
        def evaluate(entity: Any) -> Any:
            value: Any = NAMES
            for part in parts:
                value = value[part]
            return value

        return evaluate


def by_simpleeval(text: str) -> Any:
    functions = {name: getattr(math, name) for name in ("floor", "ceil", "sqrt", "exp")}
    functions |= {"abs": abs, "round": round, "len": len, "max": max}
    names = NAMES | {"true": True, "false": False, "none": None}
    return simpleeval.EvalWithCompoundTypes(names=names, functions=functions).eval(text)


@settings(max_examples=600, deadline=None)
@given(expressions)
def test_a_compiled_expression_never_gives_another_value(text: str) -> None:
    try:
        ours: Any = Expression(text, Names())(None)
    except EntityFault:
        ours = EntityFault
    try:
        theirs = by_simpleeval(text)
    except Exception:
        theirs = EntityFault
    if ours is EntityFault:
        # Ours is the stricter one: no arithmetic of texts and lists but joining two of a kind, numbers finite and bounded.
        assert theirs is EntityFault or _beyond(text, theirs), (text, theirs)
    else:
        assert type(ours) is type(theirs), (text, ours, theirs)
        assert ours == theirs, (text, ours, theirs)


def _beyond(text: str, value: Any) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return True
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return True
    return any(part in text for part in ("'", "table", "mode", "none"))
