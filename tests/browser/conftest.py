"""A real site in a real browser: uvicorn, an SMTP server, an OpenID provider, and Debian's Chromium.

The browser finds every host name below ``.test`` on loopback, and no other host: the page of the provider
names a style sheet in the Internet.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="SKIPPED: run `pip install playwright`")
pytest.importorskip("uvicorn", reason="SKIPPED: run `pip install uvicorn`")
pytest.importorskip("fastapi", reason="SKIPPED: run `pip install fastapi`")
pytest.importorskip("authhost_email", reason="SKIPPED: run `pip install authhost-email`")

from browser.servers import Site, make_certificate, open_other_site, open_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RULES = "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
ARGUMENTS = ["--no-sandbox", f"--host-resolver-rules={RULES}"]
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TIMEOUT = 20_000
"""Milliseconds for one action of the browser."""


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    with open_site(tmp_path) as site:
        yield site


@pytest.fixture
def other_site() -> Iterator[Any]:
    """Another origin: ``other_site(html)`` returns the port of a server with this page."""
    with ExitStack() as servers:
        yield lambda html, **options: servers.enter_context(open_other_site(html, **options))


@pytest.fixture
def certificate(tmp_path) -> Any:
    """A certificate for teapots.test and its subdomains."""
    return make_certificate(tmp_path, "teapots.test", "*.teapots.test")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("SKIPPED: there is no chromium; `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    file = os.environ.get("AUTHHOST_AXE")
    if not file:
        pytest.skip("SKIPPED: AUTHHOST_AXE names no axe.min.js; `nox -s browser` fetches it by npm")
    return Path(file).read_text(encoding="utf-8")


@pytest.fixture
def new_page(chromium) -> Iterator[Any]:
    """Open a page of a new browser: ``new_page(base_url=…, java_script_enabled=False)``."""
    contexts = []

    def opened(**options: Any) -> Any:
        context = chromium.new_context(**options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(new_page, site) -> Any:
    """Open a page of a new browser, on the site."""
    return lambda **options: new_page(base_url=site.url, **options)


def heading(page: Any) -> str:
    """The heading of a page."""
    return str(page.inner_text("h1"))


def path(page: Any) -> str:
    """The path of a page, without its host and query."""
    return re.sub(r"^https?://[^/]+", "", page.url).partition("?")[0]


def agree(page: Any, sub: str) -> None:
    """Log in at the provider's own page."""
    page.wait_for_url("http://localhost:*/**")
    page.locator("input[name=sub]").fill(sub)
    page.locator("button").first.click()
    page.wait_for_url("**/account/**")


def violations(page: Any, axe: str) -> list[tuple[str, str, list[str]]]:
    """The rules of axe-core that a page breaks, with the elements."""
    page.evaluate(axe)
    found = page.evaluate(f"axe.run(document, {{runOnly: {AXE_RULES!r}}})")["violations"]
    return [(path(page), each["id"], [node["html"] for node in each["nodes"]]) for each in found]
