"""Files of the embedded broker: torn ends, restarts, compaction and retention must not lose or invent records."""

import time
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from models.errors import TwinError
from tests.embedded.clients import consumer, make_topic, producer, read_all, send, until
from twin_app.embedded import EmbeddedBroker
from twin_app.embedded.broker import transactions


def log_file(data: Path, topic: str, partition: int = 0) -> Path:
    (found,) = data.glob(f"logs/*-{topic}-{partition}.log")
    return found


@pytest.mark.parametrize("torn", [b"\x00", b"\x00" * 61, b"\xff" * 300, b"half"])
async def test_a_torn_end_is_cut_off_and_nothing_else(tmp_path: Path, torn: bytes) -> None:
    async with EmbeddedBroker(data=tmp_path) as broker:
        topic = await make_topic(broker.bootstrap, "torn")
        await send(broker.bootstrap, topic, [b"kept"])
    with log_file(tmp_path, topic).open("ab") as log:
        log.write(torn)
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'["offset","g","t",0')
    async with EmbeddedBroker(data=tmp_path) as broker:
        await send(broker.bootstrap, topic, [b"new"])
        assert [(r.offset, r.value) for r in await read_all(broker.bootstrap, topic)] == [(0, b"kept"), (1, b"new")]
    async with EmbeddedBroker(data=tmp_path) as broker:
        assert [r.value for r in await read_all(broker.bootstrap, topic)] == [b"kept", b"new"]


async def test_a_commit_that_was_decided_is_finished_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with EmbeddedBroker(data=tmp_path) as broker:
        topic = await make_topic(broker.bootstrap, "decided", 2)
        place = TopicPartition(topic, 0)

        def die(self: object, transaction: object, *, commit: bool) -> None:
            raise SystemError("the process ends here")

        context = producer(broker.bootstrap, transactional_id="tx", request_timeout_ms=500)
        client = await context.__aenter__()
        await client.begin_transaction()
        for partition in (0, 1):
            await client.send_and_wait(topic, b"decided", partition=partition)
        await client.send_offsets_to_transaction({place: 9}, "group")
        state = broker._state
        assert state is not None
        with monkeypatch.context() as patch:
            patch.setattr(transactions.Transactions, "_finish", die)
            with pytest.raises(SystemError):
                state.transactions.end(state.transactions.by_name["tx"], commit=True)
        saved = (tmp_path / "journal.jsonl").read_bytes()
        assert b'["end"' in saved
        assert b'["ended"' not in saved
        state.transactions.by_name.clear()  # what follows on this broker must not write to the files
        await client.stop()
    (tmp_path / "journal.jsonl").write_bytes(saved)
    for _ in range(2):
        async with EmbeddedBroker(data=tmp_path) as broker:
            records = await read_all(broker.bootstrap, topic, partitions=2, committed=True)
            assert [r.value for r in records] == [b"decided", b"decided"]
            async with consumer(broker.bootstrap, group_id="group") as reader:
                reader.assign([place])
                assert await reader.committed(place) == 9


async def test_compaction_does_not_revive_aborted_records_or_lose_committed_ones(tmp_path: Path) -> None:
    settings = {"cleanup_policy": "compact", "segment_ms": 300, "min_cleanable_dirty_ratio": 0.01, "max_compaction_lag_ms": 300}
    async with EmbeddedBroker(data=tmp_path, clean_interval_s=0.2) as broker:
        topic = await make_topic(broker.bootstrap, "changelog", **settings)
        size = log_file(tmp_path, topic).stat
        async with producer(broker.bootstrap, transactional_id="tx") as client:
            for turn in range(60):
                await client.begin_transaction()
                for key in range(5):
                    await client.send(topic, b"%d" % turn + b"." * 300, key=b"k%d" % key)
                if turn % 2:
                    await client.flush()
                    await client.abort_transaction()
                else:
                    await client.commit_transaction()
        before = size().st_size
        assert await until(lambda: size().st_size < before / 10, 10)
        expected = {b"k%d" % key: b"58" + b"." * 300 for key in range(5)}
        for committed in (True, False):
            records = await read_all(broker.bootstrap, topic, committed=committed)
            if committed:
                assert {r.key: r.value for r in records} == expected
        end = broker._state.topics.by_name[topic].partitions[0].end  # type: ignore[union-attr]
    async with EmbeddedBroker(data=tmp_path) as broker:
        assert {r.key: r.value for r in await read_all(broker.bootstrap, topic, committed=True)} == expected
        async with producer(broker.bootstrap) as client:
            assert (await client.send_and_wait(topic, b"next", key=b"k0")).offset == end


async def test_retention_does_not_take_offsets_back(tmp_path: Path) -> None:
    async with EmbeddedBroker(data=tmp_path, clean_interval_s=0.1) as broker:
        topic = await make_topic(broker.bootstrap, "forgotten", retention_ms=300, segment_ms=100)
        await send(broker.bootstrap, topic, [b"old"] * 5)
        partition = broker._state.topics.by_name[topic].partitions[0]  # type: ignore[union-attr]
        assert await until(lambda: partition.start == 5, 5)
    async with EmbeddedBroker(data=tmp_path) as broker:
        async with producer(broker.bootstrap) as client:
            assert (await client.send_and_wait(topic, b"new")).offset == 5
        assert [r.offset for r in await read_all(broker.bootstrap, topic)] == [5]


async def test_an_exhausted_epoch_does_not_wrap_to_a_fenced_one(tmp_path: Path) -> None:
    async with EmbeddedBroker(data=tmp_path) as broker:
        coordinator = broker._state.transactions  # type: ignore[union-attr]
        _, producer_id, epoch = coordinator.init_producer("tx", 1000)
        coordinator.by_name["tx"].epoch = transactions.EPOCH_MAX - 1
        _, next_id, next_epoch = coordinator.init_producer("tx", 1000)
    assert (producer_id, epoch) != (next_id, next_epoch)
    assert next_id > producer_id
    assert next_epoch == 0


async def test_a_journal_that_grew_is_replaced_without_loss(tmp_path: Path) -> None:
    async with EmbeddedBroker(data=tmp_path) as broker:
        topic = await make_topic(broker.bootstrap, "counted")
        place = TopicPartition(topic, 0)
        state = broker._state
        assert state is not None
        for offset in range(1000):
            async_free = [("offset", "group", topic, 0, offset, "x" * 100)]
            for entry in async_free:
                state.journal.write(*entry)
        state.groups.get("group").offsets[topic, 0] = transactions.Committed(999, "x")
        state.journal._limit = 1000
        before = state.journal.path.stat().st_size
        state.journal.shrink()
        assert state.journal.path.stat().st_size < before / 100
    async with EmbeddedBroker(data=tmp_path) as broker, consumer(broker.bootstrap, group_id="group") as reader:
        reader.assign([place])
        assert await reader.committed(place) == 999


async def test_a_taken_port_is_said_clearly() -> None:
    async with EmbeddedBroker() as broker:
        with pytest.raises(TwinError, match=r"port-taken"):
            await EmbeddedBroker(broker.port).start()


async def test_many_small_records_are_written_in_reasonable_time() -> None:
    async with EmbeddedBroker() as broker:
        topic = await make_topic(broker.bootstrap, "many")
        since = time.monotonic()
        await send(broker.bootstrap, topic, [b"x" * 200] * 20_000)
        assert len(await read_all(broker.bootstrap, topic)) == 20_000
    assert time.monotonic() - since < 60
