"""What a page speaks of without running it: verbs and options, settings, make targets, compose services, files. Does it exist?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer
from ruamel.yaml import YAML

from tests.docs.pages import ROOT, SHELL, Page, anchors_of
from twin_app.cli.main import app
from twin_app.settings import NOT_SETTINGS, PREFIX, Settings, secret_of_file

FOLDERS = tuple(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
NOT_OURS = ("http://", "https://", "mailto:")

_SETTING = re.compile(r"\bTWIN_[A-Z0-9_]+\b")
_FILE = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]+")


def missing(page: Page) -> Iterator[str]:
    """A sentence for everything that the page names and that does not exist."""
    texts = [(line, span) for line, span in page.code_spans]
    # What is to fail may name what does not exist.
    texts += [(block.line, block.text) for block in page.blocks if block.language == SHELL and block.exit_code == 0]
    for line, text in texts:
        for fault in (*_verbs(text), *_targets(text), *_services(text), *_settings(text), *_files(text)):
            yield f"{page.name}:{line}: {fault}"
    yield from _links(page)


def _commands(text: str, program: str) -> Iterator[list[str]]:
    """The words that follow the program wherever it is called."""
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            words = line.split()
        while program in words:
            words = words[words.index(program) + 1 :]
            end = next((i for i, word in enumerate(words) if word in ("|", "&&", "||", ";", "&", ">", program)), len(words))
            yield words[:end]


def _verbs(text: str) -> Iterator[str]:
    for words in _commands(text, "twin"):
        if not words or words[0].startswith("TWIN") or not re.fullmatch(r"-{0,2}[a-z][a-z-]*", words[0]):
            continue  # the word itself, as in "the twin `Line_A`"
        known, options = _command(tuple(word for word in words if not word.startswith("-")))
        if not known and not words[0].startswith("-"):
            yield f"there is no `twin {words[0]}`"
        for word in words if known else ():
            option = word.partition("=")[0]
            if re.fullmatch(r"--[a-z][a-z-]*", option) and option not in options:
                yield f"`twin {words[0]}` has no option {option}"


@cache
def _twin() -> Any:
    return typer.main.get_command(app)


@cache
def _command(words: tuple[str, ...]) -> tuple[bool, frozenset[str]]:
    """Whether there is such a verb, and the options that it and those above it have."""
    command: Any = _twin()
    options = {"--help"}
    with command.make_context("twin", [], resilient_parsing=True) as context:
        for depth, word in enumerate(("", *words)):
            if depth:
                if not hasattr(command, "list_commands"):
                    break
                if word not in command.list_commands(context):
                    return False, frozenset(options)
                command = command.get_command(context, word)
            options |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return True, frozenset(options)


def _targets(text: str) -> Iterator[str]:
    known = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in _commands(text, "make"):
        for word in words:
            if re.fullmatch(r"[a-z][a-z-]*", word) and word not in known:
                yield f"there is no `make {word}`"


@cache
def _known_services() -> frozenset[str]:
    return frozenset(YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"])


def _services(text: str) -> Iterator[str]:
    known = _known_services()
    for words in _commands(text, "compose"):
        for word in words:
            name = re.fullmatch(r"([a-z][a-z-]*)=\d+", word)
            if name and name[1] not in known:
                yield f"docker-compose.yml has no service {name[1]}"
        after = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)] if words[:1] in (["logs"], ["exec"]) else []
        if after and after[0] not in known:
            yield f"docker-compose.yml has no service {after[0]}"


def _settings(text: str) -> Iterator[str]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in _SETTING.findall(text):
        if name not in known and not name.startswith(NOT_SETTINGS) and secret_of_file(name) is None:
            yield f"{name} is not a setting"


def _files(text: str) -> Iterator[str]:
    for name in _FILE.findall(text):
        found = list(ROOT.glob(name)) if "*" in name else [ROOT / name.rstrip(".")]
        if not any(path.exists() for path in found):
            yield f"there is no {name}"


def _links(page: Page) -> Iterator[str]:
    for line, href in page.links:
        if href.startswith(NOT_OURS):
            continue
        name, _, anchor = href.partition("#")
        target = (ROOT / page.name).parent / name if name else ROOT / page.name
        if not target.resolve().exists():
            yield f"{page.name}:{line}: the link leads nowhere: {href}"
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target.read_text(encoding="utf-8")):
            yield f"{page.name}:{line}: no such heading: {href}"
