"""Access: the token, the names of the machine, the port. None of these needs a broker."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from models.errors import TwinError
from twin_app.settings import Settings, load_settings
from twin_app.streaming.standing import Standing
from twin_app.web.feed import Feed
from twin_app.web.server import advertised, application, listen

TOKEN = "a-secret-of-ours"


def settings(**given: Any) -> Settings:
    return load_settings({}, **given)


async def client(**given: Any) -> TestClient[Any, Any]:
    made = TestClient(TestServer(application(Standing(settings(**given)), Feed("events"))))
    await made.start_server()
    return made


async def test_a_wrong_or_missing_token_reads_nothing() -> None:
    api = await client(web_token=TOKEN, web_host="0.0.0.0")
    for given in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer"}):
        answer = await api.get("/api/openapi.json", headers=given)
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["code"]) == (401, "token-needed")
        assert TOKEN not in str(body)
    await api.close()


async def test_without_a_token_a_worker_beyond_its_machine_tells_nothing() -> None:
    api = await client(web_host="0.0.0.0")
    answer = await api.get("/api/twins")
    assert answer.status == 403
    assert (await answer.json(content_type=None))["code"] == "token-not-set"
    assert (await api.get("/health")).status == 200
    await api.close()


async def test_a_page_under_a_foreign_name_reads_nothing() -> None:
    api = await client()
    answer = await api.get("/api/twins", headers={"Host": "attacker.example:6066"})
    assert (await answer.json(content_type=None))["code"] == "foreign-host"
    await api.close()


async def test_a_worker_that_starts_is_alive_and_not_ready() -> None:
    api = await client(web_host="0.0.0.0", web_token=TOKEN)
    assert (await api.get("/health")).status == 200
    answer = await api.get("/ready")
    assert answer.status == 503
    assert (await answer.json())["phase"] == "starting"
    await api.close()


async def test_every_refusal_is_a_problem_with_a_code() -> None:
    api = await client()
    for method, path, status in (("GET", "/nowhere", 404), ("POST", "/health", 405), ("GET", "/api/%00", 404)):
        answer = await api.request(method, path)
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["status"]) == (status, status)
        assert body["code"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    await api.close()


def test_a_port_that_was_asked_for_is_never_silently_another() -> None:
    taken = listen(settings(web_port=0))
    port = taken.getsockname()[1]
    try:
        with pytest.raises(TwinError) as refused:
            listen(settings(web_port=port))
        assert refused.value.code == "port-taken"
    finally:
        taken.close()


def test_the_default_port_may_give_way_to_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = listen(settings(web_port=0))
    monkeypatch.setattr(Settings.model_fields["web_port"], "default", taken.getsockname()[1])
    chosen = settings().model_copy(update={"web_port": taken.getsockname()[1]})
    chosen.model_fields_set.discard("web_port")
    other = listen(chosen)
    assert other.getsockname()[1] not in (0, taken.getsockname()[1])
    taken.close()
    other.close()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:7000"),
        ({"web_host": "::1"}, "http://[::1]:7000"),
        ({"web_url": "https://worker-3.plant:8443"}, "https://worker-3.plant:8443"),
    ],
)
def test_the_other_workers_are_told_a_url_that_reaches_this_one(given: dict[str, Any], url: str) -> None:
    assert advertised(settings(**given), 7000) == url


@pytest.mark.parametrize("name", ["web_url", "web_token"])
def test_a_bad_setting_is_named(name: str) -> None:
    with pytest.raises(TwinError, match=f"TWIN_{name.upper()}"):
        settings(**{name: "x"})


async def test_an_unforeseen_error_tells_the_caller_nothing_of_the_inside() -> None:
    app = application(Standing(settings()), Feed("events"))

    async def broken(request: web.Request) -> web.Response:
        raise RuntimeError("a secret inside")

    app.router.add_get("/broken", broken)
    api = TestClient(TestServer(app))
    await api.start_server()
    answer = await api.get("/broken")
    assert answer.status == 500
    body = await answer.json(content_type=None)
    assert body["code"] == "unforeseen"
    assert "secret" not in str(body)
    await api.close()
