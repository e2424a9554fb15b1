"""A real site in a real browser: uvicorn, an SMTP server, an OpenID provider, and Debian's Chromium."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from authhost.testing import Clock, open_host
from authhost.testing.openid import LocalProvider

pytest.importorskip("playwright", reason="SKIPPED: run `pip install playwright`")
uvicorn = pytest.importorskip("uvicorn", reason="SKIPPED: run `pip install uvicorn`")
fastapi = pytest.importorskip("fastapi", reason="SKIPPED: run `pip install fastapi`")
pytest.importorskip("authhost_email", reason="SKIPPED: run `pip install authhost-email`")

from authhost.web.fastapi import RequiredUser, mount  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT = 20_000
"""Milliseconds for one action of the browser."""


class Site:
    """A served application, with its clock, its mails and its provider."""

    def __init__(self, url: str, host: Any, clock: Clock, mails: Any, provider: LocalProvider) -> None:
        self.url, self.host, self.clock, self.mails, self.provider = url, host, clock, mails, provider

    def link(self, to: str, page: str) -> str:
        """Wait for the mail to ``to``; return its link."""
        return f"{self.url}/account/{page}/{self.mails.key(to, page)}"


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    from authhost.cli.tour.smtp_server import SMTPServer

    mails, clock = SMTPServer(), Clock()
    with socket.create_server(("127.0.0.1", 0)) as listener, LocalProvider().start() as provider:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        providers = {name: {**values, "name": "Example Corp"} for name, values in provider.settings.items()}
        smtp = {"transport": "smtp", "smtp_host": "127.0.0.1", "smtp_port": mails.port, "delivery": "inline"}
        host = open_host(
            f"sqlite:///{tmp_path / 'site.sqlite3'}",
            {},
            clock=clock,
            discover=True,
            plugins=("email",),
            base_url=url,
            site_name="Teapots",
            providers=providers,
            email_verification="mandatory",
            login_on_email_confirmation=True,
            plugin_settings={"email": smtp},
        )
        app = fastapi.FastAPI()
        mount(app, host)

        @app.get("/me")
        def me(user: RequiredUser) -> dict[str, str | None]:
            return {"email": user.email}

        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        provider.set_user("bob", email="bob@example.org", email_verified=True, name="Bob Barker")
        yield Site(url, host, clock, mails, provider)
        server.should_exit = True
        thread.join(timeout=10)
        host.close()
        mails.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("SKIPPED: there is no chromium; `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, site) -> Iterator[Any]:
    """Open a page of a new browser: ``open_page(java_script_enabled=False)``."""
    contexts = []

    def opened(**options: Any) -> Any:
        context = chromium.new_context(base_url=site.url, **options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


def heading(page: Any) -> str:
    """The heading of a page."""
    return str(page.inner_text("h1"))


def path(page: Any) -> str:
    """The path of a page, without its host and query."""
    return re.sub(r"^https?://[^/]+", "", page.url).partition("?")[0]
