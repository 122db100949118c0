"""One real Kafka with secured listeners, a registry behind TLS and a password, a token server."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import BasicAuth, web

from tests.brokers.maven import Unavailable
from tests.brokers.plugin import _lacking, used
from tests.brokers.real_kafka import RealKafka
from tests.brokers.secured import USER, Secured
from twin_app.embedded.registry.server import application
from twin_app.embedded.registry.store import Store
from twin_app.embedded.registry.subjects import Subjects

REGISTRY_PASSWORD = "hush-registry"
CLIENT_SECRET = "hush-client"


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """Started once for all tests here; skipped or failed as the other real brokers are."""
    folder = tmp_path_factory.mktemp("secured-kafka")
    try:
        server = RealKafka(folder, secured=Secured(folder / "tls"))
    except Unavailable as error:
        _lacking("real Kafka", error)
    server.start()
    used["brokers"][f"{server.name} with TLS and SASL"] = 1
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def secured(secured_kafka: RealKafka) -> Secured:
    """The certificates and addresses of the secured broker."""
    assert secured_kafka.secured is not None
    return secured_kafka.secured


@pytest.fixture
async def secured_registry(secured: Secured) -> AsyncIterator[str]:
    """The embedded registry behind https and basic authentication; its address."""

    @web.middleware
    async def logged_in(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            login = BasicAuth.decode(request.headers.get("Authorization", ""))
        except ValueError:
            login = None
        if login != BasicAuth(USER, REGISTRY_PASSWORD):
            return web.json_response({"error_code": 40101, "message": "who are you?"}, status=401)
        return await handler(request)

    app = application(Subjects(Store(None)))
    app.middlewares.append(logged_in)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(secured.server)
    async for url in _served(app, context):
        yield url


@pytest.fixture
async def token_server() -> AsyncIterator[str]:
    """Gives unsigned tokens to the client that knows the secret, as a test broker takes them."""

    async def give(request: web.Request) -> web.Response:
        form = await request.post()
        login = BasicAuth.decode(request.headers.get("Authorization", ""))
        if login != BasicAuth(USER, CLIENT_SECRET) or form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "invalid_client"}, status=401)
        now = int(time.time())
        parts = ({"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 300, "scope": form.get("scope", "")})
        token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 300})

    app = web.Application()
    app.router.add_post("/token", give)
    async for url in _served(app, None):
        yield f"{url}/token"


async def _served(app: web.Application, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
