"""Who is an administrator: by the setting ``administrators``, or by a plugin."""

from __future__ import annotations

import pytest
from authhost_hookspecs import hookimpl
from conftest import PASSWORD
from sqlalchemy import update

from authhost.errors import ConfigurationError, Vetoed
from authhost.store.tables import users
from authhost.users.administrators import is_administrator

ANN = "ann@example.org"


class Answer:
    """Answers always the same, or raises it."""

    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def is_administrator(self, request, user):
        if isinstance(self.answer, Exception):
            raise self.answer
        request.db.execute(update(users).values(username="changed"))
        return self.answer


def account(host, run, email=ANN, *, verified=True):
    user = run(host, "signup", email=email, password=PASSWORD).user
    if verified:
        with host.request() as request:
            request.accounts.verify_email(user.id, email)
    return user


def ask(host, user):
    with host.request() as request:
        return is_administrator(request, request.account(user.id).user)


@pytest.mark.parametrize(
    ("listed", "email"),
    [(ANN, ANN), ("Ann@Example.ORG", ANN), ("ann@münchen.example", "ann@xn--mnchen-3ya.example")],
)
def test_a_listed_verified_primary_address_makes_an_administrator(make_host, run, listed, email):
    host = make_host(email_verification="none", administrators=[listed])
    assert ask(host, account(host, run, email)) is True
    assert ask(host, account(host, run, "bob@example.org")) is False


def test_an_address_that_is_not_verified_or_not_primary_does_not_count(make_host, run):
    host = make_host(email_verification="none", administrators=[ANN])
    user = account(host, run, "bob@example.org")
    with host.request() as request:
        request.accounts.add_email(user.id, ANN, verified=True)
    assert ask(host, user) is False
    assert ask(make_host(email_verification="none", administrators=["eve@example.org"]), user) is False
    eve = account(host, run, "eve@example.org", verified=False)
    assert ask(make_host(email_verification="none", administrators=["eve@example.org"]), eve) is False


def test_a_deactivated_account_is_no_administrator(make_host, run):
    host = make_host(plugins={"answer": Answer(True)}, email_verification="none", administrators=[ANN])
    user = account(host, run)
    with host.request() as request:
        request.accounts.deactivate(user.id)
    assert ask(host, user) is False


@pytest.mark.parametrize(("answer", "expected"), [(True, True), (False, False), (None, False)])
def test_a_plugin_answers_without_writing(make_host, run, answer, expected):
    host = make_host(plugins={"answer": Answer(answer)}, email_verification="none")
    user = account(host, run)
    assert ask(host, user) is expected
    assert host.account(user.id).user.username is None


@pytest.mark.parametrize("answer", ["no", 1, RuntimeError("broken")])
def test_a_failing_plugin_is_no_answer(make_host, run, answer):
    host = make_host(plugins={"answer": Answer(answer)}, email_verification="none")
    user = account(host, run)
    with pytest.raises(Vetoed) as raised:
        ask(host, user)
    assert raised.value.fields == {"plugin": "answer", "plugin_code": "plugin_failed"}


@pytest.mark.parametrize("address", ["ann", "ann@", "ann@a b", ""])
def test_an_administrator_needs_an_address(make_host, address):
    with pytest.raises(ConfigurationError, match=f"administrators has '{address}', which is not an e-mail"):
        make_host(administrators=[address])
