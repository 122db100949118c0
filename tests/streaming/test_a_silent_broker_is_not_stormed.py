"""While a broker is away, the process dials it seldom however many clients it has; when it is back, all of them come through."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest
from aiokafka import client as client_module
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

from twin_app.streaming.dialling import PAUSE_S_MAX, WAIT_S_MAX, Dialling, pace_dialling

CLIENTS = 40


class Broker:
    """A broker that can be away, and a clock: one that only goes on when everybody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.away = False
        self.dialled: list[tuple[float, str]] = []
        self.numbers = itertools.count()
        self.sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    async def dial(self, host: str, port: int, **options: object) -> tuple[str, object]:
        self.dialled.append((self.now_s, host))
        if self.away and host == "one":
            raise OSError("refused")
        return host, options

    async def sleep(self, for_s: float) -> None:
        wake = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now_s + for_s, next(self.numbers), wake))
        await wake

    async def until(self, end_s: float) -> None:
        while True:
            for _ in range(5):
                await asyncio.sleep(0)
            due = min(self.sleepers, default=None)
            if due is None or due[0] > end_s:
                self.now_s = end_s
                return
            self.sleepers.remove(due)
            self.now_s = due[0]
            due[2].set_result(None)


async def client(dialling: Dialling, broker: Broker, through: list[float]) -> None:
    """As the library's clients do: again after 20 ms."""
    while True:
        try:
            await dialling("one", 9092, client_id="c")
        except OSError:
            await broker.sleep(0.02)
        else:
            through.append(broker.now_s)
            return


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def dialling(broker: Broker) -> Dialling:
    return Dialling(broker.dial, now=lambda: broker.now_s, sleep=broker.sleep)


async def test_many_clients_dial_about_once_a_second_and_all_return_at_once(broker: Broker, dialling: Dialling) -> None:
    broker.away = True
    through: list[float] = []
    clients = [asyncio.create_task(client(dialling, broker, through)) for _ in range(CLIENTS)]
    await broker.until(30.0)
    assert not through
    at_once = sum(at_s == 0.0 for at_s, _ in broker.dialled)
    later = [at_s for at_s, _ in broker.dialled if at_s > 0.0]
    assert at_once <= CLIENTS  # nobody knew yet
    assert 25 <= len(later) <= 45, later  # each client alone would have dialled 1,500 times
    broker.away = False
    await broker.until(30.0 + PAUSE_S_MAX + 0.1)
    await asyncio.gather(*clients)
    assert len(through) == CLIENTS
    assert max(through) - min(through) <= 0.1


async def test_nobody_waits_longer_than_is_said_and_hears_what_failed(broker: Broker, dialling: Dialling) -> None:
    broker.away = True
    for _ in range(12):  # pauses at their longest
        with pytest.raises(OSError, match="refused"):
            await _bounded(dialling, broker)
    one, two = (asyncio.create_task(_bounded(dialling, broker)) for _ in range(2))
    for task in (one, two):
        with pytest.raises(OSError, match="refused"):
            assert await task <= WAIT_S_MAX + 0.1


async def _bounded(dialling: Dialling, broker: Broker) -> float:
    began_s = broker.now_s
    task = asyncio.create_task(dialling("one", 9092))
    while not task.done():
        await broker.until(broker.now_s + 0.01)
        assert broker.now_s - began_s <= WAIT_S_MAX + 0.1
    await task
    return broker.now_s - began_s


async def test_one_brokers_silence_keeps_nobody_from_another(broker: Broker, dialling: Dialling) -> None:
    broker.away = True
    with pytest.raises(OSError, match="refused"):
        await dialling("one", 9092)
    assert await dialling("two", 9092, client_id="c") == ("two", {"client_id": "c"})
    assert broker.now_s == 0.0


async def test_an_error_of_the_clients_own_is_no_silence(broker: Broker) -> None:
    async def refuse(host: str, port: int) -> None:
        raise KafkaConnectionError("not this version") if port else ValueError("a defect")

    dialling = Dialling(refuse, now=lambda: broker.now_s, sleep=broker.sleep)
    for _ in range(3):
        with pytest.raises(ValueError, match="a defect"):
            await dialling("one", 0)
    assert broker.now_s == 0.0


async def test_the_librarys_clients_dial_in_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "create_conn", client_module.create_conn)  # put back afterwards
    pace_dialling()
    pace_dialling()
    dialling = client_module.create_conn
    assert isinstance(dialling, Dialling)
    assert not isinstance(dialling._dial, Dialling)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = taken.getsockname()
        with pytest.raises(KafkaConnectionError):
            await AIOKafkaClient(bootstrap_servers=f"{address[0]}:{address[1]}").bootstrap()
        assert address in dialling._silent
