"""The recipes of providers.md."""

from __future__ import annotations

import json
import logging

import pytest

from cookbook.conftest import ANN, EVE, SECOND, of_user, signed_up, user_by


def test_adopt(serve, recorded_hooks):
    browser = serve("adopt")
    user = signed_up(browser).user
    recorded_hooks.clear()
    browser.social("connect", sub="ann", email=SECOND, email_verified=True)
    with browser.request() as request:
        assert request.user.email == SECOND
        assert request.user.email_verified
    assert user_by(browser, SECOND).id == user.id
    assert {"email_added", "email_changed"} <= set(recorded_hooks.names)


def test_adopt_leaves_the_addresses_of_others(serve, mailbox, caplog):
    caplog.set_level(logging.INFO, "authhost_adopt")
    browser = serve("adopt")
    other = signed_up(browser, EVE).user
    browser("confirm_email", key=mailbox.key())
    browser.forget()
    signed_up(browser)
    result = browser.social("connect", sub="ann", email=EVE, email_verified=True)
    assert result.account.id is not None
    assert user_by(browser, EVE).id == other.id
    assert "address not adopted: email_taken" in caplog.text


def test_adopt_leaves_unverified_addresses(serve):
    browser = serve("adopt")
    signed_up(browser)
    browser.social("connect", sub="ann", email=SECOND, email_verified=False)
    with browser.request() as request:
        assert [each.email for each in request.account(request.user.id).email_addresses] == [ANN]


def test_avatar(serve, server, module):
    browser = serve("avatar", servers=server.place)
    server.content["/ann.png"] = ("image/png", b"\x89PNG...")
    browser.social(sub="ann", email=ANN, email_verified=True, picture=f"{server.url}/ann.png")
    assert of_user(browser, module("avatar").picture_of) == b"\x89PNG..."
    with browser.request() as request:
        assert request.accounts.export(request.user.id)["plugins"]["avatar"] == {"picture": "iVBORy4uLg=="}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(module("avatar").pictures.select()).all() == []


@pytest.mark.parametrize(
    "content", [("text/html", b"<p>no picture"), ("image/png", b"x" * 1_000_001)], ids=["html", "large"]
)
def test_avatar_that_is_no_picture(serve, server, module, content):
    browser = serve("avatar", servers=server.place)
    server.content["/ann.png"] = content
    browser.social(sub="ann", email=ANN, email_verified=True, picture=f"{server.url}/ann.png")
    assert len(server.received) == 1
    assert of_user(browser, module("avatar").picture_of) is None


def test_avatar_of_another_server(serve, server, module):
    browser = serve("avatar", servers="pictures.example.org")
    browser.social(sub="ann", email=ANN, email_verified=True, picture=f"{server.url}/ann.png")
    assert server.received == []


def test_calendar(serve, module):
    calendar, browser = module("calendar"), serve("calendar", provider="corp")
    signed_up(browser)
    account = browser.social("connect", sub="ann").account
    first = of_user(browser, calendar.token_of)
    assert first
    browser.social(sub="ann")
    second = of_user(browser, calendar.token_of)
    assert second not in (None, first)
    with browser.request() as request:
        (row,) = request.db.execute(calendar.tokens.select())
        assert second not in row.sealed
    browser("social_disconnect", account_id=account.id)
    assert of_user(browser, calendar.token_of) is None


def test_calendar_after_the_form(serve, module):
    serve.host = {"store_social_tokens": True}
    calendar, browser = module("calendar"), serve("calendar", provider="corp")
    result = browser.social(sub="ann")
    browser("social_signup", signup_token=result.signup_token, email=ANN)
    assert of_user(browser, calendar.token_of)
    with browser.request() as request:
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(calendar.tokens.select()).all() == []


def test_repositories(serve, server, module):
    serve.host = {"store_social_tokens": True}
    browser = serve("repositories", url=f"{server.url}/{{provider}}/all")
    server.content["/corp/all"] = ("application/json", json.dumps([{"name": "b"}, {"name": "a"}]).encode())
    browser.social(sub="ann", email=ANN, email_verified=True)
    assert of_user(browser, module("repositories").repositories_of) == ["a", "b"]
    (call,) = server.received
    assert call.authorization.startswith("Bearer ")
    server.content["/corp/all"] = ("application/json", json.dumps([{"name": "c"}]).encode())
    browser.social(sub="ann", email=ANN, email_verified=True)
    assert of_user(browser, module("repositories").repositories_of) == ["c"]
    with browser.request() as request:
        exported = request.accounts.export(request.user.id)["plugins"]["repositories"]
        assert exported == {"repositories": ["c"]}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(module("repositories").repositories.select()).all() == []


def test_reward(serve, module):
    points_of, browser = module("reward").points_of, serve("reward")
    signed_up(browser)
    assert of_user(browser, points_of) == 0
    account = browser.social("connect", sub="ann").account
    assert [each.text for each in browser.last_answer.messages] == [
        "You get 10 points for your account at corp."
    ]
    browser("social_disconnect", account_id=account.id)
    browser.social("connect", sub="ann")
    assert browser.last_answer.messages == ()
    assert of_user(browser, points_of) == 10
    with browser.request() as request:
        assert request.accounts.export(request.user.id)["plugins"]["reward"] == {"points": 10}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(module("reward").rewards.select()).all() == []


def test_reward_at_signup(serve, module):
    browser = serve("reward")
    browser.social(sub="ann", email=ANN, email_verified=True)
    assert of_user(browser, module("reward").points_of) == 10
