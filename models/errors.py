"""The one root of every error of the product.

An error has a stable code (kebab-case, safe to match on), says what went wrong and where, and, where there is one, what
to do about it. `str(error)` is one readable line.
"""

from collections.abc import Sequence
from typing import Any


class TwinError(Exception):
    """Root of all errors.

    `code`: stable name of the kind of error. `message`: what went wrong. `place`: where (twin, path, file:line:column or
    topic-partition-offset). `remedy`: what the reader can do, as an instruction.
    """

    def __init__(self, code: str, message: str, *, place: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{where}{self.message} [{self.code}]{remedy}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class BlueprintError(TwinError):
    """A blueprint is wrong. `errors` holds all that is wrong with it, in the order of the document."""

    def __init__(self, errors: Sequence[TwinError], *, source: str = "<blueprint>") -> None:
        self.errors = list(errors)
        shown = "; ".join(str(error) for error in self.errors[:3])
        more = f"; and {len(self.errors) - 3} more" if len(self.errors) > 3 else ""
        super().__init__("bad-blueprint", f"{len(self.errors)} error(s): {shown}{more}", place=source)


class Rejected(TwinError):
    """A command is refused and nothing has changed. `path` and `value` are what it was about, where it names one."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        path: str | None = None,
        value: Any = None,
        place: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(code, message, place=place if place is not None else path, remedy=remedy)
        self.path = path
        self.value = value


class CheckpointError(TwinError):
    """A snapshot or checkpoint cannot be read: unknown version, damaged, or not one of ours."""


class ModelError(TwinError):
    """A twin's own model failed in a way that no single entity can answer for. The owner quarantines the twin."""


class EntityFault(TwinError):
    """One entity's step failed (division by zero, missing path): the entity fails with an event, the twin goes on."""
