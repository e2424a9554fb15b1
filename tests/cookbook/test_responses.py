"""The recipes of responses.md."""

from __future__ import annotations

from authhost.testing import PASSWORD
from cookbook.conftest import ANN, signed_up


def texts(browser):
    return [each.text for each in browser.last_answer.messages]


def test_greeting(serve):
    browser = serve("greeting")
    signed_up(browser)
    assert browser.last_answer.location == "/welcome"
    assert texts(browser) == ["Please complete your profile.", f"You are logged in as {ANN}."]
    browser("logout")
    assert texts(browser) == ["You are logged out."]
    browser("login", identifier=ANN, password=PASSWORD)
    assert browser.last_answer.location is None


def test_language(serve):
    browser = serve("language")
    browser.language = "de-AT,de;q=0.9"
    signed_up(browser)
    (cookie,) = browser.last_answer.cookies
    assert (cookie.name, cookie.value) == ("language", "de")
    browser.language = "fr, en;q=0.5"
    browser("login", identifier=ANN, password=PASSWORD)
    (cookie,) = browser.last_answer.cookies
    assert cookie.value == "en"
    browser.language = None
    browser("login", identifier=ANN, password=PASSWORD)
    assert list(browser.last_answer.cookies) == []
