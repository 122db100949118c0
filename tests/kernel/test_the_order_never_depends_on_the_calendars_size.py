"""A large calendar is cut into buckets; what is executed, and in which order, is what one heap gives: to the last tie."""

from heapq import heappop, heappush
from random import Random

import pytest

from tests.kernel.three_ways import blueprint
from twin_app.kernel import Twin, lots
from twin_app.kernel import calendar as calendars
from twin_app.kernel.calendar import NORMAL, URGENT, Calendar, Entry


class PlainHeap:
    """The order as it is defined: (time, priority, sequence number)."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, int, int]] = []
        self.due: dict[int, int] = {}
        self.number = 0

    def schedule(self, name: int, at: float, priority: int) -> None:
        self.number += 1
        self.due[name] = self.number
        heappush(self.heap, (at, priority, self.number, name))

    def cancel(self, name: int) -> None:
        self.due.pop(name, None)

    def pop(self) -> tuple[float, int] | None:
        while self.heap:
            at, _, number, name = heappop(self.heap)
            if self.due.get(name) == number:
                del self.due[name]
                return at, name
        return None


def pop(calendar: Calendar, names: dict[int, int]) -> tuple[float, int] | None:
    if calendar.next_time() == float("inf"):
        return None
    at, _, _, entry = heappop(calendar.heap)
    entry.order = 0
    return at, names[id(entry)]


SPREADS = {
    "even": lambda draw: draw.uniform(0, 100),
    "ties": lambda draw: float(draw.randrange(40)),
    "all at once": lambda draw: 5.0,
    "long tail": lambda draw: draw.expovariate(1.0) ** 6,
    "near and very far": lambda draw: draw.choice([draw.uniform(0, 1e-6), draw.uniform(0, 1.0), 1e12, 3e11]),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("seed", range(4))
def test_order_is_that_of_one_heap(monkeypatch: pytest.MonkeyPatch, spread: str, seed: int):
    monkeypatch.setattr(calendars, "NEAR_MAX", 32)
    monkeypatch.setattr(calendars, "CHUNK", 4)
    monkeypatch.setattr(lots, "LOTS_MAX", 16)
    monkeypatch.setattr(lots, "STAGED_MAX", 8)
    monkeypatch.setattr(lots, "PLACES_MIN", 64)
    draw = Random(seed)
    calendar, golden = Calendar(), PlainHeap()
    entries = [Entry() for _ in range(600)]
    names = {id(entry): name for name, entry in enumerate(entries)}
    now, far_seen = 0.0, 0

    def schedule(name: int) -> None:
        priority = NORMAL if name % 50 else URGENT  # an entry is urgent by its kind
        at = now + SPREADS[spread](draw)
        calendar.schedule(entries[name], at, priority)
        golden.schedule(name, at, priority)

    for name in range(600):
        schedule(name)
    for _ in range(4_000):
        chance = draw.random()
        if chance < 0.3:
            name = draw.randrange(600)
            calendar.cancel(entries[name])
            golden.cancel(name)
            if chance < 0.2:
                schedule(name)
        else:
            found, expected = pop(calendar, names), golden.pop()
            assert found == expected
            if found is not None:
                now = found[0]
                if draw.random() < 0.7:
                    schedule(found[1])
        far_seen = max(far_seen, calendar.far)
        assert calendar.stale >= 0
        assert len(calendar.heap) + calendar.far <= 2 * (600 + calendars.STALE_MIN) + 1, "what is stale is not dropped"
    while (expected := golden.pop()) is not None:
        assert pop(calendar, names) == expected
    assert pop(calendar, names) is None
    assert far_seen > 0 or spread == "all at once", "the calendar was never cut: this shows nothing"


def test_a_crowd_does_the_same_in_a_heap_and_in_buckets(monkeypatch: pytest.MonkeyPatch):
    model = blueprint(
        resources={"m": {"capacity": 1_000}, "n": {"capacity": 3}},
        arrivals={"a": {"interarrival": {"exponential": {"mean": 0.05}}, "flow": "stay"}},
        flows={
            "stay": [
                {"again": {"process": {"resource": "m", "for": {"exponential": {"mean": 10.0}}}}},
                {"process": {"resource": "n", "for": {"uniform": {"low": 0, "high": 0.01}}, "patience": 5}},
                {"branch": [{"weight": 0.7, "go": "again"}, {"go": "end"}]},
            ]
        },
    )

    def told(cut: bool) -> tuple[list[object], str, int]:
        monkeypatch.setattr(calendars, "NEAR_MAX", 16 if cut else 10**9)
        monkeypatch.setattr(calendars, "CHUNK", 4)
        monkeypatch.setattr(lots, "LOTS_MAX", 16)
        twin = Twin(model)
        for _ in range(300):
            twin.spawn("stay")
        twin.advance(20.0)
        far = twin.calendar.far
        twin = Twin.restore(twin.snapshot()) if not twin.drain() else twin
        twin.advance(40.0)
        return list(twin.drain()), twin.state_hash(), far

    plain, cut = told(False), told(True)
    assert plain[:2] == cut[:2]
    assert plain[2] == 0
    assert cut[2] > 50
