"""A new blueprint for a running twin, with the work in progress kept.

A twin is plain data, so a migration is a transformation of data: the snapshot of the old twin is laid over the structure that
the new blueprint gives, part by part and by name, and a new twin is filled from it. Who stands at a step that is still there
keeps all that it has: its place in line, the time left, its tie, what it holds and remembers. Who is moved is taken out of what
it waits for, and begins at its new step at the same instant.

Everything is checked before anything is done, and the old twin is never touched: what does not fit is told as a whole, and the
twin goes on as it was. A live value is kept where the new blueprint declares what the old one did, and is the declared one
elsewhere; levels, items and states of machines are contents, and always kept.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from typing import TYPE_CHECKING, Any

from models.blueprint import Blueprint
from models.errors import EntityFault, ModelError, Rejected
from models.nearest import did_you_mean
from models.parameters import declared
from twin_app.kernel import snapshot as snapshots
from twin_app.kernel.correspondence import Correspondence, Named, flows_of, state_of, walk
from twin_app.kernel.emission import Value
from twin_app.kernel.entity import CARRIED, GATHERED, HALTED, MOVING, QUEUED, SERVING, WAITING
from twin_app.kernel.opening import MACHINE
from twin_app.kernel.queues import PriorityQueue
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.blocks import RetryCheck
from twin_app.kernel.steps.plain import PlainProcess
from twin_app.kernel.steps.serve import Process, Seize
from twin_app.kernel.steps.stock import StockStep
from twin_app.kernel.steps.wait import WaitFor

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

FAULTS_SHOWN_MAX = 20
MESSAGE_CHARS_MAX = 4_000

ID, STEP, PHASE, AT, ORDER, FLOW, _, LAST, UNITS, PRIORITY, TICKET, _, _, HELD, MEMORY = range(15)
"""An entity's row in a snapshot (kernel/snapshot.py)."""
BUSY_SUM, QUEUE_SUM, CAPACITY_SINCE = 3, 4, 6
"""In the sums of a resource."""

OF_ONE_STEP = ("remaining", "item", "after", "arm", "children", "group", "kind")
"""What an entity remembers for the step where it stands, and must not take along."""

Row = list[Any]


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that the new blueprint has no place for, and what to do about it."""

    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message} ({self.remedy})"


@dataclass(slots=True)
class Report:
    """What becomes of what. `moved`: from one step to another, so many. `taken`: paths that get the new declared value (what they
    were, what they are). `planned`: arrivals, outages and schedules that begin anew. `machines`: those that are gone."""

    kept: int = 0
    moved: dict[tuple[str, str], int] = field(default_factory=dict)
    values_kept: int = 0
    taken: dict[str, tuple[Value, Value]] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)

    def counts(self) -> dict[str, Value]:
        """In figures, as the event tells it."""
        return {
            "entities_kept": self.kept,
            "entities_moved": sum(self.moved.values()),
            "parameters_kept": self.values_kept,
            "parameters_taken": len(self.taken),
            "parameters_new": len(self.new),
            "parameters_gone": len(self.gone),
        }


class Migration:
    """One migration, worked out when it is made: `report` says what becomes of what.

    `moves`: `flow.step` to `flow.step` (a label or a number), `flow` to `flow` for one that has another name now,
    `machines.name.state` to the same. Raises Rejected (`unknown-step`, `unknown-flow`) for moves that name none.
    """

    def __init__(self, twin: "Twin", blueprint: Blueprint, moves: Mapping[str, str] | None = None) -> None:
        self.report = Report()
        self._old = twin
        self._blueprint = blueprint
        self._new: Twin = type(twin).__new__(type(twin))
        self._new._build(blueprint, twin.events)
        self._new.now = twin.now
        self._data = snapshots.take(twin)
        base = snapshots.take(self._new)
        self._rows: dict[int, Row] = {row[ID]: row for row in self._data["entities"]}
        self._was_at = {row[ID]: twin.program.steps[row[STEP]] for row in self._data["entities"]}
        self._read_moves(moves or {})
        self._ranks = self._places_in_lines()
        self._moving: dict[int, tuple[str, str]] = {}
        self._verdicts: dict[tuple[Any, ...], tuple[Step | None, bool, str | None]] = {}
        self._asked: list[int] = []
        self._away: dict[int, bool] = {}
        """Who is taken out of lines; whether it waits for children."""
        self._resources: dict[str, None] = {}
        self._stocks: dict[str, None] = {}
        self._check_time()
        self._values = self._merge_values()
        self._place_entities()
        self._take_away_the_moved()
        self._check_left_behind()
        if self.fits:
            self._carry_over(base)

    @property
    def fits(self) -> bool:
        return not self.report.misfits

    # -- moves
    def _read_moves(self, moves: Mapping[str, str]) -> None:
        before, after = flows_of(self._old.blueprint), flows_of(self._blueprint)
        self._renamed: dict[str, str] = {}
        self._moves: dict[tuple[str, str], Named] = {}
        for origin, to in moves.items():
            if "." not in origin and "." not in to:
                for name, flows in ((origin, before), (to, after)):
                    if name not in flows:
                        message = f"there is no flow {name[:100]!r}"
                        raise Rejected("unknown-flow", message, path=f"moves.{origin}"[:200], remedy=did_you_mean(name, flows))
                self._renamed[origin] = to
                continue
            targets = self._named(origin, to, after)
            for step in self._named(origin, origin, before):
                self._moves[step.flow, step.base] = targets[0]
        pairs = Correspondence(before, after, self._renamed)
        old = {(n.flow, n.number): n for steps in before.values() for n in walk(steps)}
        self._named_old = old
        self._base_old = {(n.flow, n.base): n for n in old.values()}
        steps = {(s.place.flow, s.place.number): s for s in self._new.program.steps if s.place.step is s}
        self._steps = steps
        self._counterparts: dict[tuple[str, str], Named] = {}
        for key, step in old.items():
            there = pairs.of(step)
            if there is not None:
                self._counterparts[key] = there

    def _named(self, move: str, text: str, flows: Mapping[str, list[Named]]) -> list[Named]:
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

    def _moved_to(self, step: Step) -> Named | None:
        """Where `moves` sends those who stand at the step, or inside it."""
        flow, number = step.place.flow, step.place.number
        if flow.startswith(MACHINE):
            named = self._labelled_before(flow, number)
            return self._moves.get((flow, named)) if named is not None else None
        if step.place.label is not None and (flow, step.place.label) in self._moves:
            return self._moves[flow, step.place.label]
        while True:
            if (flow, number) in self._moves:
                return self._moves[flow, number]
            shorter = number.removesuffix(".check") if number.endswith(".check") else number.rpartition(".")[0].rpartition(".")[0]
            if not shorter or shorter == number:
                return None
            number = shorter

    def _labelled_before(self, flow: str, number: str) -> str | None:
        first = number.partition(".")[0]
        label = None
        for (other, name), named in self._named_old.items():
            if other == flow and "." not in name and state_of(named) is not None:
                label = named.model.label
            if other == flow and first in (name, named.model.label):
                return label
        return None

    # -- checking
    def _misfit(self, place: str, message: str, remedy: str) -> None:
        self.report.misfits.append(Misfit(place[:200], message, remedy))

    def _check_time(self) -> None:
        old, new = self._old.blueprint.time, self._blueprint.time
        for name in ("unit", "mode", "start"):
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                message = f"the work in progress lives by {name} {before}, not {after}"
                self._misfit(f"time.{name}", message, f"leave time.{name} as it is, or replace the twin with discard_work")
        shifts = [name for name, model in self._blueprint.schedules.items() if model.shifts is not None]
        if old.factor != new.factor and shifts:
            message = f"the shifts of `{shifts[0]}` are reckoned at one factor from the start on"
            self._misfit("time.factor", message, "leave time.factor as it is, or replace the twin with discard_work")

    def _merge_values(self) -> dict[str, Value]:
        before, after = declared(self._old.blueprint), declared(self._blueprint)
        live: dict[str, Value] = self._data["parameters"]
        report = self.report
        values: dict[str, Value] = {}
        checked: dict[str, None] = {}
        for path, spec in after.items():
            value = spec.value
            if path not in before:
                report.new.append(path)
            elif _is_content(path) or (before[path].kind == spec.kind and _text(before[path].value) == _text(spec.value)):
                value = live[path]
                report.values_kept += 1
                if not (path.startswith("machines.") and self._sends_elsewhere(path, str(value))):
                    checked[path] = None
            else:
                report.taken[path] = (live[path], value)
            values[path] = value
        report.gone = [path for path in before if path not in after]
        for fault in self._new.parameter_board.unfit(values, checked):
            remedy = "set it to one that fits before, or declare another value for it in the new blueprint"
            self._misfit(str(fault.path), f"its live value is kept and does not fit: {fault.message}", remedy)
        return values

    def _sends_elsewhere(self, path: str, state: str) -> bool:
        return (MACHINE + path.split(".")[1], f"enter--{state}") in self._moves

    # -- entities
    def _place_entities(self) -> None:
        """Give each its step in the new blueprint, or find that it has none."""
        lost: Counter[tuple[str, str, str]] = Counter()
        rows = list(self._rows.values())
        for row in rows:
            if row[PHASE] != CARRIED:
                self._place(row, lost)
        carriers = {number: row for row in rows for number in (row[MEMORY] or {}).get("members", ())}
        for row in rows:
            if row[PHASE] == CARRIED and row[ID] in self._rows:
                there = self._counterpart(self._was_at[row[ID]])
                carrier = carriers[row[ID]]
                while carrier[PHASE] == CARRIED:
                    carrier = carriers[carrier[ID]]
                row[STEP] = there.index if there is not None else carrier[STEP]
                self._adopt(row, lost)
                self.report.kept += 1
        for (place, message, remedy), count in lost.items():
            whose = "entity" if count == 1 else "entities"
            self._misfit(place, f"{count:,} {whose} {message}", remedy)
        limit = self._blueprint.limits.entities
        if len(self._rows) > limit:
            message = f"{len(self._rows):,} entities are in progress, and the new limit is {limit:,}"
            self._misfit("limits.entities", message, "raise limits.entities")

    def _place(self, row: Row, lost: "Counter[tuple[str, str, str]]") -> None:
        step = self._was_at[row[ID]]
        machine = step.place.flow.startswith(MACHINE)
        if machine and step.place.flow not in self._new.program.flows:
            self._end_machine(row, step, lost)
            return
        there, moved, reason = self._verdict(row, step)
        if there is None or reason is not None:
            plural = str(reason).replace("is here", "stand here", 1)
            lost[_place_of(step), plural, self._remedy(step)] += 1
            return
        if moved:
            self._moving[row[ID]] = (_place_of(step), _place_of(there))
        row[STEP] = there.index
        self._adopt(row, lost)
        if not machine:
            if moved:
                pair = self._moving[row[ID]]
                self.report.moved[pair] = self.report.moved.get(pair, 0) + 1
            else:
                self.report.kept += 1
        if not moved:
            self._settle_in(row, step)

    def _verdict(self, row: Row, step: Step) -> "tuple[Step | None, bool, str | None]":
        """Where the entity goes on, whether it begins there anew, or why it cannot. One answer for all who are there alike."""
        key = (step.index, row[PHASE], row[UNITS], "remaining" in (row[MEMORY] or ()))
        found = self._verdicts.get(key)
        if found is None:
            target = self._moved_to(step)
            there = self._counterpart(step) if target is None else self._steps[target.flow, target.number]
            if there is None:
                found = None, False, "is here, and the new blueprint has no such step"
            elif target is not None:
                found = there, True, None
            else:
                reason = self._why_not(row, step, there)
                found = there, reason is None and self._begins_anew(row, step), reason
            self._verdicts[key] = found
        return found

    def _end_machine(self, row: Row, step: Step, lost: "Counter[tuple[str, str, str]]") -> None:
        name = step.place.flow.removeprefix(MACHINE)
        if row[PHASE] != WAITING or row[HELD] or (row[MEMORY] or {}).get("children"):
            lost[f"machines.{name}", "of a machine that is gone is in the middle of a step", "wait until it is at rest"] += 1
            return
        self._take_away(row, step)
        del self._rows[row[ID]]
        self._data["machines"] -= 1
        self.report.machines.append(name)

    def _remedy(self, step: Step) -> str:
        if step.place.flow.startswith(MACHINE):
            name = step.place.flow.removeprefix(MACHINE)
            return f"say where they go: moves: {{machines.{name}.STATE: machines.{name}.STATE}}"
        place = _place_of(step)
        return f"keep the step, give it the label it had, or say where they go: moves: {{{place}: FLOW.STEP}}"

    def _counterpart(self, step: Step) -> Step | None:
        """The same step in the new blueprint."""
        flow, number = step.place.flow, step.place.number
        if isinstance(step, RetryCheck):
            owner = self._base_old.get((flow, number.removesuffix(".check")))
            there = self._counterparts.get((flow, owner.number)) if owner is not None else None
            return self._steps.get((there.flow, f"{there.base}.check")) if there is not None else None
        there = self._counterparts.get((flow, number))
        return self._steps[there.flow, there.number] if there is not None else None

    def _model_of(self, step: Step) -> Any:
        """The step as the old blueprint has it."""
        flow, number = step.place.flow, step.place.number
        if isinstance(step, RetryCheck):
            return self._base_old[flow, number.removesuffix(".check")]
        return self._named_old[flow, number]

    def _why_not(self, row: Row, step: Step, there: Step) -> str | None:
        """Why the entity cannot go on at the step's counterpart; None if it can."""
        if isinstance(step, RetryCheck) or isinstance(there, RetryCheck):
            return None if type(step) is type(there) else "is here, where the new blueprint does something else"
        verb, now = self._model_of(step).model.verb, self._named_new(step).model.verb
        if verb != now:
            return f"is here, where the new blueprint has `{now}` instead of `{verb}`"
        if isinstance(step, Seize) and isinstance(there, Seize):
            if step.resource.name != there.resource.name:
                return f"is here for `{step.resource.name}`, and the new blueprint asks for `{there.resource.name}`"
            alone = isinstance(there, PlainProcess) or (row[PHASE] == QUEUED and there.resource.plain_line is not None)
            if alone and self._units(row, step) != 1:
                return f"is here with {row[UNITS]} units of `{step.resource.name}`, and the new blueprint asks for one"
            if isinstance(there, PlainProcess) and "remaining" in (row[MEMORY] or {}):
                return "is here with an interrupted service, and the new blueprint interrupts none"
        if isinstance(step, StockStep) and isinstance(there, StockStep):
            if (step.stock.kind, step.stock.name) != (there.stock.kind, there.stock.name):
                return f"is here for the {step.stock.kind} `{step.stock.name}`, and the new blueprint asks for another"
            if type(step) is not type(there):
                return "is here, where the new blueprint does something else"
        return None

    def _units(self, row: Row, step: Step) -> Any:
        return 1 if isinstance(step, PlainProcess) else row[UNITS]

    def _named_new(self, step: Step) -> Named:
        return self._counterparts[step.place.flow, step.place.number]

    def _begins_anew(self, row: Row, step: Step) -> bool:
        """Several waits in one, and meetings, are begun anew where they mean something else now."""
        if row[PHASE] not in (WAITING, GATHERED) or isinstance(step, RetryCheck | WaitFor):
            return False
        old, new = self._model_of(step), self._named_new(step)
        return bool(old.model.verb in ("wait_any", "batch", "assemble") and old.says != new.says)

    def _settle_in(self, row: Row, step: Step) -> None:
        """It stays at the step: a patience or a timeout that is no more does not end its wait."""
        if isinstance(step, PlainProcess):
            row[UNITS] = 1
        waits = isinstance(step, WaitFor) or (row[PHASE] == QUEUED and isinstance(step, Seize | StockStep))
        if waits and row[ORDER]:
            limit = "timeout" if isinstance(step, WaitFor) else "patience"
            if getattr(self._named_new(step).model.body, limit) is None:
                row[AT], row[ORDER] = None, 0
        if isinstance(step, WaitFor) and self._model_of(step).says != self._named_new(step).says:
            self._asked.append(row[ID])

    def _adopt(self, row: Row, lost: "Counter[tuple[str, str, str]]") -> None:
        """What the entity has and remembers by the names and numbers of the old blueprint."""
        flow = self._renamed.get(row[FLOW], row[FLOW])
        if flow not in self._new.program.flows:
            if row[ID] in self._moving:
                flow = self._new.program.steps[row[STEP]].place.flow
            else:
                key = (f"flows.{row[FLOW]}", "began in it, and it is gone", f"say its new name: moves: {{{row[FLOW]}: FLOW}}")
                lost[key] += 1
        row[FLOW] = flow
        for name in row[HELD] or ():
            if name not in self._new.resources:
                remedy = "keep it (a capacity of 0 lets nobody new in) until they have given it back"
                lost[f"resources.{name}", "hold units of it, and it is gone", remedy] += 1
        memory = row[MEMORY]
        if not memory:
            return
        around = None
        if row[ID] in self._moving:
            inside = self._new.program.steps[row[STEP]].place.around
            around = {owner.index for owner in inside} | {c.index for owner in inside if (c := getattr(owner, "_check", None))}
        kept: dict[str, Any] = {}
        for key, value in memory.items():
            word, _, number = key.partition(" ")
            if word in ("loop", "tries", "kept") and number:
                owner = self._counterpart(self._old.program.steps[int(number)])
                if owner is not None and (around is None or owner.index in around):
                    kept[f"{word} {owner.index}"] = value
            elif key != "repairs" or self._has_outage(*value):
                kept[key] = value
        row[MEMORY] = kept or None

    def _has_outage(self, name: str, reason: str) -> bool:
        resource = self._new.resources.get(name)
        return resource is not None and any(outage.reason == reason for outage in resource.outages)

    # -- taking away
    def _places_in_lines(self) -> dict[int, int]:
        """Entities in the order in which they would have gone on: that is the order in which they are moved."""
        data = self._data
        found: dict[int, None] = {}
        serving = sorted((row[ORDER], row[ID]) for row in data["entities"] if row[PHASE] == SERVING)
        found.update(dict.fromkeys(number for _, number in serving))
        for resource in data["resources"].values():
            found.update(dict.fromkeys([*resource["halted"], *resource["queue"]]))
        for stock in (*data["containers"].values(), *data["stores"].values()):
            found.update(dict.fromkeys([*stock["putters"], *stock["getters"]]))
        for groups in data["gatherings"]:
            for group in groups.values():
                found.update(dict.fromkeys(group))
        found.update(dict.fromkeys(row[ID] for row in data["entities"]))
        return {number: rank for rank, number in enumerate(found)}

    def _take_away_the_moved(self) -> None:
        self._moving = {number: self._moving[number] for number in sorted(self._moving, key=self._ranks.__getitem__)}
        for number in self._moving:
            self._take_away(self._rows[number], self._was_at[number])
        self._out_of_lines()

    def _take_away(self, row: Row, step: Step) -> None:
        """Out of whatever it waits for or is served by. What it has seized stays with it."""
        phase = row[PHASE]
        if isinstance(step, Seize) and phase in (QUEUED, SERVING, HALTED):
            self._out_of_resource(row, step)
        elif isinstance(step, StockStep) and phase == QUEUED:
            self._stocks[step.stock.name] = None
        elif phase == GATHERED:
            self._out_of_group(row, step)
        self._away[row[ID]] = phase == WAITING and bool((row[MEMORY] or {}).get("children"))
        row[AT], row[ORDER], row[PHASE], row[TICKET] = None, 0, MOVING, 0
        if row[MEMORY]:
            row[MEMORY] = {key: value for key, value in row[MEMORY].items() if key not in OF_ONE_STEP} or None

    def _out_of_lines(self) -> None:
        """All at once, since a line may be as long as those who leave it are many."""
        data, away = self._data, self._away
        if not away:
            return
        lines: list[tuple[dict[str, list[int]], str]] = [(data["waiting"], topic) for topic in data["waiting"]]
        for resource in data["resources"].values():
            lines += [(resource, name) for name in ("queue", "halted", "users") if name in resource]
        for stock in (*data["containers"].values(), *data["stores"].values()):
            lines += [(stock, "putters"), (stock, "getters")]
        for owner, name in lines:
            owner[name] = [number for number in owner[name] if number not in away]
        for row in self._rows.values():
            if row[MEMORY] and away.get(row[MEMORY].get("parent")):
                del row[MEMORY]["parent"]

    def _out_of_resource(self, row: Row, step: Seize) -> None:
        now = self._old.now
        data, resource = self._data["resources"][step.resource.name], step.resource
        self._resources[resource.name] = None
        if row[PHASE] == QUEUED:
            data["sums"][QUEUE_SUM] += now
        elif row[PHASE] == SERVING:
            if "debt" in data:
                owed = max(0, data["busy"] - resource.capacity)
                data["debt"] = [data["debt"][0] + owed * (now - data["debt"][1]), now]
            units = self._units(row, step)
            data["busy"] -= units
            data["sums"][BUSY_SUM] += units * now

    def _out_of_group(self, row: Row, step: Step) -> None:
        place = next(place for place, gathering in enumerate(self._old.program.gatherings) if gathering is step)
        groups = self._data["gatherings"][place]
        key = row[MEMORY]["group"]
        groups[key].remove(row[ID])
        if not groups[key]:
            del groups[key]
        elif row[ORDER]:  # the timeout of the group was on its first
            first = self._rows[groups[key][0]]
            self._data["last_number"] += 1
            first[AT], first[ORDER] = row[AT], self._data["last_number"]

    # -- the rest
    def _carry_over(self, base: dict[str, Any]) -> None:
        """The snapshot, part by part in the order of the new blueprint."""
        data, new = self._data, self._new
        data["entities"] = list(self._rows.values())
        data["blueprint"] = base["blueprint"]
        data["parameters"] = dict(self._values)
        known = {stream.name for stream in new.streams()}
        data["streams"] = {name: position for name, position in data["streams"].items() if name in known}
        back = {there: name for name, there in self._renamed.items()}
        data["flows"] = {name: self._figures(data["flows"].get(back.get(name, name)), row) for name, row in base["flows"].items()}
        self._fresh_outages: list[tuple[str, str]] = []
        self._healed: list[str] = []
        self._capacities: dict[str, int] = {}
        data["resources"] = {name: self._resource(name, row) for name, row in base["resources"].items()}
        for section in ("containers", "stores"):
            fresh = {name: {**row, "sums": [0.0, new.now]} for name, row in base[section].items()}
            data[section] = {name: data[section].get(name, row) for name, row in fresh.items()}
        self._gatherings_and_waits()
        self._sources(base)
        self._watches(base)
        if data["opening"][0] is not None and not self._blueprint.machines:
            data["opening"] = [None, 0]
        if self._blueprint.statistics.warm_up != self._old.blueprint.statistics.warm_up:
            data["warm_up"] = [None, 0]
            if self._blueprint.statistics.warm_up > new.now:
                data["last_number"] += 1
                data["warm_up"] = [self._blueprint.statistics.warm_up, data["last_number"]]

    def _figures(self, row: Any, fresh: Any) -> Any:
        """Figures of a flow: its quantiles only where they are still kept."""
        if row is None:
            return fresh
        return row if self._blueprint.statistics.quantiles else [*row[:2], None]

    def _check_left_behind(self) -> None:
        data, old, new = self._data, self._old, self._new
        for name, stock in {**old.containers, **old.stores}.items():
            there = new.containers if name in old.containers else new.stores
            if name not in there and stock.level:
                message = f"{stock.level:g} {'items are' if stock.kind == 'store' else 'is'} in it, and it is gone"
                self._misfit(f"{stock.kind}s.{name}", message, "empty it first, or keep it in the new blueprint")
        if self.fits:  # else the entities that hold it or wait for it are told already
            for name, row in data["resources"].items():
                if name not in new.resources and (row["busy"] or row["queue"] or row["halted"]):
                    message = f"{row['busy']} units of it are busy and {len(row['queue'])} entities wait for it, and it is gone"
                    self._misfit(f"resources.{name}", message, "keep it until they have given it back")

    def _resource(self, name: str, fresh: dict[str, Any]) -> dict[str, Any]:
        """A resource's figures, line and outages; its line may be of another kind now."""
        new, path = self._new.resources[name], f"resources.{name}.capacity"
        if name not in self._old.resources:
            fresh["sums"][CAPACITY_SINCE] = self._new.now
            self._fresh_outages += [(name, outage.reason) for outage in new.outages]
            return fresh
        old, data = self._old.resources[name], self._data["resources"][name]
        if self._values[path] != old.capacity:
            self._capacities[name] = int(self._values[path])
            self._data["parameters"][path] = old.capacity  # changed later, with what follows from it
        rows = {outage.reason: row for outage, row in zip(old.outages, data["outages"], strict=True)}
        before, after = self._old.blueprint.resources[name], self._blueprint.resources[name]
        data["outages"], down = [], 0
        for outage in new.outages:
            row = rows.pop(outage.reason, None)
            same = getattr(before, outage.reason) == getattr(after, outage.reason)
            if row is None or (row[0] is None and not same):
                self._fresh_outages.append((name, outage.reason))
                row = [None, None, 0]
            data["outages"].append(row)
            down += row[0] is not None
        if data["down"] and not down:
            self._healed.append(name)
        data["down"] = max(down, min(1, data["down"]))
        self._users(data, old, new)
        if isinstance(new.queue, PriorityQueue) != isinstance(old.queue, PriorityQueue):
            for number in data["queue"]:
                self._rows[number][TICKET] = self._ticket() if isinstance(new.queue, PriorityQueue) else 0
        if isinstance(new.queue, PriorityQueue):
            data["queue"].sort(key=lambda number: (self._rows[number][PRIORITY], self._rows[number][TICKET]))
        return data

    def _users(self, data: dict[str, Any], old: Any, new: Any) -> None:
        """Who is in service, where somebody may have to be interrupted now, or may not any more."""
        if new.users is None:
            for number in data.pop("users", ()):
                self._rows[number][TICKET] = 0
        elif "users" not in data:
            serving = [row for row in self._rows.values() if row[PHASE] == SERVING and self._serves(row, old)]
            for row in sorted(serving, key=lambda row: row[ORDER]):
                row[TICKET] = self._ticket()
            data["users"] = [row[ID] for row in sorted(serving, key=lambda row: row[TICKET])]

    def _serves(self, row: Row, resource: Any) -> bool:
        step = self._was_at[row[ID]]
        return isinstance(step, Process) and step.resource is resource

    def _ticket(self) -> int:
        ticket: int = self._data["next_ticket"]
        self._data["next_ticket"] = ticket + 1
        return ticket

    def _gatherings_and_waits(self) -> None:
        data, new = self._data, self._new
        groups = {there.index: group for there, group in self._groups() if there is not None}
        data["gatherings"] = [groups.get(gathering.index, {}) for gathering in new.program.gatherings]
        waiting: dict[str, list[int]] = {}
        steps = new.program.steps
        wanted = {
            row[ID]: getattr(steps[row[STEP]], "topics", ())
            for row in data["entities"]
            if row[PHASE] == WAITING and row[ID] not in self._moving
        }
        for topic, line in data["waiting"].items():
            waiting[topic] = [number for number in line if topic in wanted.get(number, ())]
        for number, topics in wanted.items():
            for topic in topics:
                line = waiting.setdefault(topic, [])
                if number not in data["waiting"].get(topic, ()):
                    line.append(number)
        data["waiting"] = {topic: line for topic, line in waiting.items() if line}

    def _groups(self) -> list[tuple[Step | None, Any]]:
        gatherings = self._old.program.gatherings
        return [(self._counterpart(step), group) for step, group in zip(gatherings, self._data["gatherings"], strict=True)]

    def _sources(self, base: dict[str, Any]) -> None:
        """Arrivals and schedules: as they were where their declaration is the same, planned anew elsewhere."""
        data, before, after = self._data, self._old.blueprint, self._blueprint
        self._fresh_arrivals: list[str] = []
        self._fresh_schedules: list[str] = []
        arrivals = {}
        for name, fresh in base["arrivals"].items():
            row = arrivals[name] = data["arrivals"].get(name, fresh)
            old, new = before.arrivals.get(name), after.arrivals[name]
            if old is None or (old.interarrival, old.trace, old.limit) != (new.interarrival, new.trace, new.limit):
                arrivals[name] = [self._count(row[0], old, new), None, 0]
                self._fresh_arrivals.append(name)
        data["arrivals"] = arrivals
        schedules = {}
        for name, fresh in base["schedules"].items():
            row = schedules[name] = data["schedules"].get(name, fresh)
            if before.schedules.get(name) != after.schedules[name]:
                schedules[name] = [*row[:2], None, 0]
                self._fresh_schedules.append(name)
        data["schedules"] = schedules
        self.report.planned = [
            *(f"arrivals.{name}" for name in self._fresh_arrivals),
            *(f"resources.{name}.{reason}" for name, reason in self._fresh_outages),
            *(f"schedules.{name}" for name in self._fresh_schedules),
        ]

    def _count(self, count: int, old: Any, new: Any) -> int:
        """How many have come. Of another trace, what lies before now has gone by."""
        if new.trace is None:
            return count
        past = count if old is not None and old.trace is not None and old.trace[:count] == new.trace[:count] else 0
        return max(past, sum(entry.at < self._old.now for entry in new.trace))

    def _watches(self, base: dict[str, Any]) -> None:
        same = self._old.blueprint.watch == self._blueprint.watch
        rows = {watch.resource: row for watch, row in zip(self._old.watches, self._data["watches"], strict=True)} if same else {}
        self._fresh_watches = [watch.resource not in rows for watch in self._new.watches]
        found = []
        for watch, fresh in zip(self._new.watches, base["watches"], strict=True):
            data = self._data["resources"][watch.resource]
            state = [False, False, len(data["queue"]), data["sums"][1], 0]
            found.append(rows.get(watch.resource, [state, fresh[1]]))
        self._data["watches"] = found

    # -- carrying out
    def check(self) -> None:
        """Raises Rejected (`work-does-not-fit`) with all that does not fit."""
        misfits = self.report.misfits
        if misfits:
            shown = "; ".join(str(misfit) for misfit in misfits[:FAULTS_SHOWN_MAX])
            more = f"; and {len(misfits) - FAULTS_SHOWN_MAX} more" if len(misfits) > FAULTS_SHOWN_MAX else ""
            things = "thing does" if len(misfits) == 1 else "things do"
            message = f"{len(misfits)} {things} not fit: {shown}"[:MESSAGE_CHARS_MAX] + more
            remedy = "do what is said of each, or give the work up with discard_work: true instead of keep_work"
            raise Rejected("work-does-not-fit", message, path=misfits[0].place, remedy=remedy)

    def carry_out(self, told: Mapping[str, Value]) -> "Twin":
        """The new twin, at the same instant. Its first event is `twin-migrated`, with what is `told` and the report in figures.

        Raises Rejected (`work-does-not-fit`); the old twin is as it was, whatever happens.
        """
        self.check()
        twin = snapshots.put_back(self._new, self._data, self._old.events)
        cause = twin.note("twin-migrated", {**told, **self.report.counts()}) if twin.events else None
        try:
            self._follow(twin, cause)
        except ModelError as error:
            message = f"the new blueprint fails as soon as it takes the work over: {error.message}"
            raise Rejected("work-does-not-fit", message, path=error.place, remedy=error.remedy) from error
        return twin

    def _follow(self, twin: "Twin", cause: int | None) -> None:
        """What follows from what is different, at the same instant."""
        for name, capacity in self._capacities.items():
            twin.resources[name].set_capacity(capacity)
        for name, reason in self._fresh_outages:
            next(outage for outage in twin.resources[name].outages if outage.reason == reason).plan()
        for name in self._fresh_schedules:
            twin.schedules[name].begin()
        for name in self._fresh_arrivals:
            twin.arrivals[name].plan()
        for name in self._healed:
            twin.resources[name].come_up(cause)
        for name in {**self._resources, **self._capacities}:
            if name in twin.resources:
                resource = twin.resources[name]
                resource.owe()
                resource.grant(cause)
                if resource.on_change is not None:
                    resource.on_change()
        changed = {path.split(".")[1] for path in self.report.taken if path.startswith(("containers.", "stores."))}
        for name, stock in {**twin.containers, **twin.stores}.items():
            if name in self._stocks or name in changed:
                stock.serve(cause)
        twin.settle_from_outside()
        for number, (origin, to) in self._moving.items():
            self._begin(twin, number, origin, to, cause)
        self._start_machines(twin)
        self._ask_again(twin, cause)
        for watch, fresh in zip(twin.watches, self._fresh_watches, strict=True):
            if fresh:
                watch.look()
        twin.settle_from_outside()

    def _begin(self, twin: "Twin", number: int, origin: str, to: str, cause: int | None) -> None:
        entity = twin.entities.get(number)
        if entity is None or entity.phase != MOVING:
            return  # it went, or was sent on, because of one that was moved before it
        if twin.events:
            entity.last = twin.emit("entity-moved", number, cause, {"origin": origin, "to": to})
        try:
            following = entity.step.enter(entity)
        except EntityFault as fault:
            twin.fail(entity, fault)
        else:
            if following is not None:
                entity.step = following
                twin.ready.append(entity)
        twin.settle_from_outside()

    def _start_machines(self, twin: "Twin") -> None:
        if twin.opening.order:
            return  # time 0: all of them begin when the twin does
        for name in self._blueprint.machines:
            if name not in self._old.blueprint.machines:
                twin.machines += 1
                twin.created -= 1
                twin.ready.append(twin.create(MACHINE + name, None, None))
        twin.settle_from_outside()

    def _ask_again(self, twin: "Twin", cause: int | None) -> None:
        """Those who wait for what is different now."""
        for number in self._asked:
            entity = twin.entities.get(number)
            step: Any = entity.step if entity is not None else None
            body = step._body if isinstance(step, WaitFor) else None
            if entity is None or body is None or entity.phase != WAITING or body.change is not None or body.signal is not None:
                continue
            try:
                if step.satisfied(entity, ""):
                    entity.step = step.begin(entity, cause)
                    twin.ready.append(entity)
            except EntityFault as fault:
                twin.fail(entity, fault)
        for path, (old, new) in self.report.taken.items():
            if _text(old) != _text(new):
                twin.waiting.notify(path, cause)
        twin.settle_from_outside()


def _is_content(path: str) -> bool:
    """Whether the value is what the twin has come to, rather than how it is set."""
    return path.startswith("machines.") or (path.startswith("containers.") and path.endswith(".level"))


def _text(value: Value) -> str:
    return dumps(value, sort_keys=True)


def _place_of(step: Step) -> str:
    return f"{step.place.flow}.{step.place.label or step.place.number}"
