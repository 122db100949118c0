"""Options that several verbs share, and the settings that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import TwinError
from twin_app.settings import PREFIX, Settings, load_settings

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", metavar="HOST:PORT,...", help="Kafka brokers; else TWIN_BOOTSTRAP_SERVERS.", show_default=False),
]
Registry = Annotated[
    str | None, typer.Option("--registry", metavar="URL", help="Schema registry; else TWIN_REGISTRY_URL.", show_default=False)
]
AppId = Annotated[
    str | None, typer.Option("--app-id", metavar="NAME", help="Name of the application; else TWIN_APP_ID.", show_default=False)
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Folder of the local state; else TWIN_DATA_DIR.", show_default=False),
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=86_400, help="Give up after so long without an answer.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")]

OPTION_OF = {"bootstrap_servers": "--bootstrap", "registry_url": "--registry", "app_id": "--app-id", "data_dir": "--data-dir"}
"""The option that sets a setting, where there is one."""


def settings_from(
    bootstrap: str | None = None, registry: str | None = None, app_id: str | None = None, **others: Any
) -> Settings:
    """The settings: options first, then the environment, then defaults. Raises TwinError `bad-setting`."""
    chosen = {"bootstrap_servers": bootstrap, "registry_url": registry, "app_id": app_id, **others}
    return load_named(given(chosen))


def load_named(chosen: dict[str, Any]) -> Settings:
    """The settings; one that an option has set is called by the option. Raises TwinError `bad-setting`."""
    try:
        return load_settings(**chosen)
    except TwinError as error:
        for name in chosen.keys() & OPTION_OF.keys():
            error.message = error.message.replace(f"{PREFIX}{name.upper()}:", f"{OPTION_OF[name]}:")
        raise


def given(chosen: dict[str, Any]) -> dict[str, Any]:
    """Only what the user wrote."""
    return {name: value for name, value in chosen.items() if value is not None}


def make_folder(folder: Path, chosen_by: str) -> Path:
    """The folder, made with those above it if need be. Raises TwinError `unwritable-folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder cannot be made: {(error.strerror or str(error)).lower()}"
        raise TwinError("unwritable-folder", what, place=str(folder), remedy=f"name another with {chosen_by}") from error
    return folder


def check_writable(path: Path, chosen_by: str) -> None:
    """Before anything is computed for it. A file that was not there is not left there. Raises TwinError `unwritable-file`."""
    was_there = path.exists()
    try:
        path.open("ab").close()
        if not was_there:
            path.unlink()
    except OSError as error:
        raise unwritable(path, error, f"name another with {chosen_by}") from error


def unwritable(path: Path, error: OSError, remedy: str) -> TwinError:
    """What went wrong in writing a file."""
    return TwinError(
        "unwritable-file", f"cannot be written: {(error.strerror or str(error)).lower()}", place=str(path), remedy=remedy
    )
