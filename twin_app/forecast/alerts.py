"""Which answers to standing questions somebody is told of: those that become true, and those that are not true any more. Pure.

The noise of replications must not make it flap. So it is raised only when the whole interval of the probability is above what was
asked for, and taken back only when the whole interval is below; in between it stays as it was.

What was told is all the state there is; it is read back from the topic, where others may have told something, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from models.events import utc_from_us


class Key(NamedTuple):
    """What an alert is about."""

    twin: str
    question: str
    entity: int | None = None

    def __str__(self) -> str:
        return "/".join(map(str, self if self.entity is not None else self[:2]))


@dataclass(frozen=True)
class Told:
    """The last change that was told. `offset`: where it stands in the topic."""

    raised: bool
    number: int
    life: int
    offset: int
    sentence: str = ""


class Present(NamedTuple):
    """A twin as it is now: its life, its questions, and whether an entity is in progress."""

    life: int
    questions: frozenset[str]
    has: Callable[[int], bool]


def stands(raised: bool, low: float, high: float, above: float) -> bool:
    """Whether it is raised, after it was or was not and the probability is in this interval."""
    if low > above:
        return True
    return raised and not high < above


class Alerts:
    """The alerts of one partition, as they were told."""

    def __init__(self) -> None:
        self._told: dict[Key, Told] = {}

    def __len__(self) -> int:
        return len(self._told)

    @property
    def raised(self) -> int:
        """How many are."""
        return sum(told.raised for told in self._told.values())

    def of(self, twin: str) -> list[tuple[Key, Told]]:
        """Those of a twin that are raised, in the order in which they were."""
        found = [(key, told) for key, told in self._told.items() if key.twin == twin and told.raised]
        return sorted(found, key=lambda one: one[1].offset)

    # -- what is in the topic
    def read(self, record: Mapping[str, Any], offset: int) -> None:
        """A record of the topic, of whoever: the later one counts."""
        key = Key(record["twin"], record["question"], record["entity"])
        before = self._told.get(key)
        if before is None or offset > before.offset:
            self._told[key] = Told(record["raised"], record["number"], record["life"], offset, record["sentence"])

    def forget(self, key: Key, offset: int) -> None:
        """The key is over."""
        before = self._told.get(key)
        if before is not None and offset > before.offset:
            del self._told[key]

    # -- what is to be told
    def judge(self, twin: str, told: Mapping[str, Any], present: Present | None, now_us: int) -> list[dict[str, Any]]:
        """The changes that a forecast's answers (`Revised.told`) make, as fields of `Alert`.

        `present`: the twin as it is now, which may have gone on since. Nothing is said of a life of the twin that is over.
        """
        if present is None or present.life != told["life"]:
            return []
        changes: list[dict[str, Any]] = []
        for answer in told["answers"]:
            if answer["question"] not in present.questions:
                continue
            listed = set()
            for case in answer["cases"]:
                key = Key(twin, answer["question"], case["entity"])
                listed.add(key)
                if case["entity"] is not None and not present.has(case["entity"]):
                    continue
                was = self._is_raised(key, told["life"])
                if stands(was, case["low"], case["high"], answer["above"]) != was:
                    changes.append(self._change(key, not was, told, answer, case, now_us))
            if answer["kind"] == "late" and not answer["unlisted"]:
                for key in self._raised_of(twin, answer["question"], told["life"]):
                    if key not in listed and key.entity is not None and present.has(key.entity):
                        changes.append(self._change(key, False, told, answer, None, now_us))
        return changes

    def over(self, present: Callable[[str], Present | None], now_us: int) -> list[dict[str, Any]]:
        """What is taken back without a forecast: the entity has left, the question is not asked any more, the twin is gone."""
        changes = []
        for key, told in self._told.items():
            if told.raised:
                reason = _over(key, told, present(key.twin))
                if reason is not None:
                    why = {"left": "the entity has left", "withdrawn": "it is not asked any more"}[reason]
                    fields = {"reason": reason, "sentence": f"No longer: {why}. It was: {told.sentence}"}
                    changes.append(_fields(key, told.number + 1, told.life, False, now_us) | fields)
        return changes

    def forgettable(self, present: Callable[[str], Present | None]) -> list[Key]:
        """Keys of which nothing can come any more: of entities that are not raised, and never will be."""

        def gone(key: Key, told: Told) -> bool:
            twin = present(key.twin)
            return key.entity is not None and (twin is None or twin.life != told.life or not twin.has(key.entity))

        return [key for key, told in self._told.items() if not told.raised and gone(key, told)]

    def _is_raised(self, key: Key, life: int) -> bool:
        told = self._told.get(key)
        return told is not None and told.life == life and told.raised

    def _raised_of(self, twin: str, question: str, life: int) -> Iterator[Key]:
        for key, told in self._told.items():
            if key[:2] == (twin, question) and told.raised and told.life == life:
                yield key

    def _change(
        self,
        key: Key,
        raised: bool,
        told: Mapping[str, Any],
        answer: Mapping[str, Any],
        case: Mapping[str, Any] | None,
        now_us: int,
    ) -> dict[str, Any]:
        before = self._told.get(key)
        number = 1 if before is None or before.life != told["life"] else before.number + 1
        percent = f"{100 * answer['above']:.4g} %"
        fields = _fields(key, number, told["life"], raised, now_us) | {
            "reason": "forecast",
            "above": answer["above"],
            "forecast": told["id"],
            "as_of_sim_time": told["as_of_sim_time"],
            "as_of_event_time": utc_from_us(told["as_of_us"]),
            "as_of_seq": told["as_of_seq"],
            "replications": told["replications"],
            "deterministic": told["deterministic"],
        }
        if case is None:
            return fields | {"sentence": f"No longer likely: entity {key.entity} is late; it is clearly below {percent}."}
        claim = case["claim"] + ": " + case["chance"]
        fields["sentence"] = f"{case['sentence'][:-1]}; asked for above {percent}." if raised else f"No longer likely: {claim}."
        at = case["event_us"]
        return fields | {
            "probability": case["probability"],
            "low": case["low"],
            "high": case["high"],
            "expected_sim_time": case["sim_time"],
            "expected_event_time": None if at is None else utc_from_us(at),
        }


def _over(key: Key, told: Told, twin: Present | None) -> str | None:
    if twin is None or twin.life != told.life or key.question not in twin.questions:
        return "withdrawn"
    return "left" if key.entity is not None and not twin.has(key.entity) else None


def _fields(key: Key, number: int, life: int, raised: bool, now_us: int) -> dict[str, Any]:
    return {
        "id": f"{key}:{life}:{number}",
        "twin": key.twin,
        "question": key.question,
        "entity": key.entity,
        "raised": raised,
        "number": number,
        "life": life,
        "created_at": utc_from_us(now_us),
    }
