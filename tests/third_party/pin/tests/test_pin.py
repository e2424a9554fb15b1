"""A login with a PIN, and how many wrong ones are accepted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from authhost_pin import attempts, plugin
from authhost_pin.tables import pin_table
from sqlalchemy import select

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

PAGE = "/pin/enter"
LOGIN = {"identifier": "ann@example.org", "password": PASSWORD}


@pytest.fixture
def authhost_plugins():
    return {"pin": plugin}


@pytest.fixture
def authhost_settings():
    return {"rate_limits": False}


@pytest.fixture
def waiting(web_client, mailbox):
    """Ann's browser, whose login waits for her PIN."""
    web_client.post("/signup", email="ann@example.org", password=PASSWORD)
    web_client.api("/confirm-email", {"key": mailbox.key()})
    assert web_client.post("/pin/choose", pin="246813").status_code == 303
    return log_in(web_client)


def log_in(client):
    browser = WebClient(client.web)
    assert browser.post("/login", **LOGIN).headers["Location"] == f"/account{PAGE}"
    return browser


def failures(client):
    with client.web.host.engine.connect() as connection:
        return connection.execute(select(pin_table.c.failures)).scalar_one()


def refusal(client, pin):
    return client.api(PAGE, {"pin": pin})[1].get("plugin_code")


def test_the_right_pin_logs_in_and_forgets_the_wrong_ones(waiting):
    assert [refusal(waiting, "1") for _ in range(3)] == ["wrong_pin"] * 3
    assert failures(waiting) == 3
    assert waiting.post(PAGE, pin="246813").headers["Location"] == "/account/"
    assert waiting.api("/session", method="GET")[0] == 200
    assert failures(waiting) == 0


def test_after_the_limit_the_right_pin_is_refused_in_every_browser(waiting, monkeypatch):
    monkeypatch.setattr(attempts, "LIMIT", 3)
    assert [refusal(waiting, "1") for _ in range(4)] == ["wrong_pin"] * 3 + ["too_many_tries"]
    assert refusal(log_in(waiting), "246813") == "too_many_tries", "a new login has no new attempts"
    with waiting.web.host.request() as request:
        user = request.user_by_email("ann@example.org")
        request.accounts.deactivate(user.id)
    with waiting.web.host.request() as request:
        request.accounts.reactivate(user.id)
    assert refusal(log_in(waiting), "246813") is None


def test_simultaneous_attempts_are_all_counted(waiting, monkeypatch):
    monkeypatch.setattr(attempts, "LIMIT", 10)
    browsers = [log_in(waiting) for _ in range(20)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda browser: refusal(browser, "1"), browsers))
    assert (found.count("wrong_pin"), found.count("too_many_tries")) == (10, 10)
