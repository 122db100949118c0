"""`python -m tests.fuzz TARGET [--seconds N]`: coverage-guided fuzzing by atheris, bounded in time, memory and input.

atheris is no part of the locked packages, since it exists for some platforms only: `pip install 'atheris>=3'`.
What was found is written into `.run/fuzz/TARGET/`; run the target on such a file with `--file`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

MEMORY_MB_MAX = 2_048
INPUT_S_MAX = 20
INPUT_BYTES_MAX = 65_536


def main(
    target: Annotated[str, typer.Argument(help="command or checkpoint")],
    seconds: Annotated[int, typer.Option(min=1, max=86_400)] = 60,
    file: Annotated[Path | None, typer.Option(help="Run the target once, on what was found.")] = None,
) -> None:
    """Fuzz one decoder."""
    if file is not None:
        from tests.fuzz.targets import TARGETS

        TARGETS[target](file.read_bytes())
        return
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: .venv/bin/python -m pip install 'atheris>=3'")
    # What is to be guided by must be imported under its eyes; the rest would only slow it down.
    with atheris.instrument_imports(include=["models", "twin_app", "topics"]):
        from tests.fuzz.targets import TARGETS, seeds
    corpus = Path(".run/fuzz") / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-timeout={INPUT_S_MAX}",
        f"-max_len={INPUT_BYTES_MAX}",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", str(corpus)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    typer.run(main)
