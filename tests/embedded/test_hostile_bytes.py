"""Bytes that are no request: the connection that sent them is closed, and nobody else notices."""

import asyncio
import logging
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.embedded.clients import make_topic, read_all, send
from twin_app.embedded import EmbeddedBroker
from twin_app.embedded.broker import server, wire


async def send_raw(broker: EmbeddedBroker, data: bytes) -> bytes:
    """What comes back until the broker hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def framed(api: int, version: int, body: bytes) -> bytes:
    payload = struct.pack(">hhih", api, version, 1, -1) + body
    return struct.pack(">i", len(payload)) + payload


HUGE_ARRAY = struct.pack(">i", 0x7FFFFFFF)


MALFORMED = {
    "negative length": struct.pack(">i", -1),
    "no length": struct.pack(">i", 0),
    "length over the limit": struct.pack(">i", server.REQUEST_BYTES_MAX + 1),
    "shorter than a header": struct.pack(">i", 3) + b"abc",
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "unknown api": framed(999, 0, b""),
    "unknown version": framed(wire.FETCH, 99, b""),
    "array of two thousand million": framed(wire.METADATA, 1, HUGE_ARRAY),
    "string cut short": framed(wire.METADATA, 1, struct.pack(">ih", 1, 5)),
    "all ones": framed(wire.PRODUCE, 7, b"\xff" * 30),
    "body cut short": framed(wire.JOIN_GROUP, 5, b"\x00"),
    "bytes left over": framed(wire.METADATA, 1, struct.pack(">i", 0) + b"left over"),
    "client id over the end": struct.pack(">ihhih", 10, wire.METADATA, 1, 1, 30_000),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_request_does_not_harm_the_others(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # whatever a verb of the command line has set before in this process
    async with EmbeddedBroker() as broker:
        topic = await make_topic(broker.bootstrap, "healthy")
        assert await send_raw(broker, data) == b""
        await send(broker.bootstrap, topic, [b"still here"])
        assert [record.value for record in await read_all(broker.bootstrap, topic)] == [b"still here"]
    said = [entry for entry in caplog.records if entry.name.startswith("twin_app")]
    assert ["closed" in entry.getMessage() for entry in said] == [True]
    assert said[0].exc_info is None, "bytes from outside are no reason for a traceback"


@given(api=st.sampled_from(sorted(wire.OFFERED)), version=st.integers(0, 11), body=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_the_decoder_raises_nothing_but_malformed(api: int, version: int, body: bytes) -> None:
    frame = wire.parse_frame(framed(api, version, body)[4:])
    if wire.offered(frame):
        try:
            wire.decode(frame)
        except wire.Malformed:
            pass


@given(bodies=st.lists(st.tuples(st.sampled_from(sorted(wire.OFFERED)), st.binary(max_size=80)), max_size=30))
@settings(max_examples=15, deadline=None)
def test_random_requests_do_not_stop_the_broker(bodies: list[tuple[int, bytes]]) -> None:
    async def attempt() -> None:
        async with EmbeddedBroker() as broker:
            for api, body in bodies:
                _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
                writer.write(framed(api, wire.OFFERED[api][0], body))
                writer.close()
            answer = await send_raw(broker, framed(wire.API_VERSIONS, 0, b"") + struct.pack(">i", -1))
            assert len(answer) > 20

    asyncio.run(attempt())


async def test_a_new_client_is_told_the_versions_instead_of_being_refused() -> None:
    async with EmbeddedBroker() as broker:
        answer = await send_raw(broker, framed(wire.API_VERSIONS, 4, b"") + struct.pack(">i", -1))
    assert struct.unpack_from(">h", answer, 8)[0] == wire.UNSUPPORTED_VERSION
    assert struct.unpack_from(">i", answer, 10)[0] == len(wire.OFFERED)
