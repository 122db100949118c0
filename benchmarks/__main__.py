"""All figures, side by side with their peers: `python -m benchmarks [SUITE...] [--rounds N] [--quick]`; `make bench`.

Each suite runs all its contenders in turn, round by round; a figure is the median of the rounds' ratios. Results go to
benchmarks/results.json and, between two marks, to docs/PERFORMANCE.md. A full run takes about twenty minutes on two
cores: a suite that takes longer than its limit is cut off and keeps its earlier rows. Without Apache Kafka the suites that need a
broker end at once; `--embedded` tries them on the embedded one, and writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from benchmarks import egress, forecasts, growth, ingest, kernel, latency, recovery, report, shop, workers
from benchmarks.figures import Figure, row_of, save
from benchmarks.peers import desflow_python
from benchmarks.stage import Stage, stage
from models.errors import TwinError

Suite = Callable[[Any, int, bool], Awaitable[Sequence[Figure | dict[str, Any]]]]


async def _kernel(place: Stage | None, rounds: int, quick: bool) -> list[dict[str, Any]]:
    """The rows of `make bench-kernel`, in this run."""
    del place
    return kernel.rows(10_000, 1) if quick else kernel.rows(60_000, rounds)


SUITES: dict[str, Suite] = {
    "kernel": _kernel,
    "models": shop.measure,
    "forecasts": forecasts.measure,
    "recovery": recovery.measure,
    "ingest": ingest.measure,
    "egress": egress.measure,
    "latency": latency.measure,
    "workers": workers.measure,
    "growth": growth.measure,
}
"""In this order: growth comes last, since the scattered memory that it leaves behind is felt by those after it."""
WITHOUT_BROKER = ("kernel", "models", "growth", "recovery", "forecasts")
WITH_DESFLOW = frozenset({"kernel", "ingest", "egress"})
SUITE_LIMIT_S = 400.0
"""Of the suites with a broker; those that only compute cannot be cut off."""


async def _suite(name: str, rounds: int, quick: bool, place: Stage | None) -> Sequence[Figure | dict[str, Any]] | None:
    """The suite's figures or rows; None when it took too long."""
    try:
        async with asyncio.timeout(SUITE_LIMIT_S):
            return await SUITES[name](place, rounds, quick)
    except TimeoutError:
        return None


def main(
    suites: Annotated[list[str] | None, typer.Argument(help=f"Of: {', '.join(SUITES)}. All when absent.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Rounds; medians are shown.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, one round, nothing is written: does it all run?")] = False,
    embedded: Annotated[bool, typer.Option("--embedded", help="On the embedded broker; nothing is written.")] = False,
) -> None:
    """Measure, show, and keep the rows in results.json and docs/PERFORMANCE.md."""
    chosen = suites or list(SUITES)
    unknown = [name for name in chosen if name not in SUITES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no suite; there are {', '.join(SUITES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that brokers and workers are ended too
    with contextlib.ExitStack() as held:
        try:  # now, not when its turn comes
            if WITH_DESFLOW.intersection(chosen):
                desflow_python()
            place = None if set(chosen) <= set(WITHOUT_BROKER) else held.enter_context(stage(embedded_broker=embedded))
        except TwinError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        cut = 0
        for name in chosen:
            typer.echo(f"{name} …", err=True)
            figures = asyncio.run(_suite(name, 1 if quick else rounds, quick, place))
            if figures is None:
                cut += 1
                typer.echo(f"{name} took longer than {SUITE_LIMIT_S:.0f} s and was cut off: its earlier rows are kept", err=True)
                continue
            report.show([row_of(figure) for figure in figures])
            if not quick and not embedded:
                broker = None if place is None or name in WITHOUT_BROKER else place.broker_name
                report.write(save(figures, report.conditions(broker)))
    raise typer.Exit(1 if cut else 0)


if __name__ == "__main__":
    typer.run(main)
