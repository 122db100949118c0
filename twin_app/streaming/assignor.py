"""Faust's assignor, for members that come back at another address.

A static member that starts again within its session time-out is handed the assignment of before, without a rebalance. Where
its worker served HTTP is written in there. Faust asserts that it is still so, and where it is not (a free port was taken, or no
HTTP is served) the client's membership dies of it, without a word to anybody, and the worker waits for partitions for ever.
"""

from __future__ import annotations

from typing import Any

from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor
from yarl import URL

NO_WEB = ".invalid"
"""Ends the host name that a worker without a web server tells to the group."""


class TwinAssignor(PartitionAssignor):
    """Takes an assignment that was made for another address. `moved`: the others were told that one, and should be told anew."""

    moved = False
    _told: URL | None = None

    @property
    def _url(self) -> URL:
        return super()._url if self._told is None else self._told

    def on_assignment(self, assignment: Any) -> None:
        own = super()._url
        self._told = URL(str(ClientMetadata.loads(self._decompress(assignment.user_data)).url))
        self.moved = str(self._told) != str(own) and not str(own.host).endswith(NO_WEB)
        try:
            super().on_assignment(assignment)
        finally:
            self._told = None
