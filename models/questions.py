"""Standing questions: what the twin's forecasts are asked each time, and how likely it must be for somebody to be told.

questions:
  late_orders: {late: {where: {customer: acme}}, above: 0.3}
  jam_at_b:    {bottleneck: b, within: 120, above: 0.5}
  full_queue:  {quantity: resources.b.queue, at_least: 10, within: 60, above: 0.3}
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from models.base import Json, Model, Name

QUESTIONS_MAX = 100
ANYWHERE = "anywhere"
"""In the place of a resource: whichever it is."""
LEVEL_MAX = 1e15
ABOVE_LOW, ABOVE_HIGH = 0.02, 0.98
"""Two hundred replications tell no less from never, and no more from always."""

Kind = Literal["late", "bottleneck", "quantity"]


class Late(Model):
    """Entities in progress with an attribute `due`: `where` leaves those that have these attributes, each with this value."""

    where: dict[Name, Json] = Field(default_factory=dict, max_length=20)


class StandingQuestion(Model):
    """One of: an entity in progress is `late` (not finished by its attribute `due`); a `bottleneck` forms at this resource, or
    `anywhere`; a `quantity` comes to `at_least` or `at_most` a value, `throughput` and utilisation as means over the window.
    `within` so much time from the forecast's state (of `late`: those due by then). Somebody is told when the probability is
    surely `above` this, and when it surely is not any more.
    """

    late: Late | None = None
    bottleneck: Name | None = None
    quantity: Annotated[str, Field(max_length=250)] | None = None
    at_least: Annotated[float, Field(ge=-LEVEL_MAX, le=LEVEL_MAX)] | None = None
    at_most: Annotated[float, Field(ge=-LEVEL_MAX, le=LEVEL_MAX)] | None = None
    within: Annotated[float, Field(gt=0, le=1e12)] | None = None
    above: Annotated[float, Field(ge=ABOVE_LOW, le=ABOVE_HIGH)]

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "StandingQuestion":
        asked = [name for name in ("late", "bottleneck", "quantity") if getattr(self, name) is not None]
        if len(asked) != 1:
            raise PydanticCustomError("one_question", "ask one of `late`, `bottleneck` and `quantity`")
        levels = (self.at_least is not None) + (self.at_most is not None)
        if levels != (self.quantity is not None):
            raise PydanticCustomError("one_level", "a `quantity` has either `at_least` or `at_most`, and nothing else has")
        if self.within is None and self.late is None:
            raise PydanticCustomError("no_window", "say `within` what time")
        return self

    @property
    def kind(self) -> Kind:
        """What it asks about."""
        return "late" if self.late is not None else "bottleneck" if self.bottleneck is not None else "quantity"


def live_fields(question: StandingQuestion) -> dict[str, tuple[float, float, float]]:
    """The live parameters of a question: field -> (value, low, high)."""
    found = {"above": (float(question.above), ABOVE_LOW, ABOVE_HIGH)}
    for name in ("at_least", "at_most"):
        value = getattr(question, name)
        if value is not None:
            found[name] = (float(value), -LEVEL_MAX, LEVEL_MAX)
    return found
