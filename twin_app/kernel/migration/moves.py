"""Which step leads where: to its counterpart in the new blueprint, or where the command's `moves` send those who stand there."""

from collections.abc import Mapping

from models.blueprint import Blueprint
from models.errors import Rejected
from models.nearest import did_you_mean
from twin_app.kernel.migration.correspondence import Correspondence, Named, flows_of, state_of, walk
from twin_app.kernel.opening import MACHINE
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.blocks import RetryCheck


class Moves:
    """`renamed`: flows that have another name now. `steps`: those of the new twin.

    Raises Rejected (`unknown-step`, `unknown-flow`) for moves that name none.
    """

    def __init__(self, old: Blueprint, new: Blueprint, steps: list[Step], moves: Mapping[str, str]) -> None:
        before, after = flows_of(old), flows_of(new)
        self.renamed: dict[str, str] = {}
        self._moves: dict[tuple[str, str], Named] = {}
        for origin, to in moves.items():
            self._read(origin, to, before, after)
        pairs = Correspondence(before, after, self.renamed)
        self._before = {(n.flow, n.number): n for flow in before.values() for n in walk(flow)}
        self._before_by_base = {(n.flow, n.base): n for n in self._before.values()}
        self._steps = {(s.place.flow, s.place.number): s for s in steps if s.place.step is s}
        self._after = {key: there for key, step in self._before.items() if (there := pairs.of(step)) is not None}

    def before(self, step: Step) -> Named:
        """The step as the old blueprint has it."""
        return self._before[step.place.flow, step.place.number]

    def after(self, step: Step) -> Named:
        """Its counterpart as the new blueprint has it; only for a step that has one."""
        return self._after[step.place.flow, step.place.number]

    def counterpart(self, step: Step) -> Step | None:
        """The same step in the new twin."""
        flow, number = step.place.flow, step.place.number
        if isinstance(step, RetryCheck):
            owner = self._before_by_base.get((flow, number.removesuffix(".check")))
            there = self._after.get((flow, owner.number)) if owner is not None else None
            return self._steps.get((there.flow, f"{there.base}.check")) if there is not None else None
        there = self._after.get((flow, number))
        return self._steps[there.flow, there.number] if there is not None else None

    def target(self, step: Step) -> Step | None:
        """Where `moves` send those who stand at the step, or inside it."""
        named = self._named_target(step)
        return self._steps[named.flow, named.number] if named is not None else None

    def send_away_from(self, machine: str, state: str) -> bool:
        """Whether a machine that is in this state goes on in another."""
        return (MACHINE + machine, f"enter--{state}") in self._moves

    def _read(self, origin: str, to: str, before: Mapping[str, list[Named]], after: Mapping[str, list[Named]]) -> None:
        if "." in origin or "." in to:
            target = _named(origin, to, after)[0]
            for step in _named(origin, origin, before):
                self._moves[step.flow, step.base] = target
            return
        for name, flows in ((origin, before), (to, after)):
            if name not in flows:
                message = f"there is no flow {name[:100]!r}"
                raise Rejected("unknown-flow", message, path=f"moves.{origin}"[:200], remedy=did_you_mean(name, flows))
        self.renamed[origin] = to

    def _named_target(self, step: Step) -> Named | None:
        flow, number = step.place.flow, step.place.number
        if flow.startswith(MACHINE):
            label = self._label_before(flow, number)
            return self._moves.get((flow, label)) if label is not None else None
        if step.place.label is not None and (flow, step.place.label) in self._moves:
            return self._moves[flow, step.place.label]
        while True:
            if (flow, number) in self._moves:
                return self._moves[flow, number]
            shorter = number.removesuffix(".check") if number.endswith(".check") else number.rpartition(".")[0].rpartition(".")[0]
            if not shorter or shorter == number:
                return None
            number = shorter

    def _label_before(self, flow: str, number: str) -> str | None:
        """Of a machine's flow: the label of the part in which the step is."""
        first = number.partition(".")[0]
        label = None
        for (other, name), named in self._before.items():
            if other == flow and "." not in name and state_of(named) is not None:
                label = named.model.label
            if other == flow and first in (name, named.model.label):
                return label
        return None


def _named(move: str, text: str, flows: Mapping[str, list[Named]]) -> list[Named]:
    """The steps that a move means: one, or those that begin the parts of a machine's state (its entry first)."""
    flow, _, name = text.partition(".")
    if flow == "machines":
        machine, _, state = name.partition(".")
        found = [s for s in flows.get(MACHINE + machine, ()) if s.model.label is not None and state_of(s) == state]
        known = {f"machines.{n.removeprefix(MACHINE)}.{state_of(s)}" for n in flows for s in flows[n] if state_of(s)}
    else:
        steps = list(walk(flows.get(flow, [])))
        found = [s for s in steps if name in (s.model.label, s.number)]
        known = {str(s) for s in steps} if steps else set(flows)
    if not found:
        message, remedy = f"there is no step {text[:100]!r}", did_you_mean(text, sorted(known))
        raise Rejected("unknown-step", message, path=f"moves.{move}"[:200], remedy=remedy)
    return found
