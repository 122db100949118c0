"""The grammar of expressions in a blueprint: what may be written, checked when the blueprint is read.

An expression is one Python expression of numbers, texts, `true`/`false`/`none`, lists, arithmetic, comparisons, `and`/`or`/`not`,
`a if c else b`, the functions below, and these names:

    now                                    simulation time
    entity.id, .created, .flow, .<any attribute>
    variables.<name>                       and into it: variables.recipe.speed, variables.table[3]
    resources.<name>.capacity | max_capacity | busy | queue | free | down
    containers.<name>.capacity | level     stores.<name>.capacity | count
    machines.<name>.state
    item                                   in the filter of a get
    services.<name>.<parameter>            arrivals.<name>.<parameter>

Nothing else exists: no Python attributes, no calls of methods, no comprehensions, no f-strings, no lambda. Parsing is
simpleeval's; the node types accepted are a subset of what simpleeval accepts.
"""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import simpleeval

from models.base import EXPRESSION_LENGTH_MAX
from models.errors import TwinError

NODES_MAX = 200
INTEGER_MAX = 2**63 - 1

FUNCTIONS = frozenset(
    {"abs", "min", "max", "round", "floor", "ceil", "int", "float", "bool", "str", "len", "sqrt", "log", "exp", "sum"}
)
LITERALS = {"true": True, "false": False, "none": None, "null": None}
RESOURCE_FIELDS = frozenset({"capacity", "max_capacity", "busy", "queue", "free", "down"})
CONTAINER_FIELDS = frozenset({"capacity", "level"})
STORE_FIELDS = frozenset({"capacity", "count"})
ROOTS = frozenset({"now", "entity", "item", "variables", "resources", "containers", "stores", "services", "arrivals", "machines"})

_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare,
    ast.IfExp, ast.Call, ast.List, ast.Tuple, ast.Load,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot,
)  # fmt: skip


class ExpressionError(TwinError):
    """An expression that cannot be accepted: bad syntax, a forbidden construct, an unknown name."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A checked expression. `references`: the dotted names in it, each as its parts, in the order of the text."""

    text: str
    tree: ast.expr
    references: tuple[tuple[str, ...], ...]


def parse(text: str) -> Parsed:
    """Parse and check the grammar (not yet whether the names exist). Raises ExpressionError."""
    if len(text) > EXPRESSION_LENGTH_MAX:
        raise ExpressionError("expression-too-long", f"an expression has at most {EXPRESSION_LENGTH_MAX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            statement = simpleeval.SimpleEval.parse(text)
    except (SyntaxError, ValueError, Warning) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error).splitlines()[0]
        raise ExpressionError("bad-expression", f"`{_short(text)}` is not an expression: {reason}") from None
    except (simpleeval.InvalidExpression, RecursionError, MemoryError):
        raise ExpressionError("bad-expression", f"`{_short(text)}` is not an expression") from None
    if not isinstance(statement, ast.Expr):
        remedy = "compare with ==" if "=" in text else None
        raise ExpressionError("bad-expression", f"`{_short(text)}` is a statement, not an expression", remedy=remedy)
    _check_nodes(statement.value, text)
    return Parsed(text, statement.value, tuple(_references(statement.value)))


def dotted(node: ast.expr) -> tuple[str, ...] | None:
    """The parts of `a.b["c"]`, where every part is written out; None when one is computed or it does not start at a name."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            parts.append(node.slice.value)
            node = node.value
        elif isinstance(node, ast.Name):
            return (node.id, *reversed(parts))
        else:
            return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _check_nodes(tree: ast.expr, text: str) -> None:
    for count, node in enumerate(ast.walk(tree), start=1):
        if count > NODES_MAX:
            raise ExpressionError("expression-too-long", f"`{_short(text)}` has more than {NODES_MAX} parts")
        if not isinstance(node, _NODES):
            what = type(node).__name__
            raise ExpressionError("forbidden-expression", f"`{_short(text)}`: {what} is not part of the expression language")
        if isinstance(node, ast.Constant):
            if not (node.value is None or isinstance(node.value, bool | int | float | str)):
                raise ExpressionError("forbidden-expression", f"`{_short(text)}`: only numbers and texts can be written out")
            if isinstance(node.value, int) and abs(node.value) > INTEGER_MAX:
                raise ExpressionError("number-too-large", f"`{_short(text)}`: a whole number has at most 63 bits")
            if isinstance(node.value, float) and node.value in (float("inf"), float("-inf")):
                raise ExpressionError("number-too-large", f"`{_short(text)}`: a number is not finite")
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
                called = ast.unparse(node.func)
                raise ExpressionError(
                    "unknown-function",
                    f"`{_short(text)}`: there is no function `{called}`",
                    remedy=f"use one of {', '.join(sorted(FUNCTIONS))}",
                )
            if node.keywords:
                raise ExpressionError("forbidden-expression", f"`{_short(text)}`: functions take plain arguments")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise ExpressionError("forbidden-expression", f"`{_short(text)}`: names starting with _ are not accessible")


def _references(tree: ast.expr) -> Iterator[tuple[str, ...]]:
    """Outermost dotted names; a computed subscript ends the part that is known."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Name):
            parts = dotted(node)
            if parts is not None:
                if not (len(parts) == 1 and parts[0] in LITERALS):
                    yield parts
                continue
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            children = list(node.args)
        stack.extend(reversed(children))
