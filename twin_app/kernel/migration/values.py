"""Values, merged three ways: what the old blueprint declares, what the new one does, and what is live.

A live value is kept where the new blueprint declares what the old one did, and is the declared one elsewhere; levels, items and
states of machines are contents, and always kept.
"""

from collections.abc import Mapping
from json import dumps

from models.blueprint import Blueprint
from models.parameters import declared
from twin_app.kernel.emission import Value
from twin_app.kernel.migration.moves import Moves
from twin_app.kernel.migration.report import Report
from twin_app.kernel.parameters import ParameterBoard


def merge(
    old: Blueprint, new: Blueprint, live: Mapping[str, Value], board: ParameterBoard, moves: Moves, report: Report
) -> dict[str, Value]:
    """The values of the new twin; `board` is its own. One that is kept and does not fit is a misfit: none is ever clipped."""
    before, after = declared(old), declared(new)
    values: dict[str, Value] = {}
    checked: dict[str, None] = {}
    for path, spec in after.items():
        value = spec.value
        if path not in before:
            report.new.append(path)
        elif _is_content(path) or (before[path].kind == spec.kind and same(before[path].value, spec.value)):
            value = live[path]
            report.values_kept += 1
            if not (path.startswith("machines.") and moves.send_away_from(path.split(".")[1], str(value))):
                checked[path] = None
        else:
            report.taken[path] = (live[path], value)
        values[path] = value
    report.gone = [path for path in before if path not in after]
    for fault in board.unfit(values, checked):
        remedy = "set it to one that fits before, or declare another value for it in the new blueprint"
        report.misfit(str(fault.path), f"its live value is kept and does not fit: {fault.message}", remedy)
    return values


def same(one: Value, other: Value) -> bool:
    """The same to a reader: unlike in Python, 1 is neither 1.0 nor true."""
    return dumps(one, sort_keys=True) == dumps(other, sort_keys=True)


def _is_content(path: str) -> bool:
    """Whether the value is what the twin has come to, rather than how it is set."""
    return path.startswith("machines.") or (path.startswith("containers.") and path.endswith(".level"))
