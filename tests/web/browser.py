"""A real headless Chromium (Debian's package), driven by Playwright; and axe-core from npm, pinned in tests/peers/axe."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

CHROMIUM = os.environ.get("TWIN_TEST_CHROMIUM", "/usr/bin/chromium")
PEER = Path(__file__).parents[1] / "peers" / "axe"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = (1360, 900)
PHONE = (360, 740)


def lacking(what: str) -> None:
    """Skip, or fail where everything is required."""
    if os.environ.get("TWIN_REQUIRE_REAL") == "1":
        pytest.fail(f"TWIN_REQUIRE_REAL=1, but there is no {what}", pytrace=False)
    pytest.skip(f"there is no {what}")


@asynccontextmanager
async def open_page(
    url: str, size: tuple[int, int] = DESKTOP, colours: str = "light", tolerated: str = "verbose"
) -> AsyncIterator[Page]:
    """The page at `url`. When it is closed, it has asked nobody else and said nothing on its console but what is tolerated."""
    if shutil.which(CHROMIUM) is None:
        lacking(f"Chromium at {CHROMIUM}")
    origin = "/".join(url.split("/")[:3])
    said: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            viewport: Any = {"width": size[0], "height": size[1]}
            page = await browser.new_page(viewport=viewport, color_scheme=colours, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_default_timeout(30_000)
            page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: said.append(f"error: {error}"))
            page.on("request", lambda request: None if request.url.startswith((origin, "data:")) else said.append(request.url))
            await page.goto(url)
            yield page
        finally:
            await browser.close()
    assert [line for line in said if tolerated not in line] == []


@functools.cache
def axe_script() -> str:
    """axe-core's source, fetched once by package name."""
    if shutil.which("npm") is None:
        lacking("npm for axe-core")
    home = PEER.parents[2] / ".run" / "axe-peer"
    script = home / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PEER / "package.json", home / "package.json")
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            lacking(f"axe-core: {done.stderr[-300:]}")
    return script.read_text(encoding="utf-8")


async def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA and its best practices: rule, element, why."""
    # Through the debugging interface, which the page's own security policy does not stop.
    await page.evaluate(axe_script())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    return [f"{v['id']}: {node['target']}: {node['failureSummary']}" for v in found for node in v["nodes"]]
