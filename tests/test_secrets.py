"""Passwords: how they are kept. Secrets: where they never are. Costs: the same for known and unknown."""

from __future__ import annotations

import logging

import pytest
from conftest import CHEAP, OTHER_PASSWORD, PASSWORD
from sqlalchemy import MetaData, event, select, update

from authhost.errors import AuthError, InvalidCredentials, WeakPassword
from authhost.store.models import User

ANN, BOB = "ann@example.org", "bob@example.org"


def password_of(host):
    with host.engine.connect() as connection:
        return connection.execute(select(User.password)).scalar_one()


def statements(host, action):
    """The statements of ``action``, without their values."""
    seen = []
    listener = lambda _, __, statement, *___: seen.append(statement)  # noqa: E731
    event.listen(host.engine, "before_cursor_execute", listener)
    event.listen(host.reader, "before_cursor_execute", listener)
    try:
        action()
    except AuthError as error:
        seen.append(error.code)
    finally:
        event.remove(host.engine, "before_cursor_execute", listener)
        event.remove(host.reader, "before_cursor_execute", listener)
    return seen


@pytest.fixture
def hashes(monkeypatch):
    """How often a password is hashed or compared, and with how many connections out of the pool."""
    found = []
    from authhost.security.passwords import Passwords

    for name in ("hash", "verify"):
        real = getattr(Passwords, name)

        def counted(self, *values, _name=name, _real=real):
            found.append(_name)
            return _real(self, *values)

        monkeypatch.setattr(Passwords, name, counted)
    return found


def test_a_wrong_password_and_an_unknown_account_cost_the_same(make_host, run, hashes):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    costs = []
    for who in (ANN, BOB):
        hashes.clear()
        seen = statements(host, lambda who=who: run(host, "login", identifier=who, password="wrong"))
        costs.append((seen, list(hashes)))
    assert costs[0] == costs[1]
    assert costs[0][1] == ["verify"]


def test_a_reset_costs_the_same_for_known_and_unknown(make_host, run):
    host = make_host()
    run(host, "signup", email=ANN, password=PASSWORD)
    known, unknown = (
        statements(host, lambda who=who: run(host, "request_password_reset", email=who)) for who in (ANN, BOB)
    )
    assert known == unknown


def test_a_taken_address_is_hashed_like_a_free_one(make_host, run, hashes):
    host = make_host(email_verification="mandatory")
    for _ in range(2):
        run(host, "signup", email=ANN, password=PASSWORD)
    assert hashes == ["hash", "hash"]


def test_no_connection_is_held_while_hashing(make_host, run, monkeypatch):
    host = make_host(email_verification="mandatory", login_on_password_reset=True)
    held = []
    for name in ("hash", "verify"):
        real = getattr(host.services.passwords, name)

        def watched(*values, _real=real):
            held.append(host.engine.pool.checkedout())
            return _real(*values)

        monkeypatch.setattr(host.services.passwords, name, watched)
    recorder = host.registry.records[0].plugin
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=recorder.key())
    token = run(host, "login", identifier=ANN, password=PASSWORD).session_token
    token = run(host, "reauthenticate", token, password=PASSWORD).session_token
    run(host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    run(host, "request_password_reset", email=ANN)
    run(host, "reset_password", key=recorder.key(), password=PASSWORD)
    assert held == [0] * 6


def test_no_secret_is_stored_logged_or_shown(make_host, run, recorder, caplog):
    caplog.set_level(logging.DEBUG)
    host = make_host(email_verification="mandatory", login_on_email_confirmation=True)
    secrets = [PASSWORD, OTHER_PASSWORD]
    shown = []

    def flow(name, token=None, **values):
        result = run(host, name, token, **values)
        for holder in (result, getattr(result, "login", None)):
            if getattr(holder, "session_token", None):
                secrets.append(holder.session_token)
        shown.append(repr(result))
        return result

    first = flow("signup", email=ANN, password=PASSWORD).session_token
    token = flow("confirm_email", first, key=recorder.key()).login.session_token
    with host.request(session_token=token) as request:
        shown.append(repr((request.user, request.session, request.authentication)))
        with pytest.raises(AuthError) as refused:
            host.account.login(request, identifier=ANN, password="not-the-password")
        shown.append(repr((refused.value, refused.value.fields)))
    token = flow(
        "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD
    ).session_token
    flow("request_password_reset", email=ANN)
    with pytest.raises(WeakPassword) as weak:
        flow("reset_password", key=recorder.key(), password="short-password")
    shown.append(repr((weak.value, weak.value.fields)))
    secrets += ["not-the-password", "short-password", *(each.key for each in recorder.messages if each.key)]
    shown += [repr(recorder.messages), repr(recorder.calls), repr(host.settings)]

    metadata = MetaData()
    metadata.reflect(host.engine)
    with host.engine.connect() as connection:
        stored = repr([connection.execute(select(table)).all() for table in metadata.sorted_tables])
    assert len(secrets) >= 8
    for secret in secrets:
        assert secret not in stored
        assert secret not in caplog.text
        assert all(secret not in each for each in shown)


@pytest.mark.parametrize("scheme", ["pbkdf2_sha256", "django_pbkdf2_sha256", "bcrypt"])
def test_a_login_moves_an_older_hash_to_the_present_scheme(make_host, run, scheme):
    from passlib.context import CryptContext

    if scheme == "bcrypt":
        pytest.importorskip("bcrypt")
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    older = CryptContext([scheme], **({f"{scheme}__rounds": 4 if scheme == "bcrypt" else 1})).hash(PASSWORD)
    with host.engine.begin() as connection:
        connection.execute(update(User).values(password=older))
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated
    moved = password_of(host)
    assert moved.startswith("$argon2id$")
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated
    assert password_of(host) == moved


def test_a_login_moves_a_hash_to_new_parameters(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    dearer = make_host(email_verification="none", password_hash_options={**CHEAP, "argon2__memory_cost": 64})
    run(dearer, "login", identifier=ANN, password=PASSWORD)
    assert "m=64," in password_of(host)


def test_a_hash_that_cannot_be_read_is_a_wrong_password(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.engine.begin() as connection:
        connection.execute(update(User).values(password="!unusable"))
    with pytest.raises(AuthError) as caught:
        run(host, "login", identifier=ANN, password=PASSWORD)
    assert caught.value.code == "invalid_credentials"


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "a" * 40,
        "abcdefghijklmnopqrs",
        "qwertyuiopasdfghjkl",
        "9876543210987654",
        "passwordpassword1",
        "Password1234567890!",
        "iloveyou iloveyou iloveyou",
        "hunter2hunter2hunter2",
        "ann@example.org1",
        "Example.org-Example.org",
        "Teapots & Co 123456",
        "mannheim-2026-2026",
        "Password1Password2",
        "hunter1hunter2hunter3",
        "1q2w3e4r5t6y7u8i",
        "0123456789abcdef",
        "qwertyuiop1234567890",
        "abcdefgh87654321",
        "mannheim1mannheim2",
        "x" * 1025,
    ],
)
def test_weak_passwords_are_refused_with_a_reason(make_host, run, password):
    host = make_host(site_name="Teapots & Co")
    with pytest.raises(WeakPassword) as caught:
        run(host, "signup", email=ANN, password=password, username="mannheim")
    assert caught.value.fields["reason"] in ("too_short", "too_long", "too_common")


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "correct horse battery staple",
        "x7#kPq9!mZ2$vLw4x",
        "naïve café au lait 7",
        "7294 8305 6619 2750 38",
        "abcdef is how it begins",
        "4f9a1c77e0b2d83a56",
        "密碼應該很長而且不容易被別人猜到才好",
    ],
)
def test_good_passwords_are_taken_whole(make_host, run, password):
    host = make_host(email_verification="none")
    long = (password + " 0123456789 abc") * 20
    run(host, "signup", email=ANN, password=long)
    run(host, "signup", email=BOB, password=password)
    assert run(host, "login", identifier=BOB, password=password).authenticated
    with pytest.raises(AuthError):
        run(host, "login", identifier=ANN, password=long[:-1])


def test_a_password_is_the_same_in_each_unicode_form(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password="cafe\u0301 au lait, deux fois")
    assert run(host, "login", identifier=ANN, password="caf\u00e9 au lait, deux fois").authenticated


def test_plugins_see_who_was_meant_as_a_keyed_hash_alone(make_host, run, recorder):
    """People type passwords into that box."""
    host = make_host()
    for typed in (PASSWORD, PASSWORD.upper(), "ann@example.org"):
        with pytest.raises(InvalidCredentials):
            run(host, "login", identifier=typed, password=PASSWORD)
    one, same, other = (arguments["request"].identifier_digest for _, arguments in recorder.calls)
    assert one == same != other
    assert len(one) == 64
    assert other == host.identifier_digest("ann@example.org")
    assert other != host.keyed_hash("ann@example.org")  # else who types what a plugin hashes has its hash
    with make_host(secret_key="j" * 48).request() as request:
        request.set_identifier(PASSWORD)
        assert request.identifier_digest != one
