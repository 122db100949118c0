"""What a blueprint must satisfy beyond its shape: every name used exists, every expression is one. All faults at once.

The work is bounded, since a blueprint may come from anyone: at most PROBLEMS_MAX faults are looked for, and the nearest name to
a wrong one is looked for among the first few hundred (models/nearest.py), for the first NEAREST_MAX wrong ones.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from models.check_questions import question_faults
from models.distributions import kind_of, parameters_of
from models.expressions import CONTAINER_FIELDS, LITERALS, RESOURCE_FIELDS, ROOTS, STORE_FIELDS, ExpressionError, parse
from models.flow import RESERVED_TARGETS, Step
from models.nearest import suggestion
from models.parameters import declared, outages

if TYPE_CHECKING:
    from models.blueprint import Blueprint

PROBLEMS_MAX = 100
NEAREST_MAX = 20
OWN_STEP_REMEDY = "install the package that offers it as an entry point of `twin_app.steps`"

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where in the document (`loc`), a stable code, what is wrong, and what to do."""

    loc: Loc
    code: str
    message: str
    remedy: str | None = None


def problems(
    blueprint: "Blueprint", lost: frozenset[str] = frozenset(), own_steps: Collection[str] | None = None
) -> list[Problem]:
    """What is wrong with the references and expressions of a blueprint of the right shape: the first PROBLEMS_MAX faults.

    Nothing is said about names in `lost`: they may have been in parts that had no right shape (models/salvage.py). `own_steps`:
    the own Python steps that can be called here; None where that is not known.
    """
    return list(islice(_Checker(blueprint, lost, own_steps).run(), PROBLEMS_MAX))


def blocks_of(step: Any) -> list[tuple[Loc, Any]]:
    """The blocks of steps inside a step, each with the way to it."""
    way: Loc = (step.verb,) if step.label is None else (step.label, step.verb)
    if step.verb in ("loop", "retry"):
        return [((*way, "do"), step.body.do)]
    if step.verb == "branch":
        return [((*way, number, "do"), arm.do) for number, arm in enumerate(step.body) if arm.do is not None]
    return []


def every_step(flows: Iterable[Iterable[Step]]) -> Iterator[Step]:
    """The steps of some flows, those inside blocks too."""
    for flow in flows:
        for step in flow:
            yield step
            yield from every_step([block for _, block in blocks_of(step)])


class _Nothing:
    after = when = change = signal = go = None


_NOTHING = _Nothing()


class _Checker:
    def __init__(self, blueprint: "Blueprint", lost: frozenset[str], own_steps: Collection[str] | None) -> None:
        self.blueprint = blueprint
        self.lost = lost
        self.own_steps = own_steps
        self.labels: dict[str, None] = {}
        self._looked_for = 0

    def _nearest(self, name: str, known: Iterable[str]) -> str | None:
        """The nearest name, for the first wrong ones."""
        self._looked_for += 1
        return suggestion(name, known) if self._looked_for <= NEAREST_MAX else None

    def run(self) -> Iterator[Problem]:
        blueprint = self.blueprint
        for name, resource in blueprint.resources.items():
            for prefix, distribution in outages(name, resource):
                yield from self._numeric(tuple(prefix.split(".")), distribution)
            if resource.breakdown is not None and resource.breakdown.repair_flow is not None:
                place = ("resources", name, "breakdown", "repair_flow")
                yield from self._known(place, "flow", resource.breakdown.repair_flow, blueprint.flows)
        for name, distribution in blueprint.services.items():
            yield from self._numeric(("services", name), distribution)
        for name, arrival in blueprint.arrivals.items():
            if arrival.interarrival is not None:
                yield from self._numeric(("arrivals", name, "interarrival"), arrival.interarrival)
            yield from self._known(("arrivals", name, "flow"), "flow", arrival.flow, blueprint.flows)
            for key, value in arrival.attributes.items():
                yield from self._value(("arrivals", name, "attributes", key), value)
        for name, machine in blueprint.machines.items():
            for state_name, state in machine.states.items():
                yield from self._state(("machines", name, "states", state_name), state)
        for name, schedule in blueprint.schedules.items():
            if schedule.shifts is not None and blueprint.time.start is None:
                remedy = "say in `time.start` which calendar time simulation time 0 is"
                yield Problem(("schedules", name, "shifts"), "no-calendar", "shifts need a calendar", remedy)
            for inside, changes in schedule.changes():
                for path in changes:
                    yield from self._settable(("schedules", name, *inside, path), path)
        for name, flow in blueprint.flows.items():
            self.labels = {}
            yield from self._labels(("flows", name), flow)
            yield from self._steps(("flows", name), flow)
        for fault in question_faults(blueprint, self.lost, self._nearest, lambda: self._attributes):
            yield Problem(*fault)

    def _state(self, loc: Loc, state: Any) -> Iterator[Problem]:
        blocks = [((*loc, "entry"), state.entry), ((*loc, "exit"), state.exit)]
        for number, transition in enumerate(state.transitions):
            place = (*loc, "transitions", number)
            blocks.append(((*place, "do"), transition.do))
            yield from self._wait_any(place[:-1], [*[_NOTHING] * number, transition])
        for place, steps in blocks:
            self.labels = {}
            yield from self._labels(place, steps)
            if self.labels:
                # They would be made several times: once for each way out of the state.
                yield Problem(place, "label-in-machine", "steps of a machine carry no labels")
            if any(step.verb == "fail" for step in every_step([steps])):
                yield Problem(place, "fail-in-machine", "a machine does not fail", "give it a state for that, and go there")
            yield from self._steps(place, steps)

    def _labels(self, loc: Loc, steps: Any) -> Iterator[Problem]:
        """All labels of a flow, those inside blocks too."""
        for number, step in enumerate(steps):
            if step.label is not None:
                if step.label in self.labels:
                    message = f"the label `{step.label}` is used twice in this flow"
                    yield Problem((*loc, number, step.label), "duplicate-label", message)
                self.labels[step.label] = None
            for place, block in blocks_of(step):
                yield from self._labels((*loc, number, *place), block)

    def _steps(self, loc: Loc, steps: Any) -> Iterator[Problem]:
        for number, step in enumerate(steps):
            yield from self._step((*loc, number), step)
            for place, block in blocks_of(step):
                yield from self._steps((*loc, number, *place), block)

    # -- steps
    def _step(self, loc: Loc, step: Step) -> Iterator[Problem]:
        place = (*loc, step.verb) if step.label is None else (*loc, step.label, step.verb)
        check: Callable[[Loc, Any], Iterator[Problem]] = getattr(self, f"_{step.verb}")
        yield from check(place, step.body)

    def _seize(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._known((*loc, "resource"), "resource", body.resource, self.blueprint.resources)
        yield from self._value((*loc, "units"), body.units)
        yield from self._value((*loc, "priority"), body.priority)
        yield from self._span((*loc, "patience"), body.patience)
        yield from self._target((*loc, "on_renege"), body.on_renege)
        yield from self._target((*loc, "on_balk"), body.on_balk)

    def _process(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._seize(loc, body)
        yield from self._target((*loc, "on_abandon"), body.on_abandon)
        yield from self._delay(loc, body)

    def _put(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._stock(loc, body)
        yield from self._value((*loc, "item"), body.item)
        yield from self._value((*loc, "priority"), body.priority)

    def _get(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._stock(loc, body)
        yield from self._value((*loc, "where"), body.where, item=True)

    def _stock(self, loc: Loc, body: Any) -> Iterator[Problem]:
        if body.container is not None:
            yield from self._known((*loc, "container"), "container", body.container, self.blueprint.containers)
        else:
            yield from self._known((*loc, "store"), "store", body.store, self.blueprint.stores)
        yield from self._value((*loc, "amount"), body.amount)
        yield from self._span((*loc, "patience"), body.patience)
        yield from self._target((*loc, "on_renege"), body.on_renege)

    def _delay(self, loc: Loc, body: Any) -> Iterator[Problem]:
        if body.service is not None:
            yield from self._known((*loc, "service"), "service", body.service, self.blueprint.services)
        yield from self._span((*loc, "for"), body.for_)
        if not hasattr(body, "resource"):
            yield from self._target((*loc, "on_interrupt"), body.on_interrupt)

    def _release(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._known((*loc, "resource"), "resource", body.resource, self.blueprint.resources)
        yield from self._value((*loc, "units"), body.units)

    def _branch(self, loc: Loc, body: Any) -> Iterator[Problem]:
        for number, arm in enumerate(body):
            if arm.when is not None:
                yield from self._value((*loc, number, "when"), arm.when)
            yield from self._target((*loc, number, "go"), arm.go)

    def _go(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._target(loc, body)

    def _emit(self, loc: Loc, body: Any) -> Iterator[Problem]:
        for key, value in body.payload.items():
            yield from self._value((*loc, "payload", key), value)

    def _set(self, loc: Loc, body: Any) -> Iterator[Problem]:
        for path, value in body.items():
            parts = tuple(path.split("."))
            if parts[0] == "entity":
                if len(parts) != 2 or not parts[1] or parts[1].startswith("_"):
                    yield Problem((*loc, path), "bad-path", f"`{path}` is not an attribute: write `entity.<name>`")
                elif parts[1] in ("id", "created", "flow"):
                    yield Problem((*loc, path), "read-only", f"`{path}` cannot be assigned")
            else:
                yield from self._settable((*loc, path), path)
            yield from self._value((*loc, path), value)

    def _wait_for(self, loc: Loc, body: Any) -> Iterator[Problem]:
        if body.when is not None:
            yield from self._value((*loc, "when"), body.when)
            if body.change is None and body.signal is None:
                yield from self._can_become_true((*loc, "when"), body.when)
        if body.change is not None:
            yield from self._settable((*loc, "change"), body.change)
        yield from self._span((*loc, "timeout"), body.timeout)
        yield from self._target((*loc, "on_timeout"), body.on_timeout)

    def _wait_any(self, loc: Loc, body: Any) -> Iterator[Problem]:
        for number, arm in enumerate(body):
            yield from self._span((*loc, number, "after"), arm.after)
            yield from self._value((*loc, number, "when"), arm.when)
            if arm.when is not None and arm.after is None and arm.change is None and arm.signal is None:
                yield from self._can_become_true((*loc, number, "when"), arm.when)
            if arm.change is not None:
                yield from self._settable((*loc, number, "change"), arm.change)
            yield from self._target((*loc, number, "go"), getattr(arm, "go", None))

    def _spawn(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._known((*loc, "flow"), "flow", body.flow, self.blueprint.flows)
        yield from self._value((*loc, "count"), body.count)
        for key, value in body.attributes.items():
            yield from self._value((*loc, "attributes", key), value)

    def _signal(self, loc: Loc, body: Any) -> Iterator[Problem]:
        for key, value in body.payload.items():
            yield from self._value((*loc, "payload", key), value)

    def _interrupt(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._known((*loc, "flow"), "flow", body.flow, self.blueprint.flows)
        yield from self._value((*loc, "where"), body.where)

    def _loop(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._value((*loc, "times"), body.times)
        yield from self._value((*loc, "while"), body.while_)

    def _retry(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._value((*loc, "until"), body.until)
        yield from self._span((*loc, "wait"), body.wait)
        yield from self._target((*loc, "on_give_up"), body.on_give_up)

        if body.until is None and not any(step.verb == "fail" for step in every_step([body.do])):
            remedy = "say with `until` when a try has succeeded, or put a `fail` step into `do`"
            yield Problem(loc, "never-fails", "nothing says when a try has failed", remedy)

    def _fail(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._value((*loc, "when"), body.when)
        yield from self._value((*loc, "probability"), body.probability)

    def _batch(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._value((*loc, "size"), body.size)
        yield from self._value((*loc, "by"), body.by)
        yield from self._span((*loc, "timeout"), body.timeout)

    def _call(self, loc: Loc, body: Any) -> Iterator[Problem]:
        if self.own_steps is not None and body.step not in self.own_steps:
            remedy = self._nearest(body.step, self.own_steps) or OWN_STEP_REMEDY
            yield Problem((*loc, "step"), "unknown-own-step", f"there is no own step `{body.step}`", remedy)
        for key, value in body.with_.items():
            yield from self._value((*loc, "with", key), value)

    def _split(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._value((*loc, "into"), body.into)

    def _join(self, loc: Loc, body: Any) -> Iterator[Problem]:
        return iter(())

    def _assemble(self, loc: Loc, body: Any) -> Iterator[Problem]:
        yield from self._value((*loc, "kind"), body.kind)
        yield from self._value((*loc, "by"), body.by)

    def _can_become_true(self, loc: Loc, text: str) -> Iterator[Problem]:
        try:
            references = parse(text).references
        except ExpressionError:
            return
        if any(parts[0] == "now" for parts in references):
            yield Problem(loc, "waits-for-time", "a condition waited for cannot depend on `now`", "use `delay`, or `timeout`")
        elif not any(parts[0] != "entity" for parts in references):
            yield Problem(loc, "never-changes", "this condition depends on nothing that changes while the entity waits")

    # -- parts of steps
    def _known(self, loc: Loc, what: str, name: str, known: Iterable[str]) -> Iterator[Problem]:
        if name not in known and name not in self.lost:
            yield Problem(loc, f"unknown-{what}", f"there is no {what} `{name}`", self._nearest(name, known))

    def _target(self, loc: Loc, target: str | None) -> Iterator[Problem]:
        places = (self.labels, self.blueprint.flows, RESERVED_TARGETS)
        if target is not None and target not in self.lost and not any(target in names for names in places):
            remedy = (
                self._nearest(target, [name for names in places for name in sorted(names)])
                or "a target is a label of this flow, a flow, `next` or `end`"
            )
            yield Problem(loc, "unknown-target", f"there is no label or flow `{target}`", remedy)

    def _settable(self, loc: Loc, path: str) -> Iterator[Problem]:
        if path not in self._declared and self.lost.isdisjoint(path.split(".")):
            yield Problem(loc, "unknown-path", f"there is no parameter `{path}`", self._nearest(path, self._declared))

    @cached_property
    def _attributes(self) -> set[str]:
        """The attributes that the blueprint itself gives to entities."""
        found = {"due"}
        for arrival in self.blueprint.arrivals.values():
            found.update(arrival.attributes)
            found.update(key for entry in arrival.trace or () for key in entry.attributes)
        for step in every_step(self.blueprint.flows.values()):
            if step.verb == "spawn":
                found.update(step.body.attributes)
            elif step.verb == "set":
                found.update(path.removeprefix("entity.") for path in step.body if path.startswith("entity."))
        return found

    @cached_property
    def _declared(self) -> Mapping[str, Any]:
        return declared(self.blueprint)

    def _numeric(self, loc: Loc, distribution: Any) -> Iterator[Problem]:
        if kind_of(distribution) == "choice":
            for number, value in enumerate(distribution.choice.values):
                if isinstance(value, bool) or not isinstance(value, int | float):
                    yield Problem(
                        (*loc, "choice", "values", number), "not-a-number", f"a length of time is drawn here: {value!r} is none"
                    )

    def _span(self, loc: Loc, span: Any) -> Iterator[Problem]:
        if isinstance(span, str):
            yield from self._value(loc, span)
        elif span is not None and not isinstance(span, int | float):
            yield from self._numeric(loc, span)

    def _value(self, loc: Loc, value: Any, *, item: bool = False) -> Iterator[Problem]:
        if not isinstance(value, str):
            return
        try:
            parsed = parse(value)
        except ExpressionError as error:
            yield Problem(loc, error.code, error.message, error.remedy)
            return
        for parts in parsed.references:
            if parts[0] == "item" and item:
                continue
            yield from self._reference(loc, parts)

    def _reference(self, loc: Loc, parts: tuple[str, ...]) -> Iterator[Problem]:
        root, *rest = parts
        blueprint = self.blueprint
        if not self.lost.isdisjoint(rest):
            return
        if root == "item":
            yield Problem(loc, "unknown-name", "`item` exists only in the filter of a get")
            return
        if root not in ROOTS:
            remedy = self._nearest(root, [*sorted(ROOTS), *LITERALS]) or f"for the text write \"'{root}'\""
            yield Problem(loc, "unknown-name", f"there is no name `{root}`", remedy)
            return
        if root == "now":
            if rest:
                yield Problem(loc, "unknown-name", f"`{'.'.join(parts)}`: `now` is a number")
            return
        if not rest:
            yield Problem(loc, "incomplete-name", f"`{root}` alone is no value: write `{root}.<name>`")
            return
        if root == "entity":
            return
        if root == "variables":
            yield from self._known(loc, "variable", rest[0], blueprint.variables)
            return
        if root == "resources":
            yield from self._known(loc, "resource", rest[0], blueprint.resources)
            fields: Iterable[str] = RESOURCE_FIELDS
        elif root == "containers":
            yield from self._known(loc, "container", rest[0], blueprint.containers)
            fields = CONTAINER_FIELDS
        elif root == "stores":
            yield from self._known(loc, "store", rest[0], blueprint.stores)
            fields = STORE_FIELDS
        elif root == "machines":
            yield from self._known(loc, "machine", rest[0], blueprint.machines)
            fields = ("state",)
        else:
            table = blueprint.services if root == "services" else blueprint.arrivals
            yield from self._known(loc, root[:-1], rest[0], table)
            if rest[0] not in table:
                return
            entry: Any = table[rest[0]]
            distribution = entry if root == "services" else entry.interarrival
            fields = parameters_of(distribution) if distribution is not None else ()
        if len(rest) != 2 or rest[1] not in fields:
            fields = sorted(fields)
            remedy = (self._nearest(rest[1], fields) if len(rest) > 1 else None) or f"it has {', '.join(fields)}"
            yield Problem(loc, "unknown-name", f"there is no `{'.'.join(parts)}`", remedy)
