"""A login with new terms, as a user and a program see it."""

from __future__ import annotations

import pytest
from authhost_terms import plugin

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

PAGE = "/terms/accept"
LOGIN = {"identifier": "ann@example.org", "password": PASSWORD}


@pytest.fixture
def authhost_plugins():
    return {"terms": plugin}


@pytest.fixture
def authhost_settings():
    return {"plugin_settings": {"terms": {"version": "2026-11", "url": "https://example.org/terms"}}}


@pytest.fixture
def ann(web_client):
    """Ann's browser after her signup: it waits for the terms."""
    response = web_client.post("/signup", email="ann@example.org", password=PASSWORD)
    assert response.headers["Location"] == f"/account{PAGE}"
    return web_client


def test_the_terms_come_before_the_session(ann):
    assert ann.api("/session", method="GET")[0] == 401
    page = ann.page(PAGE)
    assert page["title"] == "New terms"
    assert ann.post(PAGE, accept="on").headers["Location"] == "/account/"
    assert ann.api("/session", method="GET")[0] == 200


def test_they_are_accepted_once(ann):
    ann.post(PAGE, accept="on")
    again = WebClient(ann.web)
    assert again.post("/login", **LOGIN).headers["Location"] == "/account/"


def test_the_form_needs_the_checkbox(ann):
    assert ann.post(PAGE).status_code == 400
    assert ann.api("/session", method="GET")[0] == 401


def test_the_person_gets_to_the_wanted_page(ann):
    browser = WebClient(ann.web)
    waits = browser.post("/login", **LOGIN, next="/shop").headers["Location"]
    assert waits == f"/account{PAGE}?next=%2Fshop"
    form = browser.page(f"{PAGE}?next=%2Fshop")["forms"][0]
    assert browser.post(form["action"], accept="on").headers["Location"] == "/shop"


def test_a_program(ann):
    program = WebClient(ann.web)
    status, body = program.api("/login", LOGIN)
    assert (status, body["authenticated"]) == (202, False)
    assert body["next"][0] == {
        "step": "terms.accept",
        "path": "/account/api/terms/accept",
        "methods": ["accept"],
    }
    status, body = program.api(PAGE, {"accept": True})
    assert (status, body["user"]["email"]) == (200, "ann@example.org")


def test_nobody_else_gets_the_page(ann):
    ann.post(PAGE, accept="on")
    other = WebClient(ann.web)
    assert other.get(PAGE).headers["Location"] == "/account/login"
    assert other.api(PAGE, {"accept": True})[0] == 401
    assert ann.get(PAGE).headers["Location"] == "/account/"
    assert ann.api(PAGE, {"accept": True})[1]["code"] == "already_logged_in"
