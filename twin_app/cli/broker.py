"""`twin broker`: the development broker and schema registry, where the settings say that they are."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from models.errors import TwinError
from twin_app.cli import output
from twin_app.cli.options import Json, make_folder
from twin_app.settings import Settings, load_settings

LOCAL = ("127.0.0.1", "localhost")
KEPT_IN = Path(".run/broker")
REGISTRY_PORT = 8081


def broker(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65_535, help="Of the broker; 0: a free one; else as TWIN_BOOTSTRAP_SERVERS.", show_default=False
        ),
    ] = None,
    registry_port: Annotated[
        int | None,
        typer.Option("--registry-port", min=0, max=65_535, help="The same; else as TWIN_REGISTRY_URL.", show_default=False),
    ] = None,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Where topics and schemas are kept.")] = KEPT_IN,
    temporary: Annotated[bool, typer.Option("--temporary", help="Keep nothing: all is gone when it ends.")] = False,
    fsync: Annotated[bool, typer.Option("--fsync", help="Survive a power cut too, not only a kill. Slower.")] = False,
    as_json: Json = False,
) -> None:
    """Run a development broker and schema registry on this machine, until SIGTERM or Ctrl-C. Not for production.

    Without options they are where the other verbs look for them: 127.0.0.1:9092 and 127.0.0.1:8081. What is sent to them is
    kept in .run/broker: started again, the twins go on.
    """
    settings = load_settings()
    ports = (
        _port(settings.bootstrap_servers.split(",")[0], "TWIN_BOOTSTRAP_SERVERS", "--port") if port is None else port,
        _registry_port(settings) if registry_port is None else registry_port,
    )
    folder = None if temporary else make_folder(data, "--data")
    # The broker brings a Kafka client's codecs along: the other verbs do without them.
    from twin_app.embedded.serving import WARNING, serve

    logging.getLogger("twin_app.embedded").setLevel(logging.WARNING)
    output.note(WARNING)

    def ready(bootstrap: str, registry: str) -> None:
        if as_json:
            output.put_json({"ready": True, "bootstrap": bootstrap, "registry": registry, "data": folder, "pid": os.getpid()})
        else:
            _tell(settings, bootstrap, registry, folder)

    asyncio.run(serve(*ports, folder, ready, fsync=fsync))


def _tell(settings: Settings, bootstrap: str, registry: str, folder: Path | None) -> None:
    found = {"TWIN_BOOTSTRAP_SERVERS": bootstrap, "TWIN_REGISTRY_URL": registry}
    known = settings.bootstrap_servers == bootstrap and settings.registry_url.rstrip("/") == registry
    where = "every `twin` with these settings finds them" if known else "tell the other terminals where they are:"
    output.note(f"broker and registry are ready; {where}", style="green" if known else "yellow")
    for name, value in found.items():
        output.say(f"export {name}={value}")
    output.note(f"kept in {folder}; Ctrl-C ends" if folder else "nothing is kept; Ctrl-C ends")


def _port(address: str, setting: str, option: str) -> int:
    """The port of a local address `host:port`."""
    host, _, port = address.strip().rpartition(":")
    if host not in LOCAL:
        what = f"the development broker runs on 127.0.0.1 only, but {setting} names another machine"
        raise TwinError("not-local", what, place=address, remedy=f"unset {setting}, or give {option}")
    return int(port)


def _registry_port(settings: Settings) -> int:
    parts = urlsplit(settings.registry_url)
    return _port(f"{parts.hostname}:{parts.port or REGISTRY_PORT}", "TWIN_REGISTRY_URL", "--registry-port")
