"""Faults on the wire, for tests: a request kind is dropped, delayed, refused, or its connection is closed."""

from dataclasses import dataclass, field
from typing import Literal

from twin_app.embedded.broker import wire

Action = Literal["drop", "delay", "close", "close-after", "fail"]
KINDS = {
    name.lower().replace("_", "-"): value
    for name, value in vars(wire).items()
    if name.isupper() and isinstance(value, int) and value in wire.OFFERED and name != "UNSUPPORTED_VERSION"
}


@dataclass
class Fault:
    """What happens to the next `times` requests of a kind (`produce`, `fetch`, `end-txn`, ...).

    `drop`: never answered, nothing done. `delay`: done after `delay_s` seconds. `close`: connection closed, nothing done.
    `close-after`: done, but the connection is closed instead of the answer. `fail`: nothing done, answered with `code`.
    `after`: so many requests of the kind pass first. `client`: only requests whose client id contains this text.
    """

    kind: str
    action: Action
    times: int = 1
    after: int = 0
    delay_s: float = 0.0
    code: int = wire.Code.UNKNOWN_SERVER_ERROR
    client: str = ""
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown request kind {self.kind!r}; known: {', '.join(sorted(KINDS))}")
        if self.action == "fail" and KINDS[self.kind] not in REFUSABLE:
            raise ValueError(f"{self.kind!r} cannot be refused; use drop, delay or close")


# Requests whose answer has a place for one error that stands for the whole of it.
REFUSABLE = {
    wire.PRODUCE,
    wire.FETCH,
    wire.LIST_OFFSETS,
    wire.OFFSET_COMMIT,
    wire.FIND_COORDINATOR,
    wire.JOIN_GROUP,
    wire.SYNC_GROUP,
    wire.HEARTBEAT,
    wire.INIT_PRODUCER_ID,
    wire.ADD_PARTITIONS_TO_TXN,
    wire.ADD_OFFSETS_TO_TXN,
    wire.TXN_OFFSET_COMMIT,
    wire.END_TXN,
    wire.CREATE_TOPICS,
}


@dataclass
class Faults:
    """The faults planted in a broker. Planting is immediate; a fault that is used up takes no further part."""

    planted: list[Fault] = field(default_factory=list)

    def plant(self, fault: Fault) -> Fault:
        self.planted.append(fault)
        return fault

    def clear(self) -> None:
        self.planted.clear()

    def strike(self, frame: wire.Frame) -> Fault | None:
        """The fault that this request meets, if any; counts it."""
        for fault in self.planted:
            if KINDS[fault.kind] != frame.api or fault.times <= 0 or fault.client not in frame.client:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            fault.hits += 1
            return fault
        return None
