"""Reading a blueprint from YAML or JSON text: all faults at once, each with line, column and the nearest valid name."""

import csv
import re
from collections.abc import Callable, Collection
from datetime import date, datetime
from io import StringIO
from itertools import islice
from math import inf
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from models.base import Model
from models.blueprint import TRACE_MAX, Blueprint
from models.check import NEAREST_MAX
from models.distributions import DISTRIBUTIONS
from models.errors import BlueprintError, TwinError
from models.flow import STEPS, AnyStep
from models.nearest import suggestion
from models.salvage import problems_in_the_rest

TEXT_LENGTH_MAX = 4_000_000
NODES_MAX = 200_000
DEPTH_MAX = 100
FAULTS_MAX = 100


def load_blueprint(
    text: str,
    *,
    source: str = "<string>",
    read: Callable[[str], str] | None = None,
    own_steps: Collection[str] | None = None,
) -> Blueprint:
    """Read and check a blueprint. `source` is how places are named. Raises BlueprintError with everything that is wrong.

    `read` gives the text of a file that the blueprint names (`csv` of an arrival); without it such a name is refused.
    `own_steps`: the own Python steps that can be called where it is to run; None where that is not known.
    """
    if len(text) > TEXT_LENGTH_MAX:
        error = TwinError("blueprint-too-large", f"a blueprint has at most {TEXT_LENGTH_MAX:,} characters", place=source)
        raise BlueprintError([error], source=source)
    document = _read(text, source)
    if not isinstance(document, CommentedMap):
        error = TwinError("not-a-mapping", "a blueprint is a mapping", place=source, remedy="start with `twin: <name>`")
        raise BlueprintError([error], source=source)
    plain = _Plain(source).convert(document, 0)
    faults = _read_traces(plain, read, document, source) if read is not None else []
    try:
        blueprint = Blueprint.model_validate(plain, context={"own_steps": own_steps})
    except ValidationError as error:
        faults += _explain(error, plain, document, source, own_steps)
    else:
        if not faults:
            return blueprint
    raise BlueprintError(sorted(faults, key=_position), source=source)


def explain(error: ValidationError, plain: Any, *, source: str = "<blueprint>") -> list[TwinError]:
    """Pydantic's error about `plain` as ours, for a blueprint that did not come from a text (a command's field)."""
    return _explain(error, plain, None, source)


YAML_REMEDY = "look there and just before: a bracket or a quotation mark that is not closed, or lines that are not indented alike"


def _read(text: str, source: str) -> Any:
    try:
        return YAML(typ="rt").load(StringIO(text))
    except DuplicateKeyError as error:
        mark = error.problem_mark
        message = str(error.problem).splitlines()[0]
        raise BlueprintError([TwinError("duplicate-key", message, place=_place(source, mark))], source=source) from None
    except MarkedYAMLError as error:
        message = " ".join(str(part) for part in (error.context, error.problem) if part)
        fault = TwinError("bad-yaml", message, place=_place(source, error.problem_mark), remedy=YAML_REMEDY)
        raise BlueprintError([fault], source=source) from None
    except (YAMLError, ValueError, RecursionError, AssertionError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        fault = TwinError("bad-yaml", f"not readable as YAML: {reason}", place=source, remedy=YAML_REMEDY)
        raise BlueprintError([fault], source=source) from None


def _read_traces(plain: Any, read: Callable[[str], str], document: Any, source: str) -> list[TwinError]:
    """Replace `csv: file` of each arrival by its `trace`. Columns: `at` (time), all others are attributes. Gives the faults."""
    faults: list[TwinError] = []
    arrivals = plain.get("arrivals")
    for name, arrival in arrivals.items() if isinstance(arrivals, dict) else ():
        if not isinstance(arrival, dict) or not isinstance(arrival.get("csv"), str):
            continue
        file = arrival.pop("csv")
        try:
            rows = list(islice(csv.DictReader(StringIO(read(file))), TRACE_MAX + 1))
            arrival["trace"] = [
                {"at": float(row.pop("at")), "attributes": {key: _cell(value) for key, value in row.items()}} for row in rows
            ]
        except (OSError, TwinError) as error:
            reason = (
                error.message if isinstance(error, TwinError) else f"cannot be read: {(error.strerror or str(error)).lower()}"
            )
            message = f"`{file}` {reason}"
            faults.append(TwinError("bad-csv", message, place=locate(document, ("arrivals", name, "csv"), source)))
            arrival["trace"] = [{"at": 0.0}]
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            message = f"`{file}` is not a CSV with a column `at`: {type(error).__name__}: {error}"
            faults.append(TwinError("bad-csv", message, place=locate(document, ("arrivals", name, "csv"), source)))
            arrival["trace"] = [{"at": 0.0}]
    return faults


def _cell(text: str) -> Any:
    """A CSV cell as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _place(source: str, mark: Any) -> str:
    return f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source


class _Plain:
    """The document as plain dicts, lists and scalars. Bounded, since aliases can make a small text a huge tree."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes = 0

    def convert(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > NODES_MAX or depth > DEPTH_MAX:
            error = TwinError("blueprint-too-large", f"more than {NODES_MAX:,} values or {DEPTH_MAX} levels", place=self.source)
            raise BlueprintError([error], source=self.source)
        if isinstance(value, dict):
            return {self._key(key): self.convert(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set):
            return [self.convert(inner, depth + 1) for inner in value]
        if value is None or isinstance(value, bool):
            return value
        for plain in (int, float, str):
            if isinstance(value, plain):
                return plain(value)
        if isinstance(value, datetime):
            return datetime.fromisoformat(value.isoformat())
        if isinstance(value, date):
            return value.isoformat()
        return str(value)

    def _key(self, key: Any) -> str:
        return key if type(key) is str else str(key)


_TEXTS = {
    "extra_forbidden": ("unknown-field", "there is no field `{name}` here"),
    "missing": ("missing-field", "the field `{name}` is missing"),
    "unknown_step": ("unknown-step", "{message}"),
    "unknown_distribution": ("unknown-distribution", "{message}"),
    "model_type": ("not-a-mapping", "`{name}` is a mapping of fields"),
    "dict_type": ("not-a-mapping", "`{name}` is a mapping"),
    "list_type": ("not-a-list", "`{name}` is a list"),
}


def _explain(
    error: ValidationError, plain: Any, document: Any, source: str, own_steps: Collection[str] | None = None
) -> list[TwinError]:
    """All faults: of the shape, and of names and expressions; those of what has the right shape too.

    Bounded: after FAULTS_MAX faults of the shape the others are counted, and nothing else is looked at.
    """
    found: list[TwinError] = []
    count = error.error_count()
    items = error.errors(include_url=False)[:FAULTS_MAX]
    if [item["type"] for item in items] == ["blueprint"]:
        items, problems = [], items[0]["ctx"]["problems"]
    else:
        problems = problems_in_the_rest(plain, error, own_steps) if isinstance(plain, dict) and count <= FAULTS_MAX else []
    for loc, code, message, remedy in problems:
        found.append(TwinError(code, message, place=locate(document, tuple(loc), source), remedy=remedy))
    for number, item in enumerate(items):
        name = _named(item["loc"])
        code, text = _TEXTS.get(item["type"], (item["type"].replace("_", "-"), "{message}"))
        message = text.format(name=name, message=_sentence(item, name))
        remedy = _remedy(item, name, plain) if number < NEAREST_MAX else None
        found.append(TwinError(code, message, place=locate(document, item["loc"], source), remedy=remedy))
    if count > FAULTS_MAX:
        remedy = "mend these first"
        found.append(TwinError("more-faults", f"and {count - FAULTS_MAX:,} faults more", place=source, remedy=remedy))
    return found


_TAGS = frozenset({"number", "expression", "distribution", "value", "action"})
"""What pydantic adds to a location to say which member of a union it is about."""


def _named(loc: tuple[str | int, ...]) -> str:
    """What a location ends at, in the words of the document."""
    named = loc[:-1] if len(loc) > 1 and loc[-1] in _TAGS else loc
    if len(named) > 1 and isinstance(named[-1], int):
        return f"{named[-2]}.{named[-1]}"
    return str(named[-1]) if named else ""


FIELDS_SHOWN_MAX = 12


def _remedy(item: Any, name: str, plain: Any) -> str | None:
    """The valid name nearest to what was written, or those that there are."""
    if item["type"] == "extra_forbidden":
        if name == "csv" and item["loc"][0] == "arrivals":
            return "files are read by `twin check`, `twin run` and `twin send`; in a command give the `trace`"
        fields = _fields_beside(item["loc"])
        shown = f"there is {', '.join(fields)}" if 0 < len(fields) <= FIELDS_SHOWN_MAX else None
        return suggestion(name, fields) or shown
    if item["type"] == "unknown_step" and isinstance(item["input"], dict) and len(item["input"]) > 1:
        return "begin each step with a `-` of its own"
    known = {"unknown_step": STEPS, "unknown_distribution": DISTRIBUTIONS}.get(item["type"])
    if known is not None and isinstance(item["input"], dict):
        written = _at(plain, item["loc"][:-1]) if item["loc"][-1] == "action" else None  # a misspelled verb looks like a label
        for key in [*(written if isinstance(written, dict) else ()), *item["input"]][:10]:
            if isinstance(key, str) and (found := suggestion(key, known)):
                return found
    if item["type"] == "literal_error" and isinstance(item["input"], str):
        return suggestion(item["input"], re.findall(r"'([^']*)'", item["ctx"]["expected"]))
    return None


def _at(plain: Any, loc: tuple[str | int, ...]) -> Any:
    """What a plain document has there; None where nothing is."""
    for part in loc:
        if isinstance(plain, dict):
            plain = plain.get(part)
        else:
            plain = plain[part] if isinstance(plain, list) and isinstance(part, int) and part < len(plain) else None
    return plain


def _position(fault: TwinError) -> tuple[float, float]:
    """Line and column of a fault's place; what has none comes last."""
    _, line, column = f"::{fault.place}".rsplit(":", 2)
    return (int(line), int(column)) if line.isdigit() and column.isdigit() else (inf, inf)


def _sentence(item: Any, name: str) -> str:
    message = item["msg"].removeprefix("Value error, ")
    value = item.get("input")
    shown = f", not {value!r}" if isinstance(value, bool | int | float | str) and len(repr(value)) < 60 else ""
    return f"`{name}`: {message[:1].lower()}{message[1:]}{shown}" if name else message


def _fields_beside(loc: tuple[str | int, ...]) -> list[str]:
    """Field names valid where an unknown one was written: those of the model that the location leads to."""
    model: Any = Blueprint
    for part in loc[:-1]:
        model = AnyStep if part == "action" else _step_into(model, part)  # steps hold steps: begin anew at each
    names: list[str] = []
    for name, info in getattr(model, "model_fields", {}).items():
        names.append(info.alias or name)
    return names


def _step_into(model: Any, part: str | int) -> Any:
    fields = getattr(model, "model_fields", None)
    if model is None:
        return None
    if fields is None:
        return _models_in(model).get(str(part)) or _only(model)
    for name, info in fields.items():
        if part in (name, info.alias):
            return info.annotation
    return None


def _models_in(annotation: Any) -> dict[str, Any]:
    """The models inside a union or a container, by the one key that tells them apart."""
    found: dict[str, Any] = {}
    for inner in getattr(annotation, "__args__", ()):
        if isinstance(inner, type) and issubclass(inner, Model):
            found[next(iter(inner.model_fields))] = inner
        else:
            found.update(_models_in(inner))
    return found


def _only(annotation: Any) -> Any:
    models = list(dict.fromkeys(_models_in(annotation).values()))
    return models[0] if len(models) == 1 else annotation if models else None


def locate(document: Any, loc: tuple[str | int, ...], source: str) -> str:
    """`source:line:column` of the deepest part of `loc` that the document has. Union tags in `loc` are passed over."""
    if document is None:
        return f"{source}:{'.'.join(str(part) for part in loc)}" if loc else source
    node, line, column = document, document.lc.line, document.lc.col
    for part in loc:
        if isinstance(node, CommentedMap) and part not in node and len(node) == 1:
            inner = next(iter(node.values()))
            if isinstance(inner, CommentedMap) and part in inner:
                node = inner
        if isinstance(node, CommentedMap) and part in node:
            line, column = node.lc.key(part)
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line, column = node.lc.item(part)
            node = node[part]
    return f"{source}:{line + 1}:{column + 1}"
