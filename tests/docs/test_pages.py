"""Every command and snippet of README and docs/ does what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, page_files, read_page
from tests.docs.stage import Stage

FILES = page_files()


@pytest.mark.parametrize("file", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_a_page_promises_nothing_that_does_not_happen(file: Path, tmp_path: Path, warm: Path | None) -> None:
    page = read_page(file)
    if not page.runs:
        return  # that it is understood, and that it links to something, is what can be asked of it
    stage = Stage(page, tmp_path, warm)
    try:
        stage.run()
    finally:
        stage.end()
