"""Expressions made executable: the checked tree of models/expressions.py turned once into nested closures.

simpleeval walks the tree anew at each evaluation (about ten times the closures' time for `now - entity.created`), which
is too slow for a branch that each entity passes. Its parser and its limits on texts are kept; a test compares the two on
random expressions. Whatever goes wrong while evaluating is an EntityFault.
"""

import ast
import operator
from collections.abc import Callable
from math import ceil, exp, floor, isfinite, log, sqrt
from typing import Any, Protocol

import simpleeval

from models.errors import EntityFault
from models.expressions import INTEGER_MAX, LITERALS, Parsed, dotted, parse

TEXT_LENGTH_MAX = 10_000
POWER_BITS_MAX = 128
DIGITS_MAX = 15

Evaluate = Callable[[Any], Any]
"""Takes the entity (or None), gives a value."""


class Scope(Protocol):
    """Where the names lead."""

    def read(self, parts: tuple[str, ...]) -> Evaluate: ...


class Expression:
    """A ready expression. Called with an entity it gives a JSON value or raises EntityFault."""

    __slots__ = ("_evaluate", "references", "text")

    def __init__(self, text: str, scope: Scope) -> None:
        parsed: Parsed = parse(text)
        self.text = text
        self.references = parsed.references
        self._evaluate = _compile(parsed.tree, scope)

    def __call__(self, entity: Any) -> Any:
        try:
            value = self._evaluate(entity)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, simpleeval.InvalidExpression) as error:
            raise EntityFault("expression-failed", f"`{self.text}`: {_reason(error)}") from None
        return checked(value, self.text)

    def number(self, entity: Any) -> float:
        """As a number. Raises EntityFault for anything else."""
        value = self(entity)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EntityFault("not-a-number", f"`{self.text}` gave {value!r}, a number is needed")
        return value


def checked(value: Any, text: str) -> Any:
    """A value within what an event or a variable can hold: 63-bit integers, finite numbers, texts of bounded length."""
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        if -INTEGER_MAX <= value <= INTEGER_MAX:
            return value
        raise EntityFault("number-too-large", f"`{text}` gave a whole number of more than 63 bits")
    if kind is float:
        if isfinite(value):
            return value
        raise EntityFault("not-finite", f"`{text}` gave {value}")
    if kind is str:
        if len(value) <= TEXT_LENGTH_MAX:
            return value
        raise EntityFault("text-too-long", f"`{text}` gave a text of more than {TEXT_LENGTH_MAX} characters")
    if kind is list:
        if len(value) <= TEXT_LENGTH_MAX:
            return [checked(item, text) for item in value]
        raise EntityFault("text-too-long", f"`{text}` gave a list of more than {TEXT_LENGTH_MAX} values")
    if kind is dict:
        return value
    raise EntityFault("not-a-value", f"`{text}` gave no number, text or list")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no `{error.args[0] if error.args else ''}`"
    return str(error) or type(error).__name__


def _plain_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _add(a: Any, b: Any) -> Any:
    if _plain_number(a) and _plain_number(b):
        return a + b
    if type(a) is type(b) and isinstance(a, str | list):
        return simpleeval.safe_add(a, b)
    raise TypeError(f"cannot add {_named(a)} and {_named(b)}")


def _multiply(a: Any, b: Any) -> Any:
    if _plain_number(a) and _plain_number(b):
        return a * b
    raise TypeError(f"cannot multiply {_named(a)} and {_named(b)}")


def _modulo(a: Any, b: Any) -> Any:
    if _plain_number(a) and _plain_number(b):
        return a % b
    raise TypeError(f"cannot take {_named(a)} modulo {_named(b)}")


def _power(a: Any, b: Any) -> Any:
    if not (_plain_number(a) and _plain_number(b)):
        raise TypeError(f"cannot raise {_named(a)} to {_named(b)}")
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and abs(b) * a.bit_length() > POWER_BITS_MAX:
        a = float(a)
    result = a**b
    if isinstance(result, complex):
        raise ValueError("a negative number has no real root")
    return result


def _named(value: Any) -> str:
    if value is None:
        return "none"
    return {bool: "a truth value", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}.get(
        type(value), type(value).__name__
    )


def _round(value: Any, digits: Any = None) -> Any:
    if digits is not None and not (isinstance(digits, int) and abs(digits) <= DIGITS_MAX):
        raise ValueError(f"round takes at most {DIGITS_MAX} digits")
    return round(value) if digits is None else round(value, digits)


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        raise TypeError(f"cannot make a text of {_named(value)}")
    return str(value)


_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: operator.sub,
    ast.Mult: _multiply,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _modulo,
    ast.Pow: _power,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": _round,
    "floor": floor,
    "ceil": ceil,
    "int": int,
    "float": float,
    "bool": bool,
    "str": _text,
    "len": len,
    "sqrt": sqrt,
    "log": log,
    "exp": exp,
    "sum": sum,
}


def _compile(node: ast.expr, scope: Scope) -> Evaluate:
    parts = dotted(node)
    if parts is not None:
        if len(parts) == 1 and parts[0] in LITERALS:
            literal = LITERALS[parts[0]]
            return lambda entity: literal
        return scope.read(parts)
    make = _NODES[type(node)]
    return make(node, scope)


def _constant(node: Any, scope: Scope) -> Evaluate:
    value = node.value
    return lambda entity: value


def _attribute(node: Any, scope: Scope) -> Evaluate:
    value, key = _compile(node.value, scope), node.attr

    def evaluate(entity: Any) -> Any:
        inner = value(entity)
        if isinstance(inner, dict):
            return inner[key]
        raise TypeError(f"{_named(inner)} has no `{key}`")

    return evaluate


def _subscript(node: Any, scope: Scope) -> Evaluate:
    value, key = _compile(node.value, scope), _compile(node.slice, scope)

    def evaluate(entity: Any) -> Any:
        inner, index = value(entity), key(entity)
        if isinstance(inner, dict | list | str):
            return inner[index]
        raise TypeError(f"{_named(inner)} has no parts")

    return evaluate


def _unary(node: Any, scope: Scope) -> Evaluate:
    apply, operand = _UNARY[type(node.op)], _compile(node.operand, scope)
    return lambda entity: apply(operand(entity))


def _binary(node: Any, scope: Scope) -> Evaluate:
    apply, left, right = _BINARY[type(node.op)], _compile(node.left, scope), _compile(node.right, scope)
    return lambda entity: apply(left(entity), right(entity))


def _boolean(node: Any, scope: Scope) -> Evaluate:
    values = [_compile(value, scope) for value in node.values]
    stop_at = isinstance(node.op, ast.Or)

    def evaluate(entity: Any) -> Any:
        result = None
        for value in values:
            result = value(entity)
            if bool(result) is stop_at:
                return result
        return result

    return evaluate


def _comparison(node: Any, scope: Scope) -> Evaluate:
    first = _compile(node.left, scope)
    rest = [(_COMPARE[type(op)], _compile(right, scope)) for op, right in zip(node.ops, node.comparators, strict=True)]
    if len(rest) == 1:
        [(only, second)] = rest
        return lambda entity: only(first(entity), second(entity))

    def evaluate(entity: Any) -> Any:
        left = first(entity)
        for compare, right in rest:
            value = right(entity)
            if not compare(left, value):
                return False
            left = value
        return True

    return evaluate


def _conditional(node: Any, scope: Scope) -> Evaluate:
    test, then, otherwise = _compile(node.test, scope), _compile(node.body, scope), _compile(node.orelse, scope)
    return lambda entity: then(entity) if test(entity) else otherwise(entity)


def _call(node: Any, scope: Scope) -> Evaluate:
    function, arguments = _FUNCTIONS[node.func.id], [_compile(argument, scope) for argument in node.args]
    return lambda entity: function(*[argument(entity) for argument in arguments])


def _list(node: Any, scope: Scope) -> Evaluate:
    items = [_compile(item, scope) for item in node.elts]
    return lambda entity: [item(entity) for item in items]


_NODES: dict[type, Callable[[Any, Scope], Evaluate]] = {
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.Compare: _comparison,
    ast.IfExp: _conditional,
    ast.Call: _call,
    ast.List: _list,
    ast.Tuple: _list,
}
