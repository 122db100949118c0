"""Pictures as PNG files: rows of axes over one another, drawn without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import TwinError
from twin_app.cli.options import check_writable, unwritable


def plotting() -> Any:
    """matplotlib's pyplot. Raises TwinError `no-plots` where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise TwinError("no-plots", "a picture needs matplotlib", remedy="install twin-app[plots]") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def check_picture(path: Path) -> None:
    """Told before anything is computed for it. Raises TwinError `no-plots`, `unwritable-file`."""
    plotting()
    check_writable(path, "--png")


@contextmanager
def picture(path: Path, rows: int, *, shared: bool = True) -> Iterator[list[Any]]:
    """So many axes to draw on, with one range if it is `shared`; the file is written at the end.

    Raises TwinError `no-plots`, `unwritable-file`.
    """
    pyplot = plotting()
    figure, axes = pyplot.subplots(rows, 1, sharex=shared, figsize=(9, 1.5 + 1.8 * rows), squeeze=False)
    try:
        yield list(axes[:, 0])
        figure.tight_layout()
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise unwritable(path, error, "make room, or name another with --png") from error
    finally:
        pyplot.close(figure)
