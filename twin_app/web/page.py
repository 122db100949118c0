"""The live page: its files, read once from the package. What is not among them does not exist."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from aiohttp import web

TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


class File(NamedTuple):
    body: bytes
    content_type: str
    etag: str


def page_files() -> dict[str, File]:
    """Path below `static/` -> file."""
    found: dict[str, File] = {}

    def collect(folder: Traversable, prefix: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda e: e.name):
            kind = TYPES.get(entry.name.rpartition(".")[2])
            if entry.is_dir():
                collect(entry, f"{prefix}{entry.name}/")
            elif kind is not None:
                body = entry.read_bytes()
                found[prefix + entry.name] = File(body, kind, hashlib.sha256(body).hexdigest()[:32])

    collect(files("twin_app.web") / "static", "")
    return found


def add_page(app: web.Application) -> None:
    """`/` and `/static/...`: open to everybody, since they hold nothing of a twin's."""
    known = page_files()

    def serve(request: web.Request, name: str) -> web.Response:
        file = known.get(name)
        if file is None:
            raise web.HTTPNotFound
        headers = {"ETag": f'"{file.etag}"', "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)

    async def index(request: web.Request) -> web.Response:
        return serve(request, "index.html")

    async def static(request: web.Request) -> web.Response:
        return serve(request, request.match_info["name"])

    app.router.add_get("/", index)
    app.router.add_get("/static/{name:.+}", static)
