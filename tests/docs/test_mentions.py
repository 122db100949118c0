"""A page names no verb, option, setting, file or heading that does not exist; what cannot be run says why."""

from __future__ import annotations

import pytest

from tests.docs.mentions import missing
from tests.docs.pages import ROOT, BadPage, page_files, parse, read_page

CANNOT = {
    "docs/tutorial.md": 1,
    "docs/how-to/send-commands.md": 1,
    "README.md": 1,
    "docs/operations.md": 1,
    "docs/demos.md": 1,
}
"""How many blocks of a page the tests cannot run. A new one is entered here on purpose, never in passing."""


def test_a_page_names_nothing_that_does_not_exist() -> None:
    assert [fault for file in page_files() for fault in missing(read_page(file))] == []


def test_no_block_is_left_out_in_passing() -> None:
    found = {page.name: sum("not-run" in block.attributes for block in page.blocks) for page in map(read_page, page_files())}
    assert {name: count for name, count in found.items() if count} == CANNOT


def test_no_guide_is_missing_from_the_index() -> None:
    docs = ROOT / "docs"
    index = (docs / "README.md").read_text()
    pages = [path.relative_to(docs) for room in ("how-to", "explanation") for path in (docs / room).glob("*.md")]
    assert sorted(str(page) for page in pages if f"({page})" not in index) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Use `twin wroker`.", "no `twin wroker`"),
        ("Use `twin worker --partition 3`.", "no option --partition"),
        ("Set `TWIN_PARTITION`.", "TWIN_PARTITION is not a setting"),
        ("See `examples/lathe.yaml`.", "no examples/lathe.yaml"),
        ("See [it](tutorail.md).", "leads nowhere"),
        ("See [it](docs/tutorial.md#9-fly).", "no such heading"),
        ('```sh not-run reason="no Docker"\ndocker compose up --scale wroker=4\n```', "no service wroker"),
        ('```sh not-run reason="long"\nmake dmeo\n```', "no `make dmeo`"),
        ("```sh\ntwin send a.yaml \\\n  --wiat\n```", "no option --wiat"),
    ],
)
def test_a_name_that_is_wrong_is_noticed(text: str, fault: str) -> None:
    assert any(fault in found for found in missing(parse(text, "page.md")))


def test_what_exists_is_not_taken_for_a_fault() -> None:
    text = "`twin --debug send FILE --wait | head`, `TWIN_PARTITIONS`, `examples/*.yaml`, [map](ARCHITECTURE.md#the-rooms)"
    assert list(missing(parse(text, "page.md"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "```yaml\na: 1\n```",
        "```sh not-run\nmake demo\n```",
        "```sh exti=2\ntrue\n```",
        "```text\nwords\n```",
        "```yaml file=a.yaml\na: 1\n```\n\n```text\nwords\n```",
        "    twin check\n",
        "<!-- runs with: wroker -->\n",
    ],
)
def test_a_block_that_nobody_would_run_is_a_bad_page(text: str) -> None:
    with pytest.raises(BadPage):
        parse(text)
