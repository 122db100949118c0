"""An event in words, for a person who reads along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Payload = Mapping[str, Any]


def described(kind: str, entity: int | None, payload: Payload) -> str:
    """What happened, in one short sentence. A kind that is not known here is told by its name and its payload."""
    words = _WORDS.get(kind)
    if words is not None:
        try:
            return words("" if entity is None else f"job {entity}", payload)
        except (KeyError, TypeError, ValueError):
            pass  # another version's payload, or a model's own event of the same name
    subject = "" if entity is None else f"job {entity}: "
    details = ", ".join(f"{name} {shown(value)}" for name, value in payload.items())
    return f"{subject}{kind}" + (f" ({details})" if details else "")


def shown(value: Any) -> str:
    """A value for a person: no long tails of digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "nothing" if value is None else str(value)


def style_of(kind: str) -> str:
    """Colour of a kind on a terminal: what was changed from outside, what is trouble, and the rest."""
    if kind in ("parameter-changed", "command-scheduled") or kind.startswith("twin-"):
        return "bold cyan"
    trouble = ("growing", "formed", "starving", "failed", "rejected", "balked", "reneged")
    return "yellow" if kind.endswith(trouble) else ""


def _queued(job: str, payload: Payload) -> str:
    return f"{job} waits at {payload['resource']}"


def _changed(_: str, payload: Payload) -> str:
    late = ", late" if payload.get("late") else ""
    return f"{payload['path']} set from {shown(payload['old'])} to {shown(payload['new'])}{late}"


def _failed(job: str, payload: Payload) -> str:
    return f"{job} failed: {payload.get('message') or payload['reason']}"


def _divergence(_: str, payload: Payload) -> str:
    if payload["agrees"]:
        return f"{payload['path']} is as the twin has it: {payload['what']} {shown(payload['observed'])}"
    seen, had = shown(payload["observed"]), shown(payload["simulated"])
    return f"{payload['path']} differs: {payload['what']} {seen} seen, {had} in the twin"


_WORDS: dict[str, Callable[[str, Payload], str]] = {
    "twin-registered": lambda _, p: "the twin begins to live",
    "twin-replaced": lambda _, p: "the twin has a new blueprint",
    "questions-changed": lambda _, p: f"the twin is asked other questions: {p.get('questions')} in all",
    "twin-migrated": lambda _, p: (
        f"the twin goes on under a new blueprint: {p['entities_kept']:,} kept, {p['entities_moved']:,} moved"
    ),
    "twin-unchanged": lambda _, p: "the twin already has this blueprint",
    "twin-removed": lambda _, p: "the twin is removed",
    "twin-quarantined": lambda _, p: f"the twin stands still: {p['message']}",
    "parameter-changed": _changed,
    "command-scheduled": lambda _, p: f"a {p['command_kind']} command is kept until {shown(p['at'])}",
    "command-rejected": lambda _, p: f"a scheduled {p['command_kind']} command is refused: {p['reason']}",
    "entity-created": lambda job, p: f"{job} enters" + (f" the flow {p['flow']}" if "flow" in p else ""),
    "entity-queued": _queued,
    "entity-started": lambda job, p: f"{job} starts at {p['resource']}",
    "entity-finished": lambda job, p: f"{job} is done at {p['resource']}",
    "entity-left": lambda job, p: f"{job} leaves, {p['outcome']} after {shown(p['time_in_system'])}",
    "entity-balked": lambda job, p: f"{job} does not join the queue at {p['resource']}: it is full",
    "entity-reneged": lambda job, p: f"{job} gives up waiting at {p['resource']}",
    "entity-failed": _failed,
    "try-failed": lambda job, p: f"{job}: try {p['tries']} failed: {p['reason']}",
    "queue-growing": lambda _, p: f"the queue at {p['resource']} grows: {p['queue']} waiting",
    "observation-received": lambda _, p: f"reality was seen: {p['observations']} thing(s)",
    "divergence-measured": _divergence,
    "entity-moved": lambda job, p: f"{job} was seen at {p['to']}, not at {p['origin']}",
    "bottleneck-formed": lambda _, p: f"{p['resource']} is a bottleneck: {p['queue']} waiting",
    "bottleneck-cleared": lambda _, p: f"{p['resource']} is no bottleneck any more",
    "resource-starving": lambda _, p: f"{p['resource']} has nothing to do",
    "resource-fed": lambda _, p: f"{p['resource']} has work again",
}
