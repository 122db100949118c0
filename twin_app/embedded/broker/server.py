"""The socket side: connections, limits, dispatch, faults; and the broker's life as an async context manager."""

import asyncio
import contextlib
import inspect
import logging
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from models.errors import TwinError
from twin_app.embedded.broker import admin_api, data_api, group_api, transaction_api, wire
from twin_app.embedded.broker.faults import Fault, Faults
from twin_app.embedded.broker.state import HOST, Call, State

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 64 << 20
CONNECTIONS_MAX = 1_000
READ_AHEAD = 4  # requests of one connection read while one is being answered
IDLE_TIMEOUT_S = 900.0
TICK_S = 0.1
HANG_UP_GRACE_S = 0.5  # for requests read before the peer hung up

HANDLERS: dict[int, Callable[[State, Any, Call], Any]] = {
    wire.PRODUCE: data_api.produce,
    wire.FETCH: data_api.fetch,
    wire.LIST_OFFSETS: data_api.list_offsets,
    wire.DELETE_RECORDS: data_api.delete_records,
    wire.API_VERSIONS: admin_api.api_versions,
    wire.METADATA: admin_api.metadata,
    wire.CREATE_TOPICS: admin_api.create_topics,
    wire.DELETE_TOPICS: admin_api.delete_topics,
    wire.CREATE_PARTITIONS: admin_api.create_partitions,
    wire.DESCRIBE_CONFIGS: admin_api.describe_configs,
    wire.ALTER_CONFIGS: admin_api.alter_configs,
    wire.FIND_COORDINATOR: group_api.find_coordinator,
    wire.JOIN_GROUP: group_api.join_group,
    wire.SYNC_GROUP: group_api.sync_group,
    wire.HEARTBEAT: group_api.heartbeat,
    wire.LEAVE_GROUP: group_api.leave_group,
    wire.OFFSET_COMMIT: group_api.offset_commit,
    wire.OFFSET_FETCH: group_api.offset_fetch,
    wire.DESCRIBE_GROUPS: group_api.describe_groups,
    wire.LIST_GROUPS: group_api.list_groups,
    wire.DELETE_GROUPS: group_api.delete_groups,
    wire.INIT_PRODUCER_ID: transaction_api.init_producer_id,
    wire.ADD_PARTITIONS_TO_TXN: transaction_api.add_partitions,
    wire.ADD_OFFSETS_TO_TXN: transaction_api.add_offsets,
    wire.TXN_OFFSET_COMMIT: transaction_api.txn_offset_commit,
    wire.END_TXN: transaction_api.end_txn,
}


class EmbeddedBroker:
    """A development broker on 127.0.0.1, not for production.

        async with EmbeddedBroker() as broker:
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)

    `port` 0 takes a free one. `data` is the folder that is kept; without it a temporary one is used and removed. `fsync`
    makes each acknowledged record survive a power cut too, not only the death of the process. `auto_create_topics` makes
    a topic when a client asks for its metadata. `clean_interval_s` is the pause between rounds of retention and compaction.
    `faults.plant(Fault(...))` disturbs requests. Raises TwinError `port-taken` when the port is not free.
    """

    def __init__(
        self,
        port: int = 0,
        data: Path | str | None = None,
        *,
        fsync: bool = False,
        auto_create_topics: bool = False,
        clean_interval_s: float = 1.0,
    ) -> None:
        self.port = port
        self.data = Path(data) if data is not None else None
        self.fsync = fsync
        self.auto_create_topics = auto_create_topics
        self.clean_interval_s = clean_interval_s
        self.faults = Faults()
        self._scratch: str | None = None
        self._state: State | None = None
        self._server: asyncio.Server | None = None
        self._chores: list[asyncio.Task[None]] = []
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        if self.data is None:
            self._scratch = tempfile.mkdtemp(prefix="twin-broker-")
        state = self._state = State(
            Path(self._scratch or self.data or "."), fsync=self.fsync, auto_create=self.auto_create_topics
        )
        try:
            self._server = await asyncio.start_server(self._accept, HOST, self.port, limit=1 << 20)
        except OSError as error:
            state.close()
            what = f"the broker cannot listen: {error}"
            raise TwinError(
                "port-taken", what, place=self.bootstrap, remedy="stop what uses it, or choose another port"
            ) from error
        self.port = state.port = self._server.sockets[0].getsockname()[1]
        self._chores = [asyncio.create_task(self._tick(state)), asyncio.create_task(self._clean(state))]

    async def stop(self) -> None:
        """Ends all connections and closes the files."""
        if self._server is None or self._state is None:
            return
        self._server.close()
        for task in [*self._chores, *self._connections]:
            task.cancel()
        await asyncio.gather(*self._chores, *self._connections, return_exceptions=True)
        self._state.close()
        self._server = self._state = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    async def __aenter__(self) -> "EmbeddedBroker":
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    # -- chores -----------------------------------------------------------------------------------------------------------

    async def _tick(self, state: State) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                state.tick()
            except Exception:
                log.exception("the broker's clock work failed; it goes on")

    async def _clean(self, state: State) -> None:
        while True:
            await asyncio.sleep(self.clean_interval_s)
            try:
                await state.clean()
            except Exception:
                log.exception("retention or compaction failed; it is tried again")

    # -- connections --------------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        if len(self._connections) >= CONNECTIONS_MAX:
            log.warning("connection from %s refused: there are %d already", peer, CONNECTIONS_MAX)
            writer.close()
            return
        self._connections.add(task)
        frames: asyncio.Queue[wire.Frame] = asyncio.Queue(READ_AHEAD)
        answering = asyncio.create_task(self._answer_all(frames, writer))
        reading = asyncio.create_task(self._read_all(reader, frames))
        try:
            done, _ = await asyncio.wait((answering, reading), return_when=asyncio.FIRST_COMPLETED)
            if reading in done and not frames.empty():
                await asyncio.wait((answering,), timeout=HANG_UP_GRACE_S)  # unacknowledged records may be among them
            for finished in done:
                finished.result()
        except wire.Malformed as error:
            log.warning("connection from %s closed: %s", peer, error)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        except asyncio.CancelledError:
            pass  # the broker stops; asyncio's server would log a cancelled connection as an error
        except Exception:
            log.exception("connection from %s closed: a request could not be handled", peer)
        finally:
            for side in (answering, reading):
                side.cancel()
            await asyncio.gather(answering, reading, return_exceptions=True)
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @staticmethod
    async def _read_all(reader: asyncio.StreamReader, frames: asyncio.Queue[wire.Frame]) -> None:
        while True:
            (size,) = struct.unpack(">i", await asyncio.wait_for(reader.readexactly(4), IDLE_TIMEOUT_S))
            if not 0 < size <= REQUEST_BYTES_MAX:
                raise wire.Malformed(f"a request of {size} bytes; at most {REQUEST_BYTES_MAX}")
            frame = wire.parse_frame(await asyncio.wait_for(reader.readexactly(size), IDLE_TIMEOUT_S))
            if not wire.offered(frame) and frame.api != wire.API_VERSIONS:
                raise wire.Malformed(f"api {frame.api} version {frame.version} is not offered")
            await frames.put(frame)

    async def _answer_all(self, frames: asyncio.Queue[wire.Frame], writer: asyncio.StreamWriter) -> None:
        while True:
            frame = await frames.get()
            fault = self.faults.strike(frame)
            if fault is not None and fault.action == "close":
                return
            if fault is not None and fault.action == "drop":
                continue
            if fault is not None and fault.action == "delay":
                await asyncio.sleep(fault.delay_s)
            body = await self._answer(frame, fault)
            if fault is not None and fault.action == "close-after":
                return
            if body is not None:
                writer.write(wire.frame_answer(frame.correlation, body))
                await writer.drain()

    async def _answer(self, frame: wire.Frame, fault: Fault | None) -> bytes | None:
        if not wire.offered(frame):
            return wire.api_versions_refused()
        assert self._state is not None
        refuse = fault.code if fault is not None and fault.action == "fail" else wire.Code.NONE
        call = Call(frame.version, frame.client, refuse)
        fields = HANDLERS[frame.api](self._state, wire.decode(frame), call)
        if inspect.isawaitable(fields):
            fields = await fields
        return None if fields is None else wire.encode(frame.api, frame.version, **fields)
