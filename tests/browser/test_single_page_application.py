"""The application of docs/how-to/single-page-application.md, in a real browser."""

from __future__ import annotations

import re
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest
import uvicorn

from authhost import AuthHost, Settings
from authhost.testing import OTHER_PASSWORD, PASSWORD

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "single-page-application.md"
ANN, TYPO = "ann@example.org", "anm@example.org"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files of the page."""
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r'```\w+ title="([\w.]+)"\n(.*?)```', text, re.DOTALL)
    assert [name for name, _ in files] == ["authhost.toml", "spa.py", "index.html", "app.js"]
    for name, body in files:
        (tmp_path / name).write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def url(folder, monkeypatch):
    """The address of the running application."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://localhost:{listener.getsockname()[1]}"
    monkeypatch.setenv("AUTHHOST_BASE_URL", address)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", "k" * 48)
    monkeypatch.setenv("AUTHHOST_PLUGINS__EMAIL__DELIVERY", "inline")
    monkeypatch.syspath_prepend(folder)
    AuthHost(Settings.load("authhost.toml"), upgrade_database=True).close()
    sys.modules.pop("spa", None)
    server = uvicorn.Server(uvicorn.Config(import_module("spa").app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield address
    server.should_exit = True
    thread.join()
    listener.close()


def links(folder):
    """Return the links of all mails, the oldest first."""
    mails = sorted((folder / "mail").glob("*.eml"), key=lambda each: each.stat().st_mtime_ns)
    texts = [each.read_text(encoding="utf-8").replace("=\n", "") for each in mails]
    return [re.search(r"http://localhost:\d+/account/confirm-email/[\w-]+", text).group() for text in texts]


def sign_up(page, email, password=PASSWORD):
    page.fill("#signup [name=email]", email)
    page.fill("#signup [name=password]", password)
    page.click("#signup button")


def wait_for_sessions(page, count):
    page.wait_for_function(f"document.querySelectorAll('#sessions li').length === {count}")


def test_a_person(url, folder, chromium):
    context, elsewhere = chromium.new_context(), chromium.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(url)
    sign_up(page, TYPO, "short")
    page.get_by_text("The password must have at least 15 characters.").wait_for()
    assert page.evaluate("document.activeElement.name") == "password"
    sign_up(page, TYPO)
    page.locator("#waiting").wait_for()
    page.fill("#change [name=email]", ANN)
    page.click("#change button")
    page.wait_for_function("document.querySelector('#change [name=email]').value === ''")
    mails = context.new_page()
    mails.goto(links(folder)[-1])
    mails.click("main form button")
    page.click("#continue")
    page.get_by_text(f"Hello {ANN}!").wait_for()
    wait_for_sessions(page, 1)
    other = elsewhere.new_page()
    other.goto(url)
    other.fill("#login [name=identifier]", ANN)
    other.fill("#login [name=password]", OTHER_PASSWORD)
    other.click("#login button")
    other.get_by_text("The name or the password is not right.").wait_for()
    other.fill("#login [name=password]", PASSWORD)
    other.click("#login button")
    other.locator("#user").wait_for()
    wait_for_sessions(other, 2)
    other.click("#end-others")
    wait_for_sessions(other, 1)
    page.click("#logout")  # this session has ended
    page.locator("#visitor").wait_for()
    other.click("#logout")
    other.locator("#visitor").wait_for()
    assert errors == []
    context.close()
    elsewhere.close()
