"""How a question is answered: in rounds of more and more replications, a revision after each, until it is precise.

The first round is one replication of every future, so that an answer is there at once. Where none of them draws a random
number it is exact, and all there is to do is to find where the scenarios part from the baseline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgpack

from models.errors import TwinError
from twin_app.forecast.question import Question

ROUNDS = (1, 4, 16, 64, 200)
"""Replications of each future after each round."""
CHUNK_S = 0.5
"""Aim for one task: a limit on how long a fork is deaf to its crew, and small enough to share the work evenly."""
HORIZON_SHARE = 0.9
"""Of what the first replication reached within its entries: what is looked at instead of the horizon that was too far."""
BRIEF_ENTITIES = 1_000
"""A first revision lists so many at most, since writing ten thousand takes longer than running them; one with all follows."""
ATTEMPTS_MAX = 4
"""How often the horizon is shortened before the question is given up."""


class Crew(Protocol):
    """Performs the tasks of `bench`. `size`: how many at a time."""

    size: int

    async def perform(self, about: Topic, task: list[Any]) -> Any:
        """The value of a task about a question. Raises TwinError, HorizonTooFar; may be cancelled."""


class HorizonTooFar(Exception):
    """`reached`: the simulation time up to which the entries of one replication went."""

    def __init__(self, reached: float) -> None:
        super().__init__(reached)
        self.reached = reached


class Topic:
    """A question on its way: its bytes, made once. The lower its `urgency`, the sooner its tasks have their turn."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.urgency = 0
        self.plain: bytes = msgpack.packb(question.to_plain())
        self.crowded = len(question.snapshot["twin"]["entities"]) > BRIEF_ENTITIES


@dataclass(frozen=True)
class Effort:
    """How much may be done for one answer. `budget_s`: seconds after which no further round is begun."""

    rounds: Sequence[int] = ROUNDS
    budget_s: float = 5.0


@dataclass
class Revised:
    """One revision. `body`: the record, encoded. `error`: the code of why there is nothing better."""

    body: bytes
    final: bool
    precise: bool
    deterministic: bool
    replications: int
    sentence: str
    error: str | None = None
    told: dict[str, Any] | None = None
    """The answers to standing questions, and what they rest on; None without any."""


@dataclass
class _Progress:
    """What is known so far, by the number of the future."""

    sheaves: list[list[bytes]]
    refused: dict[int, list[str]] = field(default_factory=dict)
    contrasts: dict[int, Any] = field(default_factory=dict)
    drew: bool = False
    spent_s: float = 0.0
    runs: int = 0

    @property
    def futures(self) -> list[int]:
        """Those that are still looked at."""
        return [future for future in range(len(self.sheaves)) if future not in self.refused]


async def answers(
    question: Question,
    crew: Crew,
    asking: Callable[[int, float], dict[str, Any]],
    *,
    schema_id: int | None = None,
    effort: Effort | None = None,
) -> AsyncGenerator[Revised, None]:
    """The revisions of the answer, each better than the one before.

    `asking(revision, compute_s)` gives the fields of the record that the asker knows. Under a `schema_id` the bodies are Avro,
    else JSON. Raises TwinError when the baseline itself cannot be run: what was given before stands.
    """
    effort = effort or Effort()
    started = time.monotonic()
    topic, progress = await _first_round(question, crew)
    begun = time.monotonic()
    scenarios = bool(question.scenarios)
    have, revision = 1, 0
    while True:
        revision += 1
        elapsed_s = time.monotonic() - started
        left_s = effort.budget_s - (time.monotonic() - begun)
        wanted = _reach(effort, crew, progress, have, left_s) if progress.drew else have
        contrasting = scenarios and revision == 1
        brief = revision == 1 and topic.crowded
        last = wanted == have and not contrasting and not brief
        told = [progress.sheaves, progress.refused, progress.contrasts, asking(revision, elapsed_s)]
        entities = BRIEF_ENTITIES if brief else None
        made = await crew.perform(topic, ["revise", *told, last, contrasting or brief, entities, schema_id])
        yield Revised(**made)
        if made["final"]:
            return
        topic.urgency = revision
        if contrasting:
            await _contrast(crew, topic, progress)
        if wanted > have:
            await _round(crew, topic, progress, list(range(have + 1, wanted + 1)))
            have = wanted


async def _first_round(question: Question, crew: Crew) -> tuple[Topic, _Progress]:
    """One replication of each future; the horizon is shortened until the baseline reaches it."""
    for _ in range(ATTEMPTS_MAX):
        topic = Topic(question)
        progress = _Progress([[] for _ in question.names])
        try:
            await _run(crew, topic, progress, 0, [1], first=True)
        except HorizonTooFar as error:
            shorter = (error.reached - question.start) * HORIZON_SHARE
            if shorter <= 0:
                break
            question = Question(question.snapshot, shorter, question.scenarios)
            continue
        await _gather(_run(crew, topic, progress, future, [1]) for future in range(1, len(question.names)))
        return topic, progress
    raise TwinError(
        "horizon-too-far",
        "too much happens in too little time to look ahead",
        place=question.snapshot["twin"]["blueprint"]["twin"],
        remedy="look whether the model has a loop without a delay",
    )


async def _round(crew: Crew, topic: Topic, progress: _Progress, salts: list[int]) -> None:
    """More replications of every future, in chunks that keep the crew busy evenly."""
    each_s = progress.spent_s / max(progress.runs, 1)
    longest = max(1, int(CHUNK_S / max(each_s, 1e-4)))
    shares = max(1, -(-len(salts) * len(progress.futures) // max(crew.size, 1)))
    size = min(longest, max(1, min(shares, len(salts))))
    chunks = [(future, salts[at : at + size]) for at in range(0, len(salts), size) for future in progress.futures]
    made: dict[int, dict[int, bytes]] = {}

    async def one(future: int, chunk: list[int]) -> None:
        sheaf = await _run(crew, topic, progress, future, chunk, keep=False)
        if sheaf is not None:
            made.setdefault(future, {})[chunk[0]] = sheaf

    await _gather(one(future, chunk) for future, chunk in chunks)
    for future, sheaves in made.items():
        if future not in progress.refused:
            progress.sheaves[future] += [sheaves[first] for first in sorted(sheaves)]


async def _run(
    crew: Crew, topic: Topic, progress: _Progress, future: int, salts: list[int], *, first: bool = False, keep: bool = True
) -> bytes | None:
    """Replications of one future. A scenario that cannot be run is put aside with the reason; the baseline must be."""
    try:
        rows, drew, took_s = await crew.perform(topic, ["replicate", future, salts, first])
    except HorizonTooFar:
        if first:
            raise
        reason = "it takes too many events to reach the horizon"
        if future == 0:
            raise TwinError("horizon-too-far", reason, remedy="shorten the horizon") from None
        progress.refused[future] = [reason]
        progress.sheaves[future] = []
        return None
    except TwinError as error:
        if future == 0 or error.code in CREW_FAILURES:
            raise
        progress.refused[future] = [str(error)]
        progress.sheaves[future] = []
        return None
    progress.drew |= drew
    progress.spent_s += took_s
    progress.runs += len(salts)
    if keep:
        progress.sheaves[future].append(rows)
    return rows


CREW_FAILURES = frozenset({"fork-crashed", "fork-too-slow", "fork-out-of-memory", "fork-failed"})
"""Not a scenario's fault alone: these end the forecast."""


async def _contrast(crew: Crew, topic: Topic, progress: _Progress) -> None:
    async def one(future: int) -> None:
        progress.contrasts[future] = await crew.perform(topic, ["contrast", future])

    await _gather(one(future) for future in progress.futures if future)


def _reach(effort: Effort, crew: Crew, progress: _Progress, have: int, left_s: float) -> int:
    """How many replications there are after the next round: the next number of rounds that the time left allows."""
    goal = next((number for number in effort.rounds if number > have), have)
    each_s = progress.spent_s / max(progress.runs, 1) * len(progress.futures) / max(crew.size, 1)
    affordable = int(left_s / max(each_s, 1e-6)) if left_s > 0 else 0
    return have + min(goal - have, affordable)


async def _gather(work: Any) -> None:
    """All of it, or the first failure; nothing is left running."""
    try:
        async with asyncio.TaskGroup() as group:
            for item in work:
                group.create_task(item)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
