"""The page's files: nothing is fetched from elsewhere, and what is vendored is what it says it is."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from twin_app.web.page import page_files

STATIC = Path(__file__).parents[2] / "twin_app" / "web" / "static"
VENDORED = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def test_no_file_names_another_host() -> None:
    for name, file in page_files().items():
        if name.startswith("vendor/"):
            continue
        for address in re.findall(r"https?://[^\s\"'`)]+", file.body.decode()):
            assert address.startswith("http://www.w3.org/"), f"{name} names {address}"


def test_vendored_files_are_never_changed() -> None:
    assert (STATIC / "vendor" / "uplot" / "LICENSE").read_text().startswith("The MIT License")
    for name, digest in VENDORED.items():
        assert hashlib.sha256((STATIC / "vendor" / "uplot" / name).read_bytes()).hexdigest() == digest, name


def test_every_file_that_the_page_names_is_there() -> None:
    known = page_files()
    html = known["index.html"].body.decode()
    named = set(re.findall(r"/static/([^\"']+)", html))
    for name, file in known.items():
        if name.startswith("js/"):
            named |= {f"js/{module}" for module in re.findall(r"from \"\./([^\"]+)\"", file.body.decode())}
    assert named <= known.keys()
    assert {name for name in known if name.startswith("js/")} <= named, "a module that nobody loads"
