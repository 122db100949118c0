"""Blueprints that differ in no more than their twin's name and seed share all that is in them.

A plant registers the same machine hundreds of times. What a blueprint becomes when it is read never changes afterwards (its
classes are frozen, and who runs it takes copies of what a run changes), so one reading serves all its twins, and one copy of it
is kept; so with what is worked out from it and read only (docs/decisions/0100).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgpack
from pydantic import ValidationError

from models.base import Model, TwinName
from models.blueprint import Blueprint, Seed

SHARED_MAX = 256
"""Different blueprints that are kept for sharing, those last used."""
SHARED_BYTES_MAX = 64 << 10
"""A larger one is not: it may be anybody's, and there are few of a kind."""

T = TypeVar("T")


class _Kept(NamedTuple):
    blueprint: Blueprint
    derived: dict[Callable[[Blueprint], Any], Any]


_kept: OrderedDict[bytes, _Kept] = OrderedDict()
_by_flows: dict[int, _Kept] = {}
"""The same, by the identity of their flows: as long as one is kept, nothing else has that."""
_SECTIONS = [name for name in Blueprint.model_fields if name not in ("twin", "seed")]


class _Own(Model):
    """What a twin has for itself, with the blueprint's own rules."""

    twin: TwinName
    seed: Seed = 0


def blueprint_from(document: Mapping[str, Any]) -> Blueprint:
    """The blueprint of a document of plain JSON values. Gives and raises what `Blueprint.model_validate` does."""
    key = _key(document)
    if key is None:
        return Blueprint.model_validate(document)
    known = _kept.get(key)
    if known is None:
        known = _kept[key] = _Kept(Blueprint.model_validate(document), {})
        _by_flows[id(known.blueprint.flows)] = known
        if len(_kept) > SHARED_MAX:
            _, oldest = _kept.popitem(last=False)
            del _by_flows[id(oldest.blueprint.flows)]
        return known.blueprint
    try:
        own = _Own.model_validate({name: document[name] for name in ("twin", "seed") if name in document})
    except ValidationError:
        return Blueprint.model_validate(document)  # with all the faults, as ever
    _kept.move_to_end(key)
    return known.blueprint.model_copy(update={"twin": own.twin, "seed": own.seed})


def shared(make: Callable[[Blueprint], T], blueprint: Blueprint) -> T:
    """What `make` gives for the blueprint; one for all that share it. It depends on neither name nor seed, and is read only."""
    kept = _by_flows.get(id(blueprint.flows))
    if kept is None or not all(getattr(kept.blueprint, name) is getattr(blueprint, name) for name in _SECTIONS):
        return make(blueprint)
    if make not in kept.derived:
        kept.derived[make] = make(kept.blueprint)
    made: T = kept.derived[make]
    return made


def _key(document: Mapping[str, Any]) -> bytes | None:
    """All but name and seed, exactly: equal keys are equal documents, to the type of every number. None: not to be shared."""
    try:
        parts = {name: part for name, part in document.items() if name not in ("twin", "seed")}
        key: bytes = msgpack.packb(parts, strict_types=True)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return key if len(key) <= SHARED_BYTES_MAX else None
