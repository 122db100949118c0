"""Hostile bodies and one spelling for one schema: what only the embedded registry promises."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from twin_app.embedded import EmbeddedRegistry

DEEP = '{"type":"array","items":' * 500 + '"int"' + "}" * 500


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"schema": 7}',
        b'{"schema": ""}',
        json.dumps({"schema": DEEP}).encode(),
        json.dumps({"schema": "[" * 100_000}).encode(),
        json.dumps({"schema": '"' + "x" * 2_000_000 + '"'}).encode(),
        json.dumps({"schema": '{"type":"record","name":"A","fields":[{"name":"x","type":"Nowhere"}]}'}).encode(),
        json.dumps({"schema": '"int"', "schemaType": "PROTOBUF"}).encode(),
        b"x" * 5_000_000,
    ],
    ids=range(12),
)
async def test_a_hostile_body_is_refused_and_the_registry_goes_on(body: bytes) -> None:
    async with EmbeddedRegistry() as registry, httpx.AsyncClient(base_url=registry.url) as client:
        refused = await client.post("/subjects/s/versions", content=body, headers={"Content-Type": "application/json"})
        assert 400 <= refused.status_code < 500, refused.text
        assert refused.json()["error_code"]
        assert (await client.get("/subjects")).json() == []


async def test_another_spelling_of_a_schema_does_not_get_another_id() -> None:
    one: dict[str, Any] = {"type": "record", "name": "A", "doc": "text", "fields": [{"name": "x", "type": "int", "default": 1}]}
    spelled = json.dumps(
        {"fields": [{"default": 1, "type": "int", "name": "x"}], "doc": "text", "name": "A", "type": "record"}, indent=4
    )
    async with EmbeddedRegistry() as registry, httpx.AsyncClient(base_url=registry.url) as client:
        first = await client.post("/subjects/s/versions", json={"schema": json.dumps(one)})
        again = await client.post("/subjects/s/versions", json={"schema": spelled})
        other = await client.post("/subjects/s/versions", json={"schema": json.dumps({**one, "doc": "changed"})})
    assert first.json() == again.json()
    assert other.json() != first.json()


async def test_a_torn_file_does_not_keep_the_registry_from_starting(tmp_path: Path) -> None:
    async with EmbeddedRegistry(data=tmp_path) as registry, httpx.AsyncClient(base_url=registry.url) as client:
        await client.put("/config/s", json={"compatibility": "FULL"})
        first = (await client.post("/subjects/s/versions", json={"schema": '"int"'})).json()
    with (tmp_path / "schemas.jsonl").open("ab") as file:
        file.write(b'["schema",2,"')
    for _ in range(2):
        async with EmbeddedRegistry(data=tmp_path) as registry, httpx.AsyncClient(base_url=registry.url) as client:
            assert (await client.post("/subjects/s/versions", json={"schema": '"int"'})).json() == first
            assert (await client.get("/config/s")).json() == {"compatibilityLevel": "FULL"}


async def test_a_permanent_deletion_needs_an_ordinary_one_first() -> None:
    async with EmbeddedRegistry() as registry, httpx.AsyncClient(base_url=registry.url) as client:
        await client.post("/subjects/s/versions", json={"schema": '"int"'})
        assert (await client.delete("/subjects/s?permanent=true")).json()["error_code"] == 40405
        assert (await client.delete("/subjects/s")).json() == [1]
        assert (await client.get("/subjects?deleted=true")).json() == ["s"]
        assert (await client.delete("/subjects/s?permanent=true")).json() == [1]
        assert (await client.get("/subjects?deleted=true")).json() == []
