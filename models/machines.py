"""State machines as data: states with transitions on time, condition, change, signal, or by setting `machines.<name>.state`.

A machine is carried out as a flow of its own (`as_flow`): each state is a label, its transitions one `wait_any`. So it is saved,
restored and forked like everything that flows.
"""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from models.base import Expression, Model, Name
from models.flow import Flow, Span, Step

STATES_MAX = 1_000


class Transition(Model):
    """To another state: `after` a time in this one, on a `signal`, on a `change` of a path, or `when` a condition holds."""

    after: Span | None = None
    signal: Name | None = None
    change: str | None = Field(default=None, max_length=400)
    when: Expression | None = None
    to: Name
    do: list[Step] = Field(default_factory=list, max_length=1_000)

    @model_validator(mode="after")
    def _one(self) -> "Transition":
        given = sum(value is not None for value in (self.after, self.signal, self.change))
        if given > 1 or (given == 0 and self.when is None):
            raise PydanticCustomError("transition", "give one of `after`, `signal`, `change`, or `when`")
        return self


class State(Model):
    """`entry` and `exit`: steps done when the state is entered and left."""

    entry: list[Step] = Field(default_factory=list, max_length=1_000)
    exit: list[Step] = Field(default_factory=list, max_length=1_000)
    transitions: list[Transition] = Field(default_factory=list, max_length=99)


class Machine(Model):
    """A state machine. Its state is the live parameter `machines.<name>.state`."""

    initial: Name
    states: dict[Name, State] = Field(min_length=1, max_length=STATES_MAX)

    @model_validator(mode="after")
    def _known(self) -> "Machine":
        for name in (self.initial, *(t.to for state in self.states.values() for t in state.transitions)):
            if name not in self.states:
                raise PydanticCustomError("unknown_state", "there is no state `{name}`", {"name": name})
        return self


_FLOW: TypeAdapter[list[Step]] = TypeAdapter(Annotated[Flow, Field(max_length=1_000_000)])


def as_flow(name: str, machine: Machine) -> list[Step]:
    """The flow that carries a machine out."""
    path = f"machines.{name}.state"
    # A command may have set the state before the machine begins.
    steps: list[Any] = _to_current(path, machine)
    for state_name, state in machine.states.items():
        told = {"set": {path: f"'{state_name}'"}}
        steps.append({f"enter--{state_name}": {"branch": [{"when": f"{path} != '{state_name}'", "do": [told]}]}})
        steps += _plain(state.entry)
        arms = []
        for number, transition in enumerate(state.transitions):
            arm = transition.model_dump(mode="json", by_alias=True, exclude={"to", "do"}, exclude_none=True)
            arms.append({**arm, "go": f"leave--{state_name}--{number}"})
        steps.append({"wait_any": [*arms, {"change": path, "go": f"forced--{state_name}"}]})
        for number, transition in enumerate(state.transitions):
            steps.append({f"leave--{state_name}--{number}": {"go": "next"}})
            steps += [*_plain(state.exit), *_plain(transition.do), {"go": f"enter--{transition.to}"}]
        steps.append({f"forced--{state_name}": {"go": "next"}})
        steps += _plain(state.exit)
        steps += _to_current(path, machine)
    return _FLOW.validate_python(steps)


def _to_current(path: str, machine: Machine) -> list[Any]:
    """Steps that lead to the state that the parameter names."""
    targets = [{"when": f"{path} == '{name}'", "go": f"enter--{name}"} for name in machine.states]
    return [{"branch": targets[start : start + 100]} for start in range(0, len(targets), 100)]


def _plain(steps: list[Step]) -> list[Any]:
    return [step.model_dump(mode="json", by_alias=True) for step in steps]
