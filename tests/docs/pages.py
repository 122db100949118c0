"""A page of the documents as its blocks: what is written to a file, what is run, what is to come out.

The language of the fences, after the name that editors colour by:

    ```yaml file=line.yaml       written to that file, before what follows is run (any language)
    ```sh                        run by bash; ends with 0, or with what `exit=2` says
    ```sh background             started, and ended with the page
    ```sh not-run reason="..."   cannot be run by the tests; what it names is checked all the same
    ```python                    run
    ```text                      lines that what was run before must have printed, in this order; … stands for anything
    ```                          a drawing

and of comments, which a reader does not see:

    <!-- runs with: worker -->             the page takes for granted that these run: broker, worker; or forecasts, in workers
    <!-- kill: twin worker -->             kill -9 of the background block that begins with this
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
NOT_FOR_RUNNING = ("docs/decisions/", "docs/reference/", "docs/FEATURES.md", "docs/PERFORMANCE.md")
"""Records of what was decided, and generated pages: their fences are examples of form."""

ATTRIBUTES = {"file", "exit", "background", "not-run", "reason"}
SHELL, PYTHON, OUTPUT = "sh", "python", "text"
LINKING = ("link_open", "image")
PREREQUISITES = ("broker", "worker", "forecasts")

_COMMENT = re.compile(r"<!--\s*(runs with|kill):\s*(.*?)\s*-->")


class BadPage(Exception):
    """A fence or comment that the harness does not understand: a block that nobody runs is a defect of the page."""


@dataclass(frozen=True)
class Block:
    """One fence. `line`: of its opening, from 1."""

    language: str
    text: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str | None:
        return self.attributes.get("file")

    @property
    def exit_code(self) -> int:
        return int(self.attributes.get("exit", "0"))


@dataclass(frozen=True)
class Kill:
    """A comment that asks for the end of a background block."""

    command: str
    line: int


@dataclass(frozen=True)
class Page:
    """`name`: its path from the root. `words`: what stands in `code spans` and links, with their lines."""

    name: str
    steps: tuple[Block | Kill, ...]
    runs_with: frozenset[str]
    code_spans: tuple[tuple[int, str], ...]
    links: tuple[tuple[int, str], ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(step for step in self.steps if isinstance(step, Block))

    @property
    def runs(self) -> bool:
        """Whether the harness has something to do."""
        return any(block.language in (SHELL, PYTHON) and "not-run" not in block.attributes for block in self.blocks)


def page_files() -> list[Path]:
    """README and every page under docs/, sorted."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if not str(path.relative_to(ROOT)).startswith(NOT_FOR_RUNNING)]


def read_page(path: Path) -> Page:
    return parse(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))


def parse(text: str, name: str = "page") -> Page:
    """Raises BadPage for a fence that nobody would run or compare."""
    tokens = _tokens(text)
    steps: list[Block | Kill] = []
    runs_with: set[str] = set()
    for token in tokens:
        line = (token.map or [0])[0] + 1
        if token.type == "fence":
            steps.append(_block(token, line, name))
        elif token.type == "code_block":
            raise BadPage(f"{name}:{line}: code without a fence is run by nobody")
        elif token.type == "html_block":
            for what, value in _COMMENT.findall(token.content):
                if what == "kill":
                    steps.append(Kill(value, line))
                else:
                    runs_with |= set(value.split())
    if not runs_with <= set(PREREQUISITES):
        raise BadPage(f"{name}: a page runs with some of {', '.join(PREREQUISITES)}, not {' '.join(sorted(runs_with))}")
    _check_order(steps, name)
    inline = [((token.map or [0])[0] + 1, child) for token in tokens for child in token.children or ()]
    spans = tuple((line, child.content) for line, child in inline if child.type == "code_inline")
    links = tuple((line, str(child.attrGet("href") or child.attrGet("src"))) for line, child in inline if child.type in LINKING)
    return Page(name, tuple(steps), frozenset(runs_with), spans, links)


def anchors_of(text: str) -> frozenset[str]:
    """The anchors that GitHub gives the headings of a page."""
    tokens = _tokens(text)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def _tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _block(token: Token, line: int, name: str) -> Block:
    language, *words = shlex.split(token.info) or [""]
    attributes = {key: value for key, _, value in (word.partition("=") for word in words)}
    strange = set(attributes) - ATTRIBUTES
    if strange:
        raise BadPage(f"{name}:{line}: a fence has no attribute {sorted(strange)[0]}")
    block = Block(language, token.content, line, attributes)
    if language not in (SHELL, PYTHON, OUTPUT, "") and block.file is None and "not-run" not in attributes:
        raise BadPage(f"{name}:{line}: a block of {language} needs file=, or not-run reason=")
    if "not-run" in attributes and not attributes.get("reason"):
        raise BadPage(f"{name}:{line}: not-run needs a reason")
    return block


def _check_order(steps: list[Block | Kill], name: str) -> None:
    """Every ```text follows something that was run."""
    for before, step in zip([None, *steps], steps, strict=False):
        if isinstance(step, Block) and step.language == OUTPUT and step.file is None:
            runs = isinstance(before, Block) and before.language in (SHELL, PYTHON) and before.file is None
            if not runs:
                raise BadPage(f"{name}:{step.line}: this output follows nothing that is run")
