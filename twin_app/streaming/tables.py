"""Faust's tables and their manager, fitted to a single writer per partition."""

from __future__ import annotations

from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.types import TP

from twin_app.streaming.recovery import PartitionRecovery
from twin_app.streaming.store import PartitionStore


class TwinTable(faust.Table):
    """A table that only the partition's own transaction writes, and that `changelogs` recovers."""

    def _new_store_by_url(self, url: Any) -> PartitionStore:
        return PartitionStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )

    def on_key_set(self, key: Any, value: Any) -> None:
        raise RuntimeError(f"table {self.name}: rows are written by the partition's transaction only")

    def on_key_del(self, key: Any) -> None:
        self.on_key_set(key, None)

    @property
    def store(self) -> PartitionStore:
        return self.data


class TwinTableManager(TableManager):
    """Starts our recovery; tells the partitions as early as possible that they are to let go."""

    _recovery: PartitionRecovery | None

    @property
    def recovery(self) -> PartitionRecovery:
        if self._recovery is None:
            self._recovery = PartitionRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """As Faust's, without its wait of one second."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.app.partitions.release()
        super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        await self.app.partitions.close()
        await super().on_stop()
