"""Which step of a new blueprint is which of the old one.

A labelled step is the one of that label in the same flow. Else a step is, of those not yet spoken for in the same block: the one
of the same number if it says the same; the only one that says the same; and where the block has the same verbs in the same
order, the one of the same number. (The last not for a label that is gone: it may have been given to mean something else.) A
step inside another is looked for inside that one's counterpart. Of a machine, each state is a block of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import dumps

from models.blueprint import Blueprint
from models.check import blocks_of
from models.flow import Step as StepModel
from models.machines import as_flow
from twin_app.kernel.opening import MACHINE


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A step as the blueprint has it. `number` is that of its Place; `says`: what it does, in one canonical text."""

    flow: str
    number: str
    model: StepModel
    says: str
    blocks: dict[str, list["Named"]]

    @property
    def base(self) -> str:
        """What its inner steps' numbers begin with."""
        return self.model.label or self.number

    def __str__(self) -> str:
        return f"{self.flow}.{self.base}"


def flows_of(blueprint: Blueprint) -> dict[str, list[Named]]:
    """All flows with their steps; those that carry machines out too."""
    machines = {MACHINE + name: as_flow(name, machine) for name, machine in blueprint.machines.items()}
    return {name: _tree(name, steps, "") for name, steps in {**blueprint.flows, **machines}.items()}


def walk(steps: list[Named]) -> Iterator[Named]:
    """The steps, each before those inside it."""
    for step in steps:
        yield step
        for block in step.blocks.values():
            yield from walk(block)


def state_of(step: Named) -> str | None:
    """The state that a labelled step of a machine's flow begins a part of."""
    kind, _, rest = (step.model.label or "").partition("--")
    if kind == "leave":
        return rest.rpartition("--")[0]
    return rest if kind in ("enter", "forced") else None


class Correspondence:
    """Pairs of steps. `renamed`: flows that have another name now."""

    def __init__(self, old: Mapping[str, list[Named]], new: Mapping[str, list[Named]], renamed: Mapping[str, str]) -> None:
        self._found: dict[tuple[str, str], Named] = {}
        self._taken: set[int] = set()
        for name, steps in old.items():
            there = new.get(renamed.get(name, name))
            if there is not None:
                self._flow(steps, there, machine=name.startswith(MACHINE))

    def of(self, step: Named) -> Named | None:
        """Its counterpart; None if there is none."""
        return self._found.get((step.flow, step.number))

    def _flow(self, old: list[Named], new: list[Named], *, machine: bool) -> None:
        labelled = {step.model.label: step for step in walk(new) if step.model.label is not None}
        pairs = [(step, labelled[step.model.label]) for step in walk(old) if step.model.label in labelled]
        for step, there in pairs:
            self._note(step, there)
        for step, there in pairs:
            self._inside(step, there)
        if machine:
            parts = _parts(new)
            for label, part in _parts(old).items():
                self._state(part, parts.get(label, []))
        else:
            self._block(old, new)

    def _state(self, old: list[Named], new: list[Named]) -> None:
        """A part of a state: where it waits for its transitions is the last step of its first part."""
        if old and new and old[-1].model.verb == new[-1].model.verb == "wait_any":
            self._note(old[-1], new[-1])
            old, new = old[:-1], new[:-1]
        self._block(old, new)

    def _block(self, old: list[Named], new: list[Named]) -> None:
        for step, there in zip(old, new, strict=False):
            if step.says == there.says:
                self._pair(step, there)
        for step in old:
            alike = [there for there in new if there.says == step.says and id(there) not in self._taken]
            if len(alike) == 1 and sum(self._open(other) and other.says == step.says for other in old) == 1:
                self._pair(step, alike[0])
        if [step.model.verb for step in old] == [step.model.verb for step in new]:
            for step, there in zip(old, new, strict=True):
                if step.model.label is None:
                    self._pair(step, there)

    def _open(self, step: Named) -> bool:
        return (step.flow, step.number) not in self._found

    def _note(self, step: Named, there: Named) -> None:
        self._found[step.flow, step.number] = there
        self._taken.add(id(there))

    def _pair(self, step: Named, there: Named) -> None:
        if self._open(step) and id(there) not in self._taken:
            self._note(step, there)
            self._inside(step, there)

    def _inside(self, step: Named, there: Named) -> None:
        if step.model.verb == there.model.verb:
            for name, block in step.blocks.items():
                self._block(block, there.blocks.get(name, []))


def _tree(flow: str, steps: list[StepModel], prefix: str) -> list[Named]:
    found = []
    for index, model in enumerate(steps):
        number = f"{prefix}{index}"
        blocks = {}
        for way, block in blocks_of(model):
            name = str(way[-2]) if model.verb == "branch" else "do"
            blocks[name] = _tree(flow, block, f"{model.label or number}.{name}.")
        says = dumps(model.action.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True)
        found.append(Named(flow, number, model, says, blocks))
    return found


def _parts(steps: list[Named]) -> dict[str, list[Named]]:
    """Of a machine's flow: what follows each label of its own, up to the next."""
    found: dict[str, list[Named]] = {}
    part: list[Named] = []
    for step in steps:
        if step.model.label is not None and state_of(step) is not None:
            part = found[step.model.label] = []
        else:
            part.append(step)
    return found
