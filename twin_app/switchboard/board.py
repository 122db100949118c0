"""The board of one twin: which paths there are, of what type and within what bounds, at which version.

The values themselves are the kernel's, since the model changes some of them too; the board asks for them. A path's version
is the number of times it was set: by a command, or by a `set` step of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from models.blueprint import Blueprint
from models.errors import CheckpointError, Rejected
from models.events import SourceOffset
from models.nearest import nearest_path
from models.sharing import shared
from twin_app.switchboard.casting import cast
from twin_app.switchboard.parameters import Parameter, check_distribution, distribution_at, flatten

_HINT_PATHS_MAX = 5_000

_new = tuple.__new__


Source = SourceOffset
"""Where a command came from: topic, partition, offset."""


class Change(NamedTuple):
    """One checked change: `new` has the path's type; `version` is the one that it makes."""

    path: str
    old: Any
    new: Any
    version: int


class Mark(NamedTuple):
    """What is known of a path's last change. `changed_at` is simulation time; `source` is None if the model made the change."""

    version: int = 0
    changed_at: float = 0.0
    source: Source | None = None


UNCHANGED = Mark()


class _Relations(NamedTuple):
    """The paths; `members`: by the part before the last dot; `bounded_by`: path -> the one that it bounds; `related`: those whose
    value is bounded by others', or bounds them."""

    parameters: dict[str, Parameter]
    members: dict[str, list[str]]
    bounded_by: dict[str, str]
    related: frozenset[str]


def _relations(blueprint: Blueprint) -> _Relations:
    parameters = flatten(blueprint)
    members: dict[str, list[str]] = {}
    for path in parameters:
        members.setdefault(path.rpartition(".")[0], []).append(path)
    bounded_by = {p.high_path: p.path for p in parameters.values() if p.high_path is not None}
    related = {p.path for p in parameters.values() if p.high_path is not None} | set(bounded_by)
    for group, paths in members.items():
        if len(paths) > 1 and group.startswith(("services.", "arrivals.")):
            related.update(paths)
    return _Relations(parameters, members, bounded_by, frozenset(related))


class Board:
    """The typed paths of one twin. `read` gives a path's present value."""

    def __init__(self, blueprint: Blueprint, read: Callable[[str], Any]) -> None:
        self.blueprint = blueprint
        self._read = read
        self._marks: dict[str, Mark] = {}
        self.parameters, self._members, self._bounded_by, self._related = shared(_relations, blueprint)

    def value(self, path: str) -> Any:
        """The present value of a path. Raises Rejected (`unknown-path`)."""
        return self._read(self._parameter(path).path)

    def mark(self, path: str) -> Mark:
        """Version, time and source of the path's last change."""
        return self._marks.get(path, UNCHANGED)

    def check(
        self, changes: Mapping[str, Any], if_version: int | Mapping[str, int] | None = None, *, not_before: bool = False
    ) -> list[Change]:
        """The changes, cast and checked together, in the order given; nothing is changed.

        `if_version`: the version that every path, or each path that the mapping names, must have; with `not_before` it is
        enough that the path can still come to that version. Raises Rejected: `unknown-path`, `wrong-type`, `not-finite`,
        `number-too-large`, `value-too-large`, `out-of-bounds`, `inconsistent`, `stale-version`.
        """
        new: dict[str, Any] = {}
        for path, value in changes.items():
            parameter = self._parameter(path)
            new[path] = cast(path, parameter.type, value)
            parameter.check_bounds(new[path])
        self._check_together(new)
        self._check_versions(changes, if_version, not_before)
        return [Change(path, self._read(path), value, self.mark(path).version + 1) for path, value in new.items()]

    def check_one(self, path: str, value: Any) -> Change:
        """The same for one change without `if_version`, which is nearly every command. Raises Rejected as `check` does."""
        parameter = self._parameter(path)
        new = cast(path, parameter.type, value)
        parameter.check_bounds(new)
        if path in self._related:
            self._check_together({path: new})
        mark = self._marks.get(path)
        return _new(Change, (path, self._read(path), new, 1 if mark is None else mark.version + 1))

    def commit(self, changes: Sequence[Change], now: float, source: Source | None) -> None:
        """Note that the changes were made at simulation time `now`."""
        for change in changes:
            self._marks[change.path] = _new(Mark, (change.version, now, source))

    def changed(self, path: str, now: float) -> int:
        """Note that the model itself set a path; the version that this made. Paths that are not on the board are ignored."""
        if path not in self.parameters:
            return 0
        version = self.mark(path).version + 1
        self._marks[path] = Mark(version, now, None)
        return version

    def succeed(self, earlier: Board, now: float, source: Source | None) -> None:
        """Take over from the board of a replaced blueprint: versions go on, so that an old `if_version` cannot fit by chance."""
        for path in self.parameters:
            if path in earlier.parameters:
                self._marks[path] = Mark(earlier.mark(path).version + 1, now, source)

    def go_on(self, earlier: Board, taken: Iterable[str], now: float, source: Source | None) -> None:
        """Take over from the board of a blueprint whose work goes on: what kept its value keeps its mark, what was `taken` anew
        has one more version."""
        for path in self.parameters:
            if path in earlier.parameters and (mark := earlier.mark(path)) is not UNCHANGED:
                self._marks[path] = mark
        for path in taken:
            self._marks[path] = Mark(earlier.mark(path).version + 1, now, source)

    def snapshot(self) -> dict[str, list[Any]]:
        """The marks as plain data."""
        return {
            path: [mark.version, mark.changed_at, list(mark.source) if mark.source else None]
            for path, mark in self._marks.items()
        }

    def restore(self, marks: Mapping[str, Sequence[Any]]) -> None:
        """Take the marks of a snapshot. Raises CheckpointError if they are not of this board."""
        try:
            found = {
                path: Mark(version, at, Source(*source) if source else None) for path, (version, at, source) in marks.items()
            }
        except (TypeError, ValueError) as error:
            raise CheckpointError("bad-checkpoint", f"the board of {self.blueprint.twin} is damaged: {error}") from error
        stray = next((path for path in found if path not in self.parameters), None)
        if stray is not None:
            raise CheckpointError("bad-checkpoint", f"the board names {stray!r}, which the blueprint does not have")
        self._marks = found

    def _parameter(self, path: str) -> Parameter:
        parameter = self.parameters.get(path)
        if parameter is not None:
            return parameter
        near = nearest_path(path, islice(self.parameters, _HINT_PATHS_MAX))
        twin = self.blueprint.twin
        raise Rejected(
            "unknown-path",
            f"the twin {twin} has no path {path!r}",
            path=path,
            remedy=f"did you mean {near!r}?" if near else f"list its paths with `twin check`: it has {len(self.parameters):,}",
        )

    def _check_together(self, new: Mapping[str, Any]) -> None:
        """Bounds between paths, over all the changes at once."""
        groups: dict[str, None] = {}
        for path in new:
            parameter = self.parameters[path]
            if parameter.high_path is not None:
                self._check_bound(path, parameter.high_path, new)
            elif path in self._bounded_by:
                self._check_bound(self._bounded_by[path], path, new)
            elif path.startswith(("services.", "arrivals.")):
                groups[path.rpartition(".")[0]] = None
        for group in groups:
            if len(self._members[group]) == 1:  # its own bounds were all there is
                continue
            values = {path.rpartition(".")[2]: self._now_or(new, path) for path in self._members[group]}
            check_distribution(group, distribution_at(self.blueprint, group), values)

    def _check_bound(self, path: str, bound: str, new: Mapping[str, Any]) -> None:
        value, high = self._now_or(new, path), self._now_or(new, bound)
        if value > high:
            asked = path if path in new else bound
            raise Rejected(
                "out-of-bounds",
                f"{path} = {value} is above {bound} = {high}",
                path=asked,
                value=new[asked],
                remedy="change both in one patch, or stay within the bound",
            )

    def _now_or(self, new: Mapping[str, Any], path: str) -> Any:
        return new[path] if path in new else self._read(path)

    def _check_versions(self, changes: Mapping[str, Any], if_version: int | Mapping[str, int] | None, not_before: bool) -> None:
        if if_version is None:
            return
        wanted = dict.fromkeys(changes, if_version) if isinstance(if_version, int) else if_version
        for path, version in wanted.items():
            present = self.mark(self._parameter(path).path).version
            if present > version or (present < version and not not_before):
                raise Rejected(
                    "stale-version",
                    f"{path} is at version {present}, not {version}",
                    path=path,
                    value=version,
                    remedy="read the path again and decide anew",
                )
