"""The recipes of own-hooks.md."""

from __future__ import annotations

import logging

from cookbook.conftest import ANN, SECOND, signed_up, user_by


def test_campus(serve, recorded_hooks):
    browser = serve("campus", provider="corp")
    user = signed_up(browser).user
    browser.social("connect", sub="ann", email=SECOND, email_verified=True, student_number="4711")
    assert [each.text for each in browser.last_answer.messages] == ["Your campus account is connected."]
    assert user_by(browser, SECOND).id == user.id
    assert "email_added" in recorded_hooks.names


def test_campus_of_another_provider(serve):
    browser = serve("campus", provider="other")
    signed_up(browser)
    browser.social("connect", sub="ann", email=SECOND, email_verified=True, student_number="4711")
    assert user_by(browser, SECOND) is None


def test_librarycard(serve, caplog):
    caplog.set_level(logging.INFO, "authhost_librarycard")
    serve.others = ("librarycard",)
    browser = serve("campus", provider="corp")
    user = signed_up(browser, ANN).user
    browser.social("connect", sub="ann", student_number="4711")
    assert f"user {user.id} gets a library card" in caplog.text


def test_librarycard_alone(serve, caplog):
    caplog.set_level(logging.INFO, "authhost_librarycard")
    browser = serve("librarycard")
    user = signed_up(browser).user
    browser("deactivate")
    assert f"user {user.id} returns the library card" in caplog.text
