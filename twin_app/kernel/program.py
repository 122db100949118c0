"""The flows of a blueprint, linked into steps that lead to one another."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from models.check import every_step
from models.flow import Step as StepModel
from twin_app.kernel.own_steps import Call
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.blocks import Fail, Leave, Loop, Retry
from twin_app.kernel.steps.control import Emit, End, Go, Set, branch
from twin_app.kernel.steps.family import Interrupt, Signal, Spawn
from twin_app.kernel.steps.gather import Assemble, Batch, Gathering, Join, Split
from twin_app.kernel.steps.plain import PlainProcess
from twin_app.kernel.steps.serve import Process, Release, Seize
from twin_app.kernel.steps.stock import get, put
from twin_app.kernel.steps.wait import Delay, WaitAny, WaitFor

if TYPE_CHECKING:
    from twin_app.kernel.steps.blocks import BlockOwner
    from twin_app.kernel.twin import Twin


def process(twin: "Twin", place: "Place", body: Any) -> Step:
    """The general step, or the one written out for the most frequent case."""
    plain = PlainProcess.fits(twin.resources[body.resource], body, interrupts=place.interrupts)
    return (PlainProcess if plain else Process)(twin, place, body)


VERBS: dict[str, Callable[["Twin", "Place", Any], Step]] = {
    "seize": Seize,
    "process": process,
    "delay": Delay,
    "release": Release,
    "put": put,
    "get": get,
    "branch": branch,
    "go": Go,
    "emit": Emit,
    "set": Set,
    "wait_for": WaitFor,
    "wait_any": WaitAny,
    "call": Call,
    "spawn": Spawn,
    "signal": Signal,
    "interrupt": Interrupt,
    "loop": Loop,
    "retry": Retry,
    "fail": Fail,
    "batch": Batch,
    "split": Split,
    "join": Join,
    "assemble": Assemble,
}


class Place:
    """Where a step stands: its flow, number and label. Knows how to find targets, and names the step's random streams.

    A labelled step keeps its streams when others are put before it.
    """

    __slots__ = ("_program", "around", "flow", "label", "number", "step")

    step: Step

    def __init__(
        self, program: "Program", flow: str, number: str, label: str | None, around: tuple["BlockOwner", ...] = ()
    ) -> None:
        """`around`: the loops and retries that this place lies in, the outermost first."""
        self.around = around
        self._program = program
        self.flow = flow
        self.number = number
        self.label = label

    @property
    def interrupts(self) -> bool:
        """Whether any step of the twin interrupts others."""
        return self._program.interrupts

    @property
    def stream(self) -> str:
        return f"flows.{self.flow}.{self.label or self.number}"

    def inner(self, name: str) -> "Place":
        """A place inside this one."""
        return Place(self._program, self.flow, f"{self.label or self.number}.{name}", None, self.around)

    def block(self, steps: list[StepModel], name: str, owner: "BlockOwner | None" = None) -> "Block":
        """Steps inside this one. The owner says in its `connect` where they end; given here, it hears when one of them fails."""
        around = self.around if owner is None else (*self.around, owner)
        return Block(self._program.sequence(self.flow, steps, f"{self.label or self.number}.{name}.", around))

    def extra(self, step: Any) -> Any:
        """A step that the blueprint does not name, made by the step of this place."""
        return self._program.add(step)

    def target(self, name: str) -> Step:
        """The step that `go: name` from here leads to."""
        if name == "end":
            return self._program.flows[self.flow][-1]
        if name == "next":
            return self.step.next
        labelled = self._program.labels.get((self.flow, name))
        target = labelled if labelled is not None else self._program.flows[name][0]
        left = tuple(owner for owner in self.around if owner not in target.place.around and owner is not target)
        return self.extra(Leave(self._program.twin, self.inner(f"to-{name}"), left, target)) if left else target

    def __str__(self) -> str:
        return f"flows.{self.flow}.{self.number}" + (f"({self.label})" if self.label else "")


class Block:
    """Steps inside a step."""

    __slots__ = ("_steps", "first")

    first: Step

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def ends_at(self, step: Step) -> None:
        """Link the steps to one another, and the last to `step`."""
        self.first = self._steps[0] if self._steps else step
        chain(self._steps, step)


def chain(steps: list[Step], end: Step) -> None:
    """Link steps in a row."""
    for step, following in zip(steps, [*steps[1:], end], strict=False):
        step.next = following
        step.connect()


class Program:
    """All steps. `steps[i].index == i`: a snapshot names a step by its index, which follows from the blueprint alone."""

    def __init__(self, twin: "Twin", flows: dict[str, list[StepModel]]) -> None:
        self.twin = twin
        self.steps: list[Step] = []
        self.flows: dict[str, list[Step]] = {}
        self.labels: dict[tuple[str, str], Step] = {}
        self.interrupts = any(step.verb == "interrupt" for step in every_step(flows.values()))
        for name, flow in flows.items():
            linked = self.sequence(name, flow, "")
            linked.append(self.add(End(twin, Place(self, name, str(len(flow)), None))))
            self.flows[name] = linked
        for linked in self.flows.values():
            chain(linked[:-1], linked[-1])
            linked[-1].next = linked[-1]
        for step in self.steps:
            step.link()
        self.gatherings = [step for step in self.steps if isinstance(step, Gathering)]

    def sequence(self, flow: str, models: list[StepModel], prefix: str, around: tuple["BlockOwner", ...] = ()) -> list[Step]:
        """Make the steps of a flow, or of a block in it; not yet linked."""
        made: list[Step] = []
        for number, model in enumerate(models):
            place = Place(self, flow, f"{prefix}{number}", model.label, around)
            step = self.add(VERBS[model.verb](self.twin, place, model.body))
            if model.label is not None:
                self.labels[flow, model.label] = step
            made.append(step)
        return made

    def add(self, step: Step) -> Step:
        step.index = len(self.steps)
        step.place.step = step
        self.steps.append(step)
        return step
