"""Pictures as PNG files: rows of axes over one another, drawn without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import TwinError


def plotting() -> Any:
    """matplotlib's pyplot. Raises TwinError `no-plots` where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise TwinError("no-plots", "a picture needs matplotlib", remedy="install twin-app[plots]") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


@contextmanager
def picture(path: Path, rows: int) -> Iterator[list[Any]]:
    """So many axes to draw on; the file is written at the end. Raises TwinError `no-plots`, `unwritable-file`."""
    pyplot = plotting()
    figure, axes = pyplot.subplots(rows, 1, sharex=True, figsize=(9, 1.5 + 1.8 * rows), squeeze=False)
    try:
        yield list(axes[:, 0])
        figure.tight_layout()
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise TwinError("unwritable-file", (error.strerror or str(error)).lower(), place=str(path)) from error
    finally:
        pyplot.close(figure)
