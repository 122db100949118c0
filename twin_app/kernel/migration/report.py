"""What a migration tells of itself: what becomes of what, and what does not fit."""

from dataclasses import dataclass, field

from models.errors import Rejected
from twin_app.kernel.emission import Value

FAULTS_SHOWN_MAX = 20
MESSAGE_CHARS_MAX = 4_000


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

    @property
    def fits(self) -> bool:
        return not self.misfits

    def misfit(self, place: str, message: str, remedy: str) -> None:
        self.misfits.append(Misfit(place[:200], message, remedy))

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

    def check(self) -> None:
        """Raises Rejected (`work-does-not-fit`) with all that does not fit."""
        misfits = self.misfits
        if misfits:
            shown = "; ".join(str(misfit) for misfit in misfits[:FAULTS_SHOWN_MAX])
            more = f"; and {len(misfits) - FAULTS_SHOWN_MAX} more" if len(misfits) > FAULTS_SHOWN_MAX else ""
            things = "thing does" if len(misfits) == 1 else "things do"
            message = f"{len(misfits)} {things} not fit: {shown}"[:MESSAGE_CHARS_MAX] + more
            remedy = "do what is said of each, or give the work up with discard_work: true instead of keep_work"
            raise Rejected("work-does-not-fit", message, path=misfits[0].place, remedy=remedy)
