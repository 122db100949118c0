"""HTTP for the embedded registry, on aiohttp."""

import json
import logging
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from models.errors import TwinError
from twin_app.embedded.registry.store import Store, Version
from twin_app.embedded.registry.subjects import Refused, Subjects

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
BODY_BYTES_MAX = 4 << 20
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


class EmbeddedRegistry:
    """A development schema registry on 127.0.0.1, not for production.

        async with EmbeddedRegistry() as registry:
            client = SchemaRegistryClient(registry.url)

    `port` 0 takes a free one. `data` is a folder to keep the schemas in; without it they are kept in memory. Raises TwinError
    `port-taken` when the port is not free.
    """

    def __init__(self, port: int = 0, data: Path | str | None = None) -> None:
        self.port = port
        self.data = Path(data) if data is not None else None
        self._store: Store | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        self._store = Store(self.data / "schemas.jsonl" if self.data is not None else None)
        self._runner = web.AppRunner(application(Subjects(self._store)), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
        except OSError as error:
            listener.close()
            await self.stop()
            what = f"the schema registry cannot listen: {error}"
            raise TwinError("port-taken", what, place=self.url, remedy="stop what uses it, or choose another port") from error
        self.port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._store is not None:
            self._store.close()
            self._store = None

    async def __aenter__(self) -> "EmbeddedRegistry":
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()


def application(subjects: Subjects) -> web.Application:
    """The routes of the Confluent API, over `subjects`."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_errors])
    routes = _Routes(subjects)
    add = app.router.add_route
    add("GET", "/", routes.root)
    add("GET", "/subjects", routes.list_subjects)
    add("POST", "/subjects/{subject}", routes.look_up)
    add("DELETE", "/subjects/{subject}", routes.delete_subject)
    add("GET", "/subjects/{subject}/versions", routes.list_versions)
    add("POST", "/subjects/{subject}/versions", routes.register)
    add("GET", "/subjects/{subject}/versions/{version}", routes.get_version)
    add("DELETE", "/subjects/{subject}/versions/{version}", routes.delete_version)
    add("GET", "/subjects/{subject}/versions/{version}/schema", routes.get_version_schema)
    add("GET", "/schemas/types", routes.types)
    add("GET", "/schemas/ids/{id}", routes.get_schema)
    add("GET", "/schemas/ids/{id}/schema", routes.get_schema_text)
    add("GET", "/schemas/ids/{id}/versions", routes.schema_versions)
    add("GET", "/schemas/ids/{id}/subjects", routes.schema_subjects)
    add("POST", "/compatibility/subjects/{subject}/versions", routes.compare)
    add("POST", "/compatibility/subjects/{subject}/versions/{version}", routes.compare)
    for path in ("", "/{subject}"):
        add("GET", f"/config{path}", routes.get_level)
        add("PUT", f"/config{path}", routes.set_level)
        add("DELETE", f"/config{path}", routes.delete_level)
        add("GET", f"/mode{path}", routes.get_mode)
        add("PUT", f"/mode{path}", routes.set_mode)
    return app


class _Routes:
    def __init__(self, subjects: Subjects) -> None:
        self.subjects = subjects

    async def root(self, request: web.Request) -> web.Response:
        return _json({})

    async def types(self, request: web.Request) -> web.Response:
        return _json(["AVRO"])

    async def list_subjects(self, request: web.Request) -> web.Response:
        return _json(self.subjects.names(deleted=_flag(request, "deleted")))

    async def list_versions(self, request: web.Request) -> web.Response:
        found = self.subjects.versions(request.match_info["subject"], deleted=_flag(request, "deleted"))
        return _json([version.number for version in found])

    async def register(self, request: web.Request) -> web.Response:
        return _json({"id": self.subjects.register(request.match_info["subject"], await _body(request))})

    async def look_up(self, request: web.Request) -> web.Response:
        subject = request.match_info["subject"]
        version = self.subjects.look_up(subject, await _body(request), deleted=_flag(request, "deleted"))
        return _json(self._described(subject, version))

    async def get_version(self, request: web.Request) -> web.Response:
        return _json(self._described(request.match_info["subject"], self._asked(request)))

    async def get_version_schema(self, request: web.Request) -> web.Response:
        return web.Response(text=self.subjects.store.schemas[self._asked(request).schema_id], content_type=CONTENT_TYPE)

    async def delete_subject(self, request: web.Request) -> web.Response:
        return _json(self.subjects.delete_subject(request.match_info["subject"], permanent=_flag(request, "permanent")))

    async def delete_version(self, request: web.Request) -> web.Response:
        subject, wanted = request.match_info["subject"], request.match_info["version"]
        return _json(self.subjects.delete_version(subject, wanted, permanent=_flag(request, "permanent")))

    async def get_schema(self, request: web.Request) -> web.Response:
        return _json({"schema": self.subjects.schema(request.match_info["id"])})

    async def get_schema_text(self, request: web.Request) -> web.Response:
        return web.Response(text=self.subjects.schema(request.match_info["id"]), content_type=CONTENT_TYPE)

    async def schema_versions(self, request: web.Request) -> web.Response:
        uses = self.subjects.uses(request.match_info["id"])
        return _json([{"subject": subject, "version": number} for subject, number in uses])

    async def schema_subjects(self, request: web.Request) -> web.Response:
        return _json(sorted({subject for subject, _ in self.subjects.uses(request.match_info["id"])}))

    async def compare(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("version")
        broken = self.subjects.compare(request.match_info["subject"], wanted, await _body(request))
        answer: dict[str, Any] = {"is_compatible": not broken}
        if _flag(request, "verbose"):
            answer["messages"] = broken
        return _json(answer)

    async def get_level(self, request: web.Request) -> web.Response:
        subject = request.match_info.get("subject", "")
        return _json({"compatibilityLevel": self.subjects.level(subject, default=_flag(request, "defaultToGlobal"))})

    async def set_level(self, request: web.Request) -> web.Response:
        return _json({"compatibility": self.subjects.set_level(request.match_info.get("subject", ""), await _body(request))})

    async def delete_level(self, request: web.Request) -> web.Response:
        subject = request.match_info.get("subject", "")
        level = self.subjects.level(subject)
        self.subjects.store.write("level", subject, None)
        return _json({"compatibility": level})

    async def get_mode(self, request: web.Request) -> web.Response:
        subject = request.match_info.get("subject", "")
        return _json({"mode": self.subjects.mode(subject, default=_flag(request, "defaultToGlobal"))})

    async def set_mode(self, request: web.Request) -> web.Response:
        return _json({"mode": self.subjects.set_mode(request.match_info.get("subject", ""), await _body(request))})

    def _asked(self, request: web.Request) -> Version:
        match = request.match_info
        return self.subjects.version(match["subject"], match["version"], deleted=_flag(request, "deleted"))

    def _described(self, subject: str, version: Version) -> dict[str, Any]:
        schema = self.subjects.store.schemas[version.schema_id]
        return {"subject": subject, "version": version.number, "id": version.schema_id, "schema": schema}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value), status=status, content_type=CONTENT_TYPE)


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() == "true"


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.text())
    except (ValueError, RecursionError, LookupError) as error:
        raise Refused(400, f"the body is no JSON: {str(error)[:200]}") from error


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except Refused as refused:
        return _json({"error_code": refused.code, "message": str(refused)}, refused.status)
    except web.HTTPException as error:
        return _json({"error_code": error.status, "message": error.reason}, error.status)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _json({"error_code": 50001, "message": "the registry failed; its log says why"}, 500)
