"""The recipes of records.md."""

from __future__ import annotations

import logging

from authhost.testing import OTHER_PASSWORD, PASSWORD
from cookbook.conftest import ANN, signed_up


def test_loginlog(serve, module):
    browser = serve("loginlog")
    signed_up(browser)
    browser.forget()
    browser.ip_address = "203.0.113.7"
    browser("login", identifier=ANN, password=PASSWORD)
    logins = module("loginlog").logins
    with browser.request() as request:
        addresses = [row.ip_address for row in request.db.execute(logins.select().order_by(logins.c.id))]
        assert addresses == ["127.0.0.1", "203.0.113.7"]
        exported = request.accounts.export(request.user.id)["plugins"]["loginlog"]["logins"]
        assert {each["ip_address"] for each in exported} == set(addresses)
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(logins.select()).all() == []


def test_eventlog(serve, caplog):
    caplog.set_level(logging.INFO, "authhost_eventlog")
    browser = serve("eventlog")
    user = signed_up(browser).user
    browser("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
    lines = [record.getMessage() for record in caplog.records if record.name == "authhost_eventlog"]
    assert [line.partition(f": user {user.id}, ")[0] for line in lines] == [
        "signup",
        "login",
        "password changed",
    ]


def test_maptoken(serve, module, auth_clock):
    maptoken, browser = module("maptoken"), serve("maptoken")
    user = signed_up(browser).user
    with browser.request() as request:
        token = maptoken.token_of_session(request)
        assert maptoken.token_of_session(request) == token
        assert maptoken.user_of_token(request, token) == user.id
        assert maptoken.user_of_token(request, "guessed") is None
        (row,) = request.db.execute(maptoken.tokens.select())
        assert token not in str(row)
    browser("logout")
    with browser.request() as request:
        assert maptoken.token_of_session(request) is None
        assert maptoken.user_of_token(request, token) is None


def test_maptoken_ends_with_the_session_and_by_itself(serve, module, auth_clock):
    maptoken, browser = module("maptoken"), serve("maptoken")
    signed_up(browser)
    other = browser.token
    browser.forget()
    browser("login", identifier=ANN, password=PASSWORD)
    browser("end_other_sessions")
    assert other != browser.token
    with browser.request() as request:
        (row,) = request.db.execute(maptoken.tokens.select())
        assert row.session_id == request.session.id
        token = maptoken.token_of_session(request)
    auth_clock.forward(hours=13)
    with browser.request() as request:
        assert maptoken.user_of_token(request, token) is None
    browser.forget()
    browser("login", identifier=ANN, password=PASSWORD)
    with browser.request() as request:
        (row,) = request.db.execute(maptoken.tokens.select())
        assert row.session_id == request.session.id
