"""What can go wrong between a partition and its broker, and how the process ends when it must."""

from __future__ import annotations

from models.errors import TwinError

EXIT_CYCLE_FAILED = 70
"""A cycle raised: ending the process is the abort, the restart recovers from the last commit."""
EXIT_TRANSACTIONS_FAIL = 75
"""Transactions failed again and again although the group was joined anew each time."""
EXIT_CRASHED = 71
"""Faust, or the start-up, failed in a way that is not foreseen."""
EXIT_BAD_SETTING = 78
"""A setting is wrong: a restart alone does not help."""


class StreamingError(TwinError):
    """Trouble at the edge to the broker. The message says whether the worker goes on."""


class TransactionLost(StreamingError):
    """This owner cannot finish its transaction: fenced by a new owner, timed out, or the answer to the commit is unknown.

    Nothing may be sent again by this owner: only a fresh start from the committed state knows what was committed.
    """

    def __init__(self, place: str, cause: BaseException) -> None:
        super().__init__(
            "transaction-lost",
            f"the transaction could not be finished ({type(cause).__name__}: {cause}); what is committed decides how it goes on",
            place=place,
        )
