"""Consumer groups of the classic protocol: join, sync, heartbeat, leave, static members, eviction, committed offsets.

A group is Empty, Preparing (waiting for its members to join again), Completing (waiting for the leader's assignment) or
Stable. Membership is kept in memory: after a restart of the broker members find themselves unknown and join again, as
after a move of the coordinator. Committed offsets are journalled by the owner.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from twin_app.embedded.broker.wire import Code

EMPTY, PREPARING, COMPLETING, STABLE, DEAD = "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"
SESSION_TIMEOUT_MIN_S = 1.0
SESSION_TIMEOUT_MAX_S = 1800.0
MEMBERS_MAX = 500
GROUPS_MAX = 2_000
METADATA_BYTES_MAX = 4096  # of a committed offset's metadata, as Kafka's offset.metadata.max.bytes


class Joined(NamedTuple):
    """The answer to a join: the leader also gets all members as (member id, instance id, metadata)."""

    code: Code
    member_id: str
    generation: int = -1
    protocol: str = ""
    leader: str = ""
    members: tuple[tuple[str, str | None, bytes], ...] = ()


class Committed(NamedTuple):
    offset: int
    metadata: str


class Member:
    def __init__(self, member_id: str, client: str, instance: str | None) -> None:
        self.id = member_id
        self.client = client
        self.instance = instance
        self.session_s = 10.0
        self.rebalance_s = 10.0
        self.protocols: dict[str, bytes] = {}
        self.assignment = b""
        self.seen = time.monotonic()
        self.join: asyncio.Future[Joined] | None = None
        self.sync: asyncio.Future[tuple[Code, bytes]] | None = None

    def joining(self) -> bool:
        return self.join is not None and not self.join.done()

    def answer_join(self, joined: Joined) -> None:
        if self.join is not None and not self.join.done():
            self.join.set_result(joined)
        self.join = None
        self.seen = time.monotonic()

    def answer_sync(self, code: Code, assignment: bytes = b"") -> None:
        if self.sync is not None and not self.sync.done():
            self.sync.set_result((code, assignment))
        self.sync = None
        self.seen = time.monotonic()


class Group:
    """One group. Members whose connection is gone are found by their session time-out, by `tick`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = EMPTY
        self.generation = 0
        self.leader = ""
        self.protocol = ""
        self.protocol_type = ""
        self.members: dict[str, Member] = {}
        self.instances: dict[str, str] = {}  # instance id -> member id
        self.pending: dict[str, float] = {}  # ids handed out and not yet used -> until when
        self.offsets: dict[tuple[str, int], Committed] = {}
        self.deadline = 0.0

    # -- joining --------------------------------------------------------------------------------------------------------

    async def join(self, request: Any, client: str, *, ids_first: bool) -> Joined:
        """`ids_first`: a new dynamic member is only told its id and must come back with it (protocol version 4)."""
        session_s = request.session_timeout / 1000
        instance = getattr(request, "group_instance_id", None)
        member_id = request.member_id or ""
        refused = self._refuse_join(request, session_s, member_id, instance)
        if refused is not Code.NONE:
            return Joined(refused, member_id)
        if not member_id and instance is None and ids_first:
            member_id = f"{client}-{uuid.uuid4()}"
            self.pending[member_id] = time.monotonic() + session_s
            return Joined(Code.MEMBER_ID_REQUIRED, member_id)
        replaced = self.instances.get(instance) if instance is not None and not member_id else None
        member = self.members.get(member_id)
        if member is None:
            member = Member(member_id or f"{instance or client}-{uuid.uuid4()}", client, instance)
        self.pending.pop(member_id, None)
        unchanged = member.protocols == {name: metadata or b"" for name, metadata in request.group_protocols}
        member.session_s = session_s
        member.rebalance_s = getattr(request, "rebalance_timeout", request.session_timeout) / 1000
        member.protocols = {name: metadata or b"" for name, metadata in request.group_protocols}
        member.seen = time.monotonic()
        self.protocol_type = request.protocol_type or ""
        if replaced is not None and (quick := self._replace_static(replaced, member)) is not None:
            return quick
        self.members[member.id] = member
        if instance is not None:
            self.instances[instance] = member.id
        if self.state in (STABLE, COMPLETING) and unchanged and member.id != self.leader and member.join is None:
            return self._joined(member)  # a repeat of a join whose answer was lost: the generation is still good
        member.answer_join(Joined(Code.REBALANCE_IN_PROGRESS, member.id))
        waiting = member.join = asyncio.get_running_loop().create_future()
        self._rebalance()
        self._complete_join()
        return await waiting

    def _refuse_join(self, request: Any, session_s: float, member_id: str, instance: str | None) -> Code:
        if not self.name:
            return Code.INVALID_GROUP_ID
        if not SESSION_TIMEOUT_MIN_S <= session_s <= SESSION_TIMEOUT_MAX_S:
            return Code.INVALID_SESSION_TIMEOUT
        if member_id and instance is not None and self.instances.get(instance, member_id) != member_id:
            return Code.FENCED_INSTANCE_ID
        if member_id and member_id not in self.members and member_id not in self.pending:
            return Code.UNKNOWN_MEMBER_ID
        if len(self.members) + len(self.pending) >= MEMBERS_MAX and member_id not in self.members:
            return Code.GROUP_MAX_SIZE_REACHED
        names = {name for name, _ in request.group_protocols or ()}
        others = [member for member in self.members.values() if member.id != member_id]
        if not names or any(not names & set(member.protocols) for member in others):
            return Code.INCONSISTENT_GROUP_PROTOCOL
        if others and request.protocol_type != self.protocol_type:
            return Code.INCONSISTENT_GROUP_PROTOCOL
        return Code.NONE

    def _replace_static(self, old_id: str, member: Member) -> Joined | None:
        """A static member came back under a new id: it takes its old place, in a stable group without a rebalance."""
        old = self.members.pop(old_id)
        old.answer_join(Joined(Code.FENCED_INSTANCE_ID, old_id))
        old.answer_sync(Code.FENCED_INSTANCE_ID)
        assert member.instance is not None
        self.instances[member.instance] = member.id
        self.members[member.id] = member
        if self.leader == old_id:
            self.leader = member.id
        if self.state == STABLE and old.protocols == member.protocols:
            member.assignment = old.assignment
            # The leader is not told the members: it has nothing to assign, since the assignment stands.
            leader = self.leader if member.id != self.leader else old_id
            return Joined(Code.NONE, member.id, self.generation, self.protocol, leader)
        return None

    def _joined(self, member: Member) -> Joined:
        everyone: tuple[tuple[str, str | None, bytes], ...] = ()
        if member.id == self.leader:
            everyone = tuple((m.id, m.instance, m.protocols.get(self.protocol, b"")) for m in self.members.values())
        return Joined(Code.NONE, member.id, self.generation, self.protocol, self.leader, everyone)

    def _rebalance(self) -> None:
        if self.state == PREPARING:
            return
        self.state = PREPARING
        self.deadline = time.monotonic() + max((member.rebalance_s for member in self.members.values()), default=0.0)
        for member in self.members.values():
            member.answer_sync(Code.REBALANCE_IN_PROGRESS)

    def _complete_join(self, *, overdue: bool = False) -> None:
        """Starts the next generation once all known members have joined again, or without those that did not in time."""
        if self.state != PREPARING:
            return
        late = [member for member in self.members.values() if not member.joining()]
        if (late or self.pending) and not overdue:
            return
        for member in late:
            self._forget(member)
        self.generation += 1
        if not self.members:
            self._empty()
            return
        self.state = COMPLETING
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        common = set.intersection(*(set(member.protocols) for member in self.members.values()))
        self.protocol = next(name for name in self.members[self.leader].protocols if name in common)
        self.deadline = time.monotonic() + max(member.rebalance_s for member in self.members.values())
        for member in self.members.values():
            member.assignment = b""
            member.answer_join(self._joined(member))

    # -- the rest of a member's life --------------------------------------------------------------------------------------

    async def sync(self, member_id: str, generation: int, instance: str | None, assignment: Any) -> tuple[Code, bytes]:
        code = self.check(member_id, generation, instance)
        if code is not Code.NONE:
            return code, b""
        member = self.members[member_id]
        member.seen = time.monotonic()
        if self.state == PREPARING:
            return Code.REBALANCE_IN_PROGRESS, b""
        if self.state == STABLE:
            return Code.NONE, member.assignment
        member.answer_sync(Code.REBALANCE_IN_PROGRESS)
        waiting = member.sync = asyncio.get_running_loop().create_future()
        if member_id == self.leader:
            plan = dict(assignment or ())
            self.state = STABLE
            for other in self.members.values():
                other.assignment = plan.get(other.id) or b""
                other.answer_sync(Code.NONE, other.assignment)
        return await waiting

    def heartbeat(self, member_id: str, generation: int) -> Code:
        code = self.check(member_id, generation, None)
        if code is Code.NONE:
            self.members[member_id].seen = time.monotonic()
            if self.state == PREPARING:
                return Code.REBALANCE_IN_PROGRESS
        return code

    def leave(self, member_id: str) -> Code:
        if member_id in self.pending:
            del self.pending[member_id]
            self._complete_join()
            return Code.NONE
        member = self.members.get(member_id)
        if member is None:
            return Code.UNKNOWN_MEMBER_ID
        self._remove(member)
        return Code.NONE

    def check(self, member_id: str, generation: int, instance: str | None) -> Code:
        if instance is not None and self.instances.get(instance, member_id) != member_id:
            return Code.FENCED_INSTANCE_ID
        if member_id not in self.members:
            return Code.UNKNOWN_MEMBER_ID
        return Code.NONE if generation == self.generation else Code.ILLEGAL_GENERATION

    def check_commit(self, member_id: str, generation: int) -> Code:
        """Whether these credentials may commit offsets. Without a member id only into an empty group."""
        if not member_id and generation < 0:
            return Code.NONE if self.state == EMPTY else Code.UNKNOWN_MEMBER_ID
        code = self.check(member_id, generation, None)
        if code is Code.NONE:
            self.members[member_id].seen = time.monotonic()
            if self.state == COMPLETING:
                return Code.REBALANCE_IN_PROGRESS
        return code

    def tick(self, now: float) -> None:
        """Evicts members that were silent for longer than their session, and ends a rebalance that takes too long."""
        for pending_id, until in list(self.pending.items()):
            if now > until:
                del self.pending[pending_id]
        for member in list(self.members.values()):
            if not member.joining() and member.sync is None and now - member.seen > member.session_s:
                self._remove(member)
        if self.state == PREPARING:
            self._complete_join(overdue=now > self.deadline)
        elif self.state == COMPLETING and now > self.deadline and self.leader in self.members:
            self._remove(self.members[self.leader])  # it joined, and never said who gets what

    def _remove(self, member: Member) -> None:
        self._forget(member)
        if not self.members and self.state != PREPARING:
            self.generation += 1
            self._empty()
            return
        self._rebalance()
        self._complete_join()

    def _forget(self, member: Member) -> None:
        self.members.pop(member.id, None)
        if member.instance is not None and self.instances.get(member.instance) == member.id:
            del self.instances[member.instance]
        member.answer_join(Joined(Code.UNKNOWN_MEMBER_ID, member.id))
        member.answer_sync(Code.UNKNOWN_MEMBER_ID)

    def _empty(self) -> None:
        self.state = EMPTY
        self.leader = self.protocol = ""


class Groups:
    """All groups by name. `get` makes one; `known` does not."""

    def __init__(self) -> None:
        self.by_name: dict[str, Group] = {}

    def get(self, name: str | None) -> Group:
        group = self.by_name.get(name or "")
        if group is None:
            group = Group(name or "")
            if name and len(self.by_name) < GROUPS_MAX:
                self.by_name[name] = group
        return group

    def known(self, name: str | None) -> Group | None:
        return self.by_name.get(name or "")

    def tick(self, now: float) -> None:
        for group in self.by_name.values():
            group.tick(now)

    def drop_topic(self, topic: str, journal: Callable[..., None]) -> None:
        """Committed offsets of a deleted topic go with it."""
        for group in self.by_name.values():
            for key in [key for key in group.offsets if key[0] == topic]:
                del group.offsets[key]
                journal("forget-offset", group.name, *key)
