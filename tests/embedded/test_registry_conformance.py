"""The embedded registry and a real one must give the same answers, to the two common clients and to plain HTTP."""

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry import SchemaRegistryClient as ConfluentClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from schema_registry.client import SchemaRegistryClient
from schema_registry.client.schema import AvroSchema

from tests.brokers.plugin import Registry

pytestmark = pytest.mark.broker


def record(*fields: dict[str, Any], name: str = "Reading") -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "twin.test", "fields": list(fields)}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


FIRST = record(field("a", "int"))
WITH_DEFAULT = record(field("a", "int"), field("b", "string", default=""))
WITHOUT_DEFAULT = record(field("a", "int"), field("b", "string"))
EMPTY = record()


@pytest.fixture
def subject() -> str:
    return f"subject-{uuid.uuid4().hex[:8]}-value"


class Http:
    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=10, headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self.client.request(method, path, content=None if body is None else json.dumps(body))
        try:
            return answer.status_code, answer.json()
        except ValueError:  # some servers answer a refused request with a page, whatever its content type says
            return answer.status_code, answer.text

    def register(self, subject: str, schema: Any) -> tuple[int, Any]:
        return self.ask("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})


@pytest.fixture
def http(registry: Registry) -> Http:
    return Http(registry.url)


def test_registering_again_does_not_give_a_new_id(http: Http, subject: str) -> None:
    status, first = http.register(subject, FIRST)
    assert status == 200
    _, second = http.register(subject, WITH_DEFAULT)
    assert second["id"] != first["id"]
    assert http.register(subject, FIRST) == (200, first)
    assert http.register(f"other-{subject}", FIRST) == (200, first), "one schema has one id in all subjects"
    assert http.ask("GET", f"/subjects/{subject}/versions") == (200, [1, 2])
    _, kept = http.ask("GET", f"/schemas/ids/{first['id']}")
    assert json.loads(kept["schema"]) == FIRST


def test_a_lookup_does_not_register(http: Http, subject: str) -> None:
    _, registered = http.register(subject, FIRST)
    status, found = http.ask("POST", f"/subjects/{subject}", {"schema": json.dumps(FIRST)})
    assert status == 200
    assert (found["subject"], found["version"], found["id"]) == (subject, 1, registered["id"])
    status, refused = http.ask("POST", f"/subjects/{subject}", {"schema": json.dumps(WITH_DEFAULT)})
    assert (status, refused["error_code"]) == (404, 40403)
    assert http.ask("GET", f"/subjects/{subject}/versions") == (200, [1])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/subjects/{absent}/versions", 404, 40401),
        ("GET", "/subjects/{absent}/versions/latest", 404, 40401),
        ("GET", "/subjects/{subject}/versions/7", 404, 40402),
        ("GET", "/schemas/ids/2000000000", 404, 40403),
        ("DELETE", "/subjects/{absent}", 404, 40401),
        ("DELETE", "/subjects/{subject}/versions/7", 404, 40402),
    ],
)
def test_what_is_not_there_is_not_found(http: Http, subject: str, method: str, path: str, status: int, code: int) -> None:
    http.register(subject, FIRST)
    got, answer = http.ask(method, path.format(subject=subject, absent=f"absent-{subject}"))
    assert (got, answer["error_code"]) == (status, code)


@pytest.mark.parametrize("text", ["{", '{"type": "record"}', '{"type": "recrod", "name": "A", "fields": []}'])
def test_text_that_is_no_schema_is_not_registered(http: Http, subject: str, text: str) -> None:
    status, answer = http.ask("POST", f"/subjects/{subject}/versions", {"schema": text})
    assert (status, answer["error_code"]) == (422, 42201)


@pytest.mark.parametrize(
    ("level", "former", "new", "accepted"),
    [
        ("NONE", [FIRST], WITHOUT_DEFAULT, True),
        ("BACKWARD", [FIRST], WITH_DEFAULT, True),
        ("BACKWARD", [FIRST], WITHOUT_DEFAULT, False),
        ("BACKWARD", [FIRST], EMPTY, True),
        ("FORWARD", [FIRST], WITHOUT_DEFAULT, True),
        ("FORWARD", [FIRST], EMPTY, False),
        ("FULL", [FIRST], WITH_DEFAULT, True),
        ("FULL", [FIRST], WITHOUT_DEFAULT, False),
        # The newest one can be read, the oldest cannot: only the transitive level looks that far back.
        ("BACKWARD", [FIRST, WITH_DEFAULT], WITHOUT_DEFAULT, True),
        ("BACKWARD_TRANSITIVE", [FIRST, WITH_DEFAULT], WITHOUT_DEFAULT, False),
        ("FORWARD", [WITH_DEFAULT, EMPTY], FIRST, True),
        ("FULL_TRANSITIVE", [FIRST, WITH_DEFAULT], WITHOUT_DEFAULT, False),
    ],
)
def test_an_incompatible_schema_is_not_registered(
    http: Http, subject: str, level: str, former: list[Any], new: Any, accepted: bool
) -> None:
    assert http.register(subject, former[0])[0] == 200
    assert http.ask("PUT", f"/config/{subject}", {"compatibility": "NONE"})[0] == 200
    for schema in former[1:]:
        assert http.register(subject, schema)[0] == 200
    assert http.ask("PUT", f"/config/{subject}", {"compatibility": level}) == (200, {"compatibility": level})
    assert http.ask("GET", f"/config/{subject}") == (200, {"compatibilityLevel": level})
    if not level.endswith("_TRANSITIVE"):  # the question about one version knows only that version
        path = f"/compatibility/subjects/{subject}/versions/latest"
        assert http.ask("POST", path, {"schema": json.dumps(new)})[1]["is_compatible"] is accepted
    status, answer = http.register(subject, new)
    assert status == (200 if accepted else 409)
    if not accepted:
        assert answer["error_code"] == 409
        assert len(http.ask("GET", f"/subjects/{subject}/versions")[1]) == len(former)


def test_settings_that_do_not_exist_are_not_set(registry: Registry, http: Http, subject: str) -> None:
    http.register(subject, FIRST)
    http.ask("PUT", f"/config/{subject}", {"compatibility": "FULL"})
    status, _ = http.ask("PUT", f"/config/{subject}", {"compatibility": "SOMEHOW"})
    assert 400 <= status < 500
    assert http.ask("GET", f"/config/{subject}") == (200, {"compatibilityLevel": "FULL"})
    if registry.kind == "embedded":  # Apicurio 2.6 has no modes
        assert http.ask("GET", "/mode") == (200, {"mode": "READWRITE"})
    assert "AVRO" in http.ask("GET", "/schemas/types")[1]


def test_a_deleted_subject_does_not_stay_listed(http: Http, subject: str) -> None:
    _, registered = http.register(subject, FIRST)
    assert subject in http.ask("GET", "/subjects")[1]
    assert http.ask("DELETE", f"/subjects/{subject}") == (200, [1])
    assert subject not in http.ask("GET", "/subjects")[1]
    assert http.ask("GET", f"/subjects/{subject}/versions")[0] == 404
    status, kept = http.ask("GET", f"/schemas/ids/{registered['id']}")
    assert status == 200, "records that carry the id must stay readable"
    assert json.loads(kept["schema"]) == FIRST


def test_the_confluent_client_does_not_notice_a_difference(registry: Registry, subject: str) -> None:
    client = ConfluentClient({"url": registry.url})
    schema = Schema(json.dumps(FIRST), "AVRO")
    schema_id = client.register_schema(subject, schema)
    assert client.lookup_schema(subject, schema).schema_id == schema_id
    assert client.get_latest_version(subject).version == 1
    assert subject in client.get_subjects()
    client.set_compatibility(subject_name=subject, level="BACKWARD")
    assert client.test_compatibility(subject, Schema(json.dumps(WITH_DEFAULT), "AVRO"))
    assert not client.test_compatibility(subject, Schema(json.dumps(WITHOUT_DEFAULT), "AVRO"))
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(subject, Schema(json.dumps(WITHOUT_DEFAULT), "AVRO"))
    assert refused.value.http_status_code == 409
    context = SerializationContext(subject.removesuffix("-value"), MessageField.VALUE)
    data = AvroSerializer(client, json.dumps(FIRST))({"a": 7}, context)
    assert data[:5] == b"\x00" + schema_id.to_bytes(4, "big")
    assert AvroDeserializer(ConfluentClient({"url": registry.url}))(data, context) == {"a": 7}


def test_the_python_client_does_not_notice_a_difference(registry: Registry, subject: str) -> None:
    client = SchemaRegistryClient(registry.url)
    schema = AvroSchema(FIRST)
    schema_id = client.register(subject, schema)
    assert client.register(subject, schema) == schema_id
    assert client.get_by_id(schema_id).raw_schema["name"].endswith("Reading")
    assert client.check_version(subject, schema).schema_id == schema_id
    assert client.update_compatibility("BACKWARD", subject)
    assert client.get_compatibility(subject) == "BACKWARD"
    assert client.test_compatibility(subject, AvroSchema(WITH_DEFAULT))
    assert not client.test_compatibility(subject, AvroSchema(WITHOUT_DEFAULT))
    assert client.get_versions(subject) == [1]
    assert client.get_schema(subject).schema_id == schema_id
    assert client.delete_subject(subject) == [1]


async def test_a_killed_registry_does_not_give_an_id_twice(registry: Registry, subject: str) -> None:
    http = Http(registry.url)
    _, first = http.register(subject, FIRST)
    registry.kill9()
    await asyncio.to_thread(registry.restart)
    assert http.register(subject, FIRST) == (200, first)
    status, second = http.register(f"new-{subject}", record(field("other", "long"), name=f"R{uuid.uuid4().hex[:6]}"))
    assert status == 200
    assert second["id"] != first["id"]
    assert json.loads(http.ask("GET", f"/schemas/ids/{first['id']}")[1]["schema"]) == FIRST
