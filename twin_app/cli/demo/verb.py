"""`twin demo`: plays the story, then checks by itself that nothing was lost, doubled or changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.options import Json, Timeout
from twin_app.cli.output import ExitCode
from twin_app.settings import PREFIX

if TYPE_CHECKING:
    from twin_app.cli.demo.scenario import Scenario

LINE_END = "A worker died in the middle of it, and nothing was lost or doubled."
SCENARIO_END = "It went live as it was simulated, and nothing was lost or doubled."


def demo(
    folder_of_scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Play this instead: a blueprint.yaml, and a commands.yaml with what happens to it.",
            show_default="the factory line",
        ),
    ] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            "--bootstrap", metavar="HOST:PORT,...", help="Play on this Kafka, not on one of its own.", show_default=False
        ),
    ] = None,
    registry: Annotated[
        str | None, typer.Option("--registry", metavar="URL", help="The schema registry beside it.", show_default=False)
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep logs and data in this folder.", show_default=False)
    ] = None,
    stay: Annotated[
        bool,
        typer.Option("--stay", help="Go on after the check, until Ctrl-C: the live page stays open, with a workshop at work."),
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=3_600, help="How long the story of FOLDER takes; its clock goes so fast.")
    ] = 20.0,
    timeout: Timeout = 150.0,
    as_json: Json = False,
) -> None:
    """A line of three machines on two workers: machine B breaks, a worker is killed, and nothing is lost. Checks that itself.

    Needs nothing but this package: broker and schema registry are started for the demo, on free ports of 127.0.0.1. Takes less
    than a minute. Ends with 1 if anything was lost, doubled or changed.

    With FOLDER, a twin of your own or of examples/ is played live on one worker, and compared with a run here; its claims count.
    """
    if (bootstrap is None) != (registry is None):
        raise TwinError("bad-option", "--bootstrap and --registry belong together", remedy="give both or neither")
    from twin_app.cli.demo.performance import perform  # Kafka's clients take a while to import
    from twin_app.cli.demo.scenario import read_scenario

    scenario = None if folder_of_scenario is None else read_scenario(folder_of_scenario, seconds)
    end = LINE_END if scenario is None else SCENARIO_END
    with _folder(keep) as folder, _ends_in_order(), _without_settings(), Teller(as_json) as teller:
        if stay:
            _play_and_stay(folder, bootstrap, registry, teller, timeout, as_json, scenario, end)
            return
        findings = connect.run_async(perform(folder, bootstrap, registry, teller, timeout, None, scenario))
    _verdict(findings, teller, as_json, end)
    if not all(finding.holds for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _play_and_stay(
    folder: Path,
    bootstrap: str | None,
    registry: str | None,
    teller: Teller,
    timeout_s: float,
    as_json: bool,
    scenario: Scenario | None,
    end: str,
) -> None:
    """Tell the verdict, then go on until Ctrl-C, which is the proper end of it."""
    from twin_app.cli.demo.performance import perform

    told: list[Any] = []

    def tell(findings: list[Any]) -> None:
        told.extend(findings)
        teller.leave_picture()
        _verdict(findings, teller, as_json, end)

    try:
        connect.run_async(perform(folder, bootstrap, registry, teller, timeout_s, tell, scenario))
    except KeyboardInterrupt:
        if not told:
            raise
    if not all(finding.holds for finding in told):
        raise typer.Exit(ExitCode.FAILED)


class Teller:
    """Prints the story: what you do, what the line says, and (on a terminal) a picture of the lines below it."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.started = time.monotonic()
        self._live: Live | None = None
        if not as_json and sys.stdout.isatty():
            self._live = Live(console=output.stdout(), transient=True, auto_refresh=False)

    def __enter__(self) -> Teller:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave_picture()

    def leave_picture(self) -> None:
        """The picture of the lines is not drawn any more."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def tell(self, who: str, sentence: str) -> None:
        """One line of the story. `you` did it, `demo` and `plant` report it, else a line speaks by its events."""
        if self.as_json:
            output.put_json({"who": who, "said": sentence, "elapsed_s": round(self.elapsed_s, 3)})
            return
        line = Text.assemble((f"{self.elapsed_s:5.1f} s  ", "dim"))
        if who == "you":
            line.append(f"> {sentence}", style="bold cyan")
        elif who in ("demo", "plant"):
            line.append(f"  {sentence}", style="dim" if who == "demo" else "magenta")
        else:
            line.append(f"  {who}  ", style="dim")
            line.append(
                sentence, style="yellow" if "starves" in sentence or "queue" in sentence or "bottleneck" in sentence else ""
            )
        (self._live.console if self._live is not None else output.stdout()).print(line)

    def heard(self, event: dict[str, Any]) -> None:
        """Every event; shown only as JSON, since the story tells the ones that matter."""
        if self.as_json:
            output.put_json({"event": event})

    def show(self, pictures: list[str]) -> None:
        """The lines as they stand, below the story."""
        if self._live is not None:
            self._live.update(Text("\n".join(pictures), style="bold"), refresh=True)


def _verdict(findings: list[Any], teller: Teller, as_json: bool, end: str) -> None:
    whole = all(finding.holds for finding in findings)
    if as_json:
        checks = [{"claim": finding.claim, "holds": finding.holds, "detail": finding.detail} for finding in findings]
        output.put_json({"verdict": {"ok": whole, "checks": checks, "elapsed_s": round(teller.elapsed_s, 3)}})
        return
    output.say()
    for finding in findings:
        output.say(f"  {'ok  ' if finding.holds else 'FAIL'}  {finding.claim}", style="green" if finding.holds else "bold red")
        output.say(f"        {finding.detail}", style="dim")
    output.say()
    if whole:
        output.say(f"{end} ({teller.elapsed_s:.0f} s)", style="bold green")
    else:
        output.say("THE CHECK FAILED: see above.", style="bold red")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where everything of the demo lies; removed at the end unless it is to be kept."""
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TwinError(
                "unwritable-folder", f"cannot be made: {error.strerror}", place=str(keep), remedy="name another folder"
            ) from error
        yield Path(tempfile.mkdtemp(prefix="demo-", dir=keep))
        return
    folder = Path(tempfile.mkdtemp(prefix="twin-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _without_settings() -> Iterator[None]:
    """The user's TWIN_ variables belong to the user's application: a member id, for example, would be shared by both workers."""
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    try:
        yield
    finally:
        os.environ.update(before)


@contextlib.contextmanager
def _ends_in_order() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does, so that no child of it is left behind."""

    def stop(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a script: else it could not be ended
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
