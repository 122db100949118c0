"""The harness itself: what a page says and what does not happen must not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import parse
from tests.docs.stage import BlockFailed, Stage, first_missing


def run(text: str, folder: Path, warm: Path | None) -> None:
    stage = Stage(parse(text), folder, warm)
    try:
        stage.run()
    finally:
        stage.end()


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\n```",
        "```sh\nfalse | true\n```",
        "```sh exit=2\ntrue\n```",
        "```sh\necho one two\n```\n\n```text\none\n```",
        "```sh background\necho one\n```\n\n```text\ntwo\n```",
        "```python\nassert 1 == 2\n```",
        "```sh\ntwin check missing.yaml\n```",
        "<!-- kill: sleep -->\n",
    ],
)
def test_a_false_page_never_passes(text: str, tmp_path: Path, warm: Path | None) -> None:
    with pytest.raises(BlockFailed, match=r"^page:\d+: "):
        run(text, tmp_path, warm)


def test_a_true_page_passes_and_leaves_nothing_running(tmp_path: Path, warm: Path | None) -> None:
    text = """
```sh background
echo $$ > pid; twin --version; exec sleep 600
```
```text
twin …
```
```python file=own.py
VALUE = 42
```
```python
import own, sys
print(own.VALUE, "127.0.0.1:9092")
sys.exit(0)
```
```text
42 127.0.0.1:9092
```
"""
    run(text, tmp_path, warm)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_command_has_its_own_exit_code_folder_and_environment(tmp_path: Path, warm: Path | None) -> None:
    (tmp_path / "inner").mkdir()
    text = """
```sh
cd inner
echo 'import os, sys; print(os.getcwd().split("/")[-1], os.environ["NOTE"], sys.argv[1:]); sys.exit(3)' > it.py
NOTE=hello python it.py 'a b' || echo "ended with $?"
```
```text
inner hello ['a b']
ended with 3
```
"""
    run(text, tmp_path, warm)


@pytest.mark.parametrize(
    ("expected", "printed", "lacking"),
    [
        (["a", "c"], ["a", "b", "c"], None),
        (["c", "a"], ["a", "b", "c"], "a"),
        (["a … c"], ["a   b  c"], None),
        (["…c"], ["a b c"], None),
        (["b"], ["a b c"], "b"),
        (["(a.b)"], ["(axb)"], "(a.b)"),
        (["a", "…", "b"], ["a", "x", "b"], None),
        (["a", "a"], ["a"], "a"),
    ],
)
def test_lines_are_compared_whole_and_in_order(expected: list[str], printed: list[str], lacking: str | None) -> None:
    assert first_missing(expected, printed) == lacking
