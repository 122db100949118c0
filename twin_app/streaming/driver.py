"""Drives one partition: the loop around its host, from the first fence to the last commit.

Per cycle, in order:
1. wait for commands, for the host's next due moment, or for the pause between cycles to be over;
2. the host runs the cycle, giving the event loop its turn after each slice;
3. one transaction holds what came of it (`transaction`);
4. the changed rows go into the local store, in one write per table.

A cycle that raises ends the process: nothing of it is committed, and the restart recovers. A transaction that cannot be
finished ends this driver only: the group is joined anew, and whoever gets the partition starts from what is committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import structlog
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from twin_app.partition.cycle import CHECKPOINT_TABLE, ConfigRecord, Cycle
from twin_app.settings import Settings
from twin_app.streaming.errors import TransactionLost
from twin_app.streaming.failpoints import Failpoints
from twin_app.streaming.hosting import Host, Hosting
from twin_app.streaming.intake import Intake
from twin_app.streaming.memory import undisturbed
from twin_app.streaming.replay import CLOCK_OFFSET_KEY, ConfigLog, Replay, clock_offset_of, clock_offset_row
from twin_app.streaming.status import BEHIND_S, IntakeStatus, PartitionStatus, Progress, Reason, State, Waiting, Why
from twin_app.streaming.store import PartitionStore
from twin_app.streaming.surroundings import Surroundings, loop_s
from twin_app.streaming.transaction import PartitionTransactions

IDLE_WAIT_S = 1.0
"""Longest sleep before a due moment is compared with the wall clock again, which may have been set."""
STALL_S = 1.0
"""After a standstill of this length (broker away, process stopped) the log is looked at before time goes on."""
SLOW_COMMIT_S = 5.0
"""A commit that takes longer is reported, again and again."""
CLOSE_TIMEOUT_S = 10.0
"""How long a cycle that is under way may take to finish when the partition is to be given up."""

log = structlog.get_logger(__name__)


class PartitionDriver:
    """One partition while it is assigned to this worker."""

    def __init__(
        self,
        partition: int,
        settings: Settings,
        hosting: Hosting,
        stores: Mapping[str, tuple[PartitionStore, str]],
        pause: Callable[[int, bool], None],
        surroundings: Surroundings,
    ) -> None:
        """`stores`: table name -> its local store and the name of its changelog topic."""
        self.partition, self.settings = partition, settings
        self.state = State.FENCING
        self.host: Host | None = None
        self.intake: Intake | None = None
        self.config = ConfigLog(partition, settings, surroundings)
        self._tail = ConfigLog(partition, settings, surroundings)
        self.cycles = self.commands = 0
        self.settled = asyncio.Lock()
        """Held while a cycle runs: who has it sees the host as it was committed."""
        self.commit_s = self.commits_s = 0.0
        """Duration of the last commit, and of all together, in seconds."""
        self.waiting = Waiting()
        """What it waits for outside of the process: brokers, the registry."""
        self.recovery_s = 0.0
        """From the beginning of the fence to being open."""
        self._replay: Replay | None = None
        self._fenced_s = 0.0
        self._hosting, self._stores = hosting, stores
        self._pause, self._surroundings = pause, surroundings
        self._failpoints = Failpoints(settings.failpoints)
        changelogs = {table: topic for table, (_, topic) in stores.items()}
        self._transactions = PartitionTransactions(partition, settings, changelogs, self._failpoints, surroundings)
        self._clock_offset = -1
        self._stores_in_step = True
        self._releasing = asyncio.Event()
        self._awake, self._stalled = 0.0, False

    # -- start

    async def fence(self) -> None:
        """Step 1 of recovery: be the only owner. Raises KafkaError."""
        self._fenced_s = loop_s()
        await self._transactions.fence()
        self._failpoints.hit("fenced")
        self.state = State.RECOVERING

    async def open(self) -> None:
        """Step 4 of recovery: the host from its rows, brought up to the last committed cycle."""
        started = loop_s()
        self.state = State.REPLAYING
        rows = {table: store.rows(self.partition) for table, (store, _) in self._stores.items()}
        clock_start = clock_offset_of(rows[CHECKPOINT_TABLE].pop(CLOCK_OFFSET_KEY, None))
        with undisturbed():
            self.host = self._hosting.open(self.partition, rows)
        replay = self._replay = Replay(self.partition, self.settings, self._resolve, self._surroundings)
        await replay.run(self.host, clock_start)
        self._failpoints.hit("replayed")
        self._clock_offset = replay.clock_offset
        self.intake = Intake(
            self.host.position.next_offset,
            replay.config_end,
            self.settings.intake_records_max,
            self.settings.intake_bytes_max,
            lambda paused: self._pause(self.partition, paused),
        )
        self.recovery_s = loop_s() - self._fenced_s
        log.info(
            "partition-ready",
            partition=self.partition,
            tick=self.host.position.tick_seq,
            next_offset=self.host.position.next_offset,
            behind=max(0, replay.config_end - self.host.position.next_offset),
            replayed_ticks=replay.ticks,
            replayed_commands=replay.commands,
            took_ms=round((loop_s() - started) * 1000),
        )

    # -- records

    async def deliver(self, records: Sequence[ConfigRecord]) -> None:
        """Take in fetched commands. Blocks only to settle a gap in the offsets, for which it waits for the broker."""
        if self.intake is None:
            return
        while behind := self.intake.offer(records):
            async for attempt in AsyncRetrying(retry=retry_if_exception_type(KafkaError), wait=wait_exponential(max=10)):
                with attempt:
                    await self.intake.fill(behind[0], self.config)
            records = behind[1:]

    # -- status

    @property
    def replayed_ticks(self) -> int:
        """Cycles that were run again when the partition was opened."""
        return 0 if self._replay is None else self._replay.ticks

    def status(self, log_end: int | None = None, changelog: Progress | None = None) -> PartitionStatus:
        """How it stands. `log_end`: the end of the config log as the last fetch knew it; `changelog`: while that is read."""
        intake, host, now_us = self.intake, self.host, self._surroundings.wall_us()
        due_us = host.next_due_us() if host is not None and self.state is not State.CLOSED else None
        applied = host.position.next_offset if host is not None else 0
        fetched = intake.expected if intake is not None else applied
        end = max(applied, fetched, log_end or 0, intake.backlog_end if intake is not None else 0)
        lag_s = max(0.0, (now_us - due_us) / 1e6) if due_us is not None and intake is not None else 0.0
        progress = changelog if self.state is State.RECOVERING else None
        if self.state is State.REPLAYING and self._replay is not None:
            progress = self._replay.progress()
        return PartitionStatus(
            partition=self.partition,
            state=self.state,
            why=self._why(progress, end - applied, lag_s, self._set_back_s(now_us)),
            intake=IntakeStatus() if intake is None else intake.status(),
            next_offset=applied,
            fetched_offset=fetched,
            log_end=end,
            lag_records=end - applied,
            lag_s=round(lag_s, 3),
            tick_seq=host.position.tick_seq if host is not None else 0,
            events=getattr(getattr(host, "meta", None), "events", 0),
            twins=len(getattr(host, "cells", ())),
            cycles=self.cycles,
            commands=self.commands,
            commit_s=round(self.commit_s, 4),
            commits_s=round(self.commits_s, 4),
            local_state="in-step" if self._stores_in_step else "unwritable",
            progress=progress,
        )

    def _set_back_s(self, now_us: int) -> float:
        """By how much the wall clock is behind the last tick, in seconds."""
        last_us = getattr(getattr(self.host, "meta", None), "wall_us", 0)
        return max(0.0, (last_us - now_us) / 1e6)

    def _why(self, progress: Progress | None, lag_records: int, lag_s: float, set_back_s: float) -> Why | None:
        """The outermost reason: what is waited for outside comes before what follows from it."""
        outside = self.waiting.why()
        if outside is not None:
            return outside
        if self.state is State.LOST:
            return Why(Reason.TRANSACTION_LOST, "the group is joined anew")
        if progress is not None:
            reason = Reason.CHANGELOG if progress.what == "changelog" else Reason.REPLAY
            return Why(reason, f"{progress.remaining} to go at {progress.rate_per_s:.0f}/s")
        if self.intake is None:
            return None
        if self.intake.paused:
            return Why(Reason.INTAKE_FULL, f"{lag_records} commands wait, {len(self.intake)} of them here")
        if self.intake.backlog:
            return Why(Reason.BACKLOG, f"{self.intake.backlog_end - self.intake.expected} commands are still to be fetched")
        if set_back_s > BEHIND_S:
            return Why(Reason.CLOCK, f"the wall clock is {set_back_s:.1f} s behind the last tick")
        if lag_s > BEHIND_S:
            return Why(Reason.BEHIND, f"{lag_s:.1f} s behind the wall clock")
        return None

    # -- end

    def release(self) -> None:
        """No further cycle is begun; one that is under way may finish."""
        self._releasing.set()

    async def close(self) -> None:
        """Let go of everything; the partition may belong to another worker afterwards."""
        self.release()
        self.state = State.CLOSED
        if self._hosting.follower is not None:
            self._hosting.follower.closed(self)
        await self._transactions.close()
        for log_reader in (self.config, self._tail):
            with contextlib.suppress(Exception):
                await log_reader.close()

    # -- the loop

    async def run(self) -> None:
        """Cycle until released. Raises TransactionLost, or whatever a cycle raised."""
        assert self.host is not None, "open() comes first"
        assert self.intake is not None
        if self._hosting.follower is not None:
            self._hosting.follower.opened(self)
        # Said here, not with the first cycle: an idle partition is live, and has none.
        self.state = State.CATCHING_UP if self.intake.backlog else State.LIVE
        self._awake, not_before = loop_s(), 0.0
        while True:
            await self._wait_for_work(self.host, self.intake, not_before)
            if self._releasing.is_set():
                return
            if self._stalled and not await self._look_at_the_end(self.intake):
                not_before = loop_s() + STALL_S
                continue
            not_before = loop_s() + self.settings.min_cycle_ms / 1000
            if self.intake.backlog and not self.intake and not self.host.waiting:
                self.state = State.CATCHING_UP
                continue  # the log holds commands that are not here yet: time must not pass them
            async with self.settled:
                cycle = await self._cycle(self.host, self.intake)
            if cycle is not None and self._hosting.follower is not None:
                self._hosting.follower.committed(self, cycle)

    async def _look_at_the_end(self, intake: Intake) -> bool:
        """Find out up to where commands wait in the log. False if the broker cannot say: time does not go on before it can."""
        try:
            with self.waiting.on(Reason.BROKER, "the end of the config log is not known"):
                intake.backlog_end = await self._tail.last_offset() + 1
        except KafkaError as error:
            log.warning("log-end-unknown", partition=self.partition, error=str(error), goes_on="it tries again")
            return False
        self._stalled = False
        return True

    async def _wait_for_work(self, host: Host, intake: Intake, not_before: float) -> None:
        """Until the pause between cycles is over and there may be something to do."""
        await self._sleep(not_before - loop_s())
        while not intake and not self._releasing.is_set():
            due_us = None if intake.backlog and not host.waiting else host.next_due_us()
            wait_s = IDLE_WAIT_S if due_us is None else (due_us - self._surroundings.wall_us()) / 1e6
            if wait_s <= 0:
                return
            await self._sleep(min(IDLE_WAIT_S, wait_s), intake.arrived)

    async def _sleep(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._releasing, wake) if event is not None]
        try:
            await asyncio.wait(waits, timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            now = loop_s()
            self._stalled |= now - self._awake > IDLE_WAIT_S + STALL_S
            self._awake = now

    async def _cycle(self, host: Host, intake: Intake) -> Cycle | None:
        """One cycle; what it has committed, None when nothing happened."""
        records = [] if host.waiting else intake.take(self.settings.batch_records_max, self.settings.batch_bytes_max)
        if not await self._resolved(records):
            return None
        backlog = bool(intake) or intake.backlog
        self.state = State.CATCHING_UP if backlog else State.LIVE
        for _ in host.begin(records, self._surroundings.wall_us(), backlog=backlog):
            await asyncio.sleep(0)
        cycle = host.take()
        if cycle is None:
            return None
        if any(row.table == CHECKPOINT_TABLE for row in cycle.rows):
            cycle.rows.append(clock_offset_row(max(self._clock_offset, 0)))
        self.state = State.COMMITTING
        started = loop_s()
        last_offsets = await self._commit(cycle)
        self.commit_s = loop_s() - started
        self.commits_s += self.commit_s
        self._clock_offset = last_offsets.get(self.settings.clock_topic, self._clock_offset)
        self._apply(cycle, last_offsets)
        self.cycles += 1
        self.commands += len(records)
        self.state = State.CATCHING_UP if backlog else State.LIVE
        return cycle

    async def _resolved(self, records: Sequence[ConfigRecord]) -> bool:
        """Whether the commands can be read; False when the partition is to be given up while the registry is waited for."""
        if not records:
            return True
        resolving = asyncio.ensure_future(self._resolve(records))
        releasing = asyncio.ensure_future(self._releasing.wait())
        try:
            await asyncio.wait([resolving, releasing], return_when=asyncio.FIRST_COMPLETED)
            if resolving.done():
                await resolving
                return True
            return False
        finally:
            for wait in (resolving, releasing):
                wait.cancel()

    async def _resolve(self, records: Sequence[ConfigRecord]) -> None:
        with self.waiting.on(Reason.REGISTRY, self.settings.registry_shown):
            await self._hosting.resolve(records)

    async def _commit(self, cycle: Cycle) -> dict[str, int]:
        with self.waiting.on(Reason.COMMIT, f"tick {cycle.tick.seq} at {self.settings.bootstrap_servers}"):
            return await self._commit_patiently(cycle)

    async def _commit_patiently(self, cycle: Cycle) -> dict[str, int]:
        commit = asyncio.ensure_future(self._transactions.commit(cycle))
        try:
            while True:
                done, _ = await asyncio.wait({commit}, timeout=SLOW_COMMIT_S)
                if done:
                    return commit.result()
                log.warning(
                    "commit-waits", partition=self.partition, tick=cycle.tick.seq, brokers=self.settings.bootstrap_servers
                )
        except TransactionLost:
            self.state = State.LOST
            raise
        finally:
            commit.cancel()

    def _apply(self, cycle: Cycle, last_offsets: Mapping[str, int]) -> None:
        """The local copy follows. If it cannot, it stays where it is for good: a later write would leave a hole in it."""
        for table, (store, topic) in self._stores.items():
            rows = [row for row in cycle.rows if row.table == table]
            if rows and self._stores_in_step:
                try:
                    store.apply(self.partition, rows, last_offsets.get(topic))
                except Exception as error:
                    self._stores_in_step = False
                    log.error(
                        "local-state-unwritable",
                        partition=self.partition,
                        path=str(store.path),
                        error=str(error),
                        goes_on="without local state: nothing is lost, the next start reads the changelog",
                    )
                self._failpoints.hit("applied")
