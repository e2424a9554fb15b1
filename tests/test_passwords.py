"""Hashing: a bounded wait, faults of the library, limits after normalisation."""

from __future__ import annotations

import logging
import threading
import unicodedata
from contextlib import contextmanager

import pytest
from conftest import CHEAP, OTHER_PASSWORD, PASSWORD
from hypothesis import HealthCheck, given, settings, strategies as st
from passlib.context import CryptContext
from sqlalchemy import select, update

from authhost.cli.checks import problems
from authhost.errors import (
    AuthError,
    Busy,
    ConfigurationError,
    InvalidCredentials,
    RateLimited,
    Unavailable,
    WeakPassword,
)
from authhost.security.concurrency import ConcurrencyLimit
from authhost.settings import Settings
from authhost.store.models import User

ANN, BOB = "ann@example.org", "bob@example.org"
KEY = "k" * 20 + "0123456789abcdefghij"


@contextmanager
def occupied(turns):
    """All places are taken, until the block ends."""
    taken, leave = threading.Semaphore(0), threading.Event()

    def hold():
        with turns:
            taken.release()
            leave.wait()

    threads = [threading.Thread(target=hold) for _ in range(turns._free)]
    for each in threads:
        each.start()
    for _ in threads:
        taken.acquire()
    try:
        yield leave
    finally:
        leave.set()
        for each in threads:
            each.join()


def code_of(run, host, flow, *args, **values):
    try:
        run(host, flow, *args, **values)
    except AuthError as error:
        return error.code
    return "ok"


def store_hash(host, stored):
    with host.engine.begin() as connection:
        connection.execute(update(User).values(password=stored))


# The wait.


def test_three_hundred_open_logins_are_refused_within_the_wait(make_host, run):
    host = make_host(
        email_verification="none", max_concurrent_hashes=2, password_hash_wait=0.5, password_hash_queue=10
    )
    run(host, "signup", email=ANN, password=PASSWORD)
    answers = []
    with occupied(host.services.passwords._slots):
        threads = [
            threading.Thread(
                target=lambda k=k: answers.append(
                    code_of(run, host, "login", identifier=f"{k}@b.org", password=PASSWORD)
                )
            )
            for k in range(300)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        with pytest.raises(Busy) as caught:
            run(host, "login", identifier=ANN, password=PASSWORD)
    assert answers == ["busy"] * 300
    assert caught.value.fields == {"retry_after": 1}
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


@pytest.mark.parametrize(
    "flow", ["login", "reauthenticate", "change_password", "set_password", "signup", "reset_password"]
)
def test_a_busy_host_counts_and_stores_nothing(make_host, run, recorder, flow):
    host = make_host(
        email_verification="none", rate_limits=True, max_concurrent_hashes=1, password_hash_wait=0
    )
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "request_password_reset", email=ANN)
    if flow == "set_password":
        store_hash(host, None)
    values = {
        "login": {"identifier": ANN, "password": PASSWORD},
        "reauthenticate": {"password": PASSWORD},
        "change_password": {"current_password": PASSWORD, "new_password": OTHER_PASSWORD},
        "set_password": {"password": OTHER_PASSWORD},
        "signup": {"email": BOB, "password": PASSWORD},
        "reset_password": {"key": recorder.key(), "password": OTHER_PASSWORD},
    }[flow]
    with occupied(host.services.passwords._slots):
        assert {code_of(run, host, flow, token, **values) for _ in range(12)} == {"busy"}
    assert code_of(run, host, flow, token, **values) == "ok"


def test_what_is_limited_does_not_queue(make_host, run):
    host = make_host(rate_limits=True, max_concurrent_hashes=1, password_hash_wait=0)
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            run(host, "login", identifier=ANN, password="wrong")
    with occupied(host.services.passwords._slots), pytest.raises(RateLimited):
        run(host, "login", identifier=ANN, password="wrong")


def test_turns_come_in_order_and_the_queue_is_bounded():
    turns, order = ConcurrencyLimit(1, 60, 5), []

    def wait(k):
        with turns:
            order.append(k)

    threads = [threading.Thread(target=wait, args=(k,)) for k in range(5)]
    with turns:
        for k, each in enumerate(threads):
            each.start()
            while turns.waiting <= k:
                threading.Event().wait(0)
        with pytest.raises(Busy), occupied_by_nobody(turns):
            pass
    for each in threads:
        each.join()
    assert order == list(range(5))
    assert turns.waiting == 0


@contextmanager
def occupied_by_nobody(turns):
    """Enter from another thread, since this one has a turn; raise what that raises."""
    found = []

    def enter():
        try:
            with turns:
                pass
        except Busy as error:
            found.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    for error in found:
        raise error
    yield


def test_a_thread_with_a_turn_enters_again_and_all_turns_come_back():
    turns = ConcurrencyLimit(1, 0, 0)
    for _ in range(3):
        with turns, turns, pytest.raises(ZeroDivisionError), turns:
            raise ZeroDivisionError
        with occupied(turns), pytest.raises(Busy), turns:
            pass


@given(st.integers(1, 4), st.integers(0, 6), st.integers(1, 16))
@settings(max_examples=25, deadline=None)
def test_whoever_comes_and_gives_up_no_turn_is_lost(at_once, queue, threads):
    turns, inside, most = ConcurrencyLimit(at_once, 0.001, queue), [], []

    def enter():
        try:
            with turns:
                inside.append(1)
                most.append(len(inside))
                inside.pop()
        except Busy:
            pass

    workers = [threading.Thread(target=enter) for _ in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert max(most) <= at_once
    assert (turns._free, turns.waiting) == (at_once, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_concurrent_hashes": 0},
        {"password_hash_wait": -1},
        {"password_hash_wait": float("nan")},
        {"password_hash_wait": float("inf")},
        {"password_hash_queue": -1},
        {"password_max_length": 4097},
    ],
)
def test_settings_that_cannot_serve_are_named(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Settings(secret_key=KEY, **wrong)


# Faults of the library.


@pytest.fixture
def broken(monkeypatch):
    """Break bcrypt as its version 5 does for passlib 1.7.4, or as where it is not installed."""
    from passlib.exc import MissingBackendError
    from passlib.hash import bcrypt

    def breaks(error):
        def fails(*args, **kwargs):
            raise error

        for name in ("verify", "hash"):
            monkeypatch.setattr(bcrypt, name, fails)

    return {
        "value": lambda: breaks(ValueError("password cannot be longer than 72 bytes $2b$secret")),
        "type": lambda: breaks(TypeError("no $2b$secret")),
        "missing": lambda: breaks(MissingBackendError("bcrypt: no backends available")),
        "mend": monkeypatch.undo,
        "breaks": breaks,
    }


BCRYPT = CryptContext(["bcrypt"], bcrypt__rounds=4)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("kind", ["value", "type", "missing"])
def test_a_fault_of_the_library_is_no_wrong_password(make_host, run, broken, caplog, kind, before):
    stored = BCRYPT.hash(PASSWORD)
    if before:
        broken[kind]()
    host = make_host(email_verification="none", rate_limits={"login": "99/minute/ip"})
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    store_hash(host, stored)
    if not before:
        broken[kind]()
    for _ in range(12):
        assert code_of(run, host, "login", identifier=ANN, password=PASSWORD) == "unavailable"
    assert code_of(run, host, "reauthenticate", token, password=PASSWORD) == "unavailable"
    values = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert code_of(run, host, "change_password", token, **values) == "unavailable"
    # Who has such a hash does not stand out.
    assert code_of(run, host, "login", identifier=BOB, password=PASSWORD) == "unavailable"
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert any("fails for bcrypt" in each for each in said)
    assert "$2b$" not in caplog.text
    assert PASSWORD not in caplog.text
    broken["mend"]()
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated
    assert code_of(run, host, "login", identifier=BOB, password=PASSWORD) == "invalid_credentials"


def test_wrong_passwords_are_counted_while_a_scheme_fails(make_host, run, broken):
    """Else nobody counted the guesses at an account whose hash is in order."""
    host = make_host(email_verification="none", rate_limits={"login": "99/minute/ip"})
    run(host, "signup", email=ANN, password=PASSWORD)
    run(host, "signup", email=BOB, password=PASSWORD)
    with host.engine.begin() as connection:
        newest = connection.execute(select(User.id).order_by(User.id.desc()).limit(1)).scalar_one()
        connection.execute(update(User).where(User.id == newest).values(password=BCRYPT_HASH))
    broken["value"]()
    assert code_of(run, host, "login", identifier=BOB, password=PASSWORD) == "unavailable"
    for who in (ANN, "nobody@example.org"):
        codes = [code_of(run, host, "login", identifier=who, password="wrong") for _ in range(12)]
        assert codes[0] == "unavailable"
        assert codes[-1] == "rate_limited"
        assert set(codes) == {"unavailable", "rate_limited"}


def test_a_fault_of_the_first_scheme_is_no_crash_of_a_flow(make_host, run, monkeypatch, caplog):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)

    def fails(*args, **kwargs):
        raise RuntimeError("$argon2id$secret")

    monkeypatch.setattr(CryptContext, "hash", fails)
    monkeypatch.setattr(CryptContext, "verify_and_update", fails)
    assert code_of(run, host, "signup", email=BOB, password=PASSWORD) == "unavailable"
    for who in (ANN, BOB):
        assert code_of(run, host, "login", identifier=who, password=PASSWORD) == "unavailable"
    assert "$argon2" not in caplog.text
    monkeypatch.undo()
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_an_error_of_the_library_does_not_travel_with_the_refusal(make_host, broken):
    host = make_host()
    broken["value"]()
    with pytest.raises(Unavailable) as caught:
        host.services.passwords.verify(
            PASSWORD, "$2b$04$f9xYXhycK.PdIke.pz3rqOUbUq5DK3/TCC18rtznSMOz1QLWMKZ3C"
        )
    assert caught.value.__cause__ is caught.value.__context__ is None


UNREADABLE = [
    "!unusable",
    "x",
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$YQ",
    "$argon2id$garbage",
    "$2b$04$f9xYXhycK.PdIke.pz3rqO",
    "$2b$99$f9xYXhycK.PdIke.pz3rqOUbUq5DK3/TCC18rtznSMOz1QLWMKZ3C",
    "$pbkdf2-sha256$1$EQLAuHfu3fuf07q39n7vnQ",
    "pbkdf2_sha256$x$y$z",
    "sha1$salt$digest",
    "\u00e4",
]


@pytest.mark.parametrize("stored", UNREADABLE)
def test_a_hash_that_cannot_be_read_answers_like_an_unknown_account_and_is_logged(
    make_host, run, caplog, stored, monkeypatch
):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    store_hash(host, stored)
    spent = []
    for name in ("verify", "verify_and_update"):
        real = getattr(host.services.passwords._context, name)
        monkeypatch.setattr(
            host.services.passwords._context,
            name,
            lambda password, hashed, _real=real: spent.append(hashed) or _real(password, hashed),
        )
    assert code_of(run, host, "login", identifier=ANN, password=PASSWORD) == "invalid_credentials"
    assert host.services.passwords._dummy in spent
    assert code_of(run, host, "login", identifier=BOB, password=PASSWORD) == "invalid_credentials"
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(said) == 1
    assert "cannot be read" in said[0]
    assert stored not in said[0].split() or len(stored) < 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"password_hash_options": {"argon2__memory_cost": 1, "argon2__parallelism": 9}},
        {"password_hash_options": {"argon2__colour": "red"}},
        {"password_schemes": ("argon3",)},
        {"password_schemes": (), "password_hash_options": {}},
    ],
)
def test_a_scheme_that_cannot_hash_keeps_the_host_from_starting(make_host, wrong):
    with pytest.raises(ConfigurationError, match="password_schemes and password_hash_options"):
        make_host(**wrong)


# The check.


def found_by_check(host, word):
    return [each for each in problems(host) if word in each.problem]


def several_users(host, run, hashes):
    for k, stored in enumerate(hashes):
        run(host, "signup", email=f"user{k}@example.org", password=PASSWORD)
        with host.engine.begin() as connection:
            newest = connection.execute(select(User.id).order_by(User.id.desc()).limit(1)).scalar_one()
            connection.execute(update(User).where(User.id == newest).values(password=stored))


IMPORTED = "$argon2id$v=19$m=16,t=1,p=1$UEqpdY6R0rq3lhICIGTMeQ$B/sP3t46xAW9+cNnHo0gx7SsornFOiEmC2DqJH+jFIg"
BCRYPT_HASH = "$2b$04$f9xYXhycK.PdIke.pz3rqOUbUq5DK3/TCC18rtznSMOz1QLWMKZ3C"
DJANGO_HASH = "pbkdf2_sha256$1$crgpQjW3RBZj$s8ySK0UC3rrqN2YYvjEgoQ/815vtfDIPC9DpWktuK4U="


def test_the_check_says_what_imported_hashes_reveal(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    assert not found_by_check(host, "accounts have")
    several_users(host, run, [DJANGO_HASH, DJANGO_HASH, BCRYPT_HASH, IMPORTED, None])
    [said] = found_by_check(host, "accounts have")
    assert said.level == "warning"
    assert said.problem.startswith("4 accounts have an imported or former password hash")
    assert "(argon2 1, bcrypt 1, django_pbkdf2_sha256 2)" in said.problem
    assert run(host, "login", identifier=ANN, password=PASSWORD).authenticated


def test_the_check_counts_hashes_that_no_scheme_can_read(make_host, run):
    host = make_host(email_verification="none", password_schemes=("argon2", "bcrypt", "hex_sha256"))
    several_users(host, run, ["!unusable", "$2b$04$short", DJANGO_HASH, "0" * 64])
    [unreadable] = found_by_check(host, "no scheme in password_schemes can read")
    assert unreadable.problem.startswith("3 accounts")
    assert "(hex_sha256 1)" in found_by_check(host, "imported")[0].problem


@pytest.mark.parametrize("kind", ["value", "type"])
def test_the_check_names_a_scheme_that_fails(make_host, broken, kind):
    host = make_host()
    assert not found_by_check(host, "hash library")
    broken[kind]()
    [said] = found_by_check(host, "the hash library fails for bcrypt")
    assert said.level == "error"
    assert "bcrypt>=4,<5" in said.do
    assert "$2b$" not in said.problem


def test_the_check_names_a_library_that_is_missing_where_accounts_need_it(make_host, run, broken):
    broken["missing"]()
    host = make_host(email_verification="none")
    assert not [each for each in problems(host) if "bcrypt" in each.problem]
    several_users(host, run, [BCRYPT_HASH])
    [said] = found_by_check(host, "library is not installed")
    assert (said.level, said.do) == ("error", "pip install authhost[bcrypt]")


def test_the_check_does_without_a_database(tmp_path):
    from authhost import AuthHost

    url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    settings = Settings(secret_key=KEY, database_url=url, password_hash_options=CHEAP)
    with AuthHost(settings, discover=False, check_database=False) as host:
        assert not found_by_check(host, "accounts have")


# Limits after normalisation.


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=400),
    st.integers(1, 30),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_limit_holds_for_what_is_hashed(passwords, text, times):
    typed = text * times
    normal = unicodedata.normalize("NFKC", typed)
    fits = len(normal) <= 1024 and len(normal.encode()) <= 4096
    try:
        found = passwords.normalise(typed)
    except WeakPassword as error:
        assert not fits
        assert error.fields["reason"] == "too_long"
    else:
        assert fits
        assert found == normal
        assert passwords.normalise(found) == found


@pytest.fixture(scope="module")
def passwords():
    from authhost.security.passwords import Passwords

    return Passwords(Settings(secret_key=KEY, password_hash_options=CHEAP))


GROWS = "".join(chr(0xFB50 + k) for k in range(60)) + "\ufdfa" * 400
SHRUNK = "\u1f82"
"""One character, of four in its decomposed form: the longest there is."""


@pytest.mark.parametrize(
    "flow", ["signup", "login", "reauthenticate", "change_password", "set_password", "reset_password"]
)
@pytest.mark.parametrize(
    "password", [GROWS, "x" * 1025, "x" * 1_000_000, "\ufdfa" * 57], ids=["grows", "long", "huge", "edge"]
)
def test_a_password_that_grows_is_too_long_in_each_flow(make_host, run, recorder, flow, password):
    host = make_host(email_verification="none")
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "request_password_reset", email=ANN)
    if flow == "set_password":
        store_hash(host, None)
    values = {
        "signup": {"email": BOB, "password": password},
        "login": {"identifier": ANN, "password": password},
        "reauthenticate": {"password": password},
        "change_password": {"current_password": PASSWORD, "new_password": password},
        "set_password": {"password": password},
        "reset_password": {"key": recorder.key(), "password": password},
    }[flow]
    with pytest.raises(WeakPassword) as caught:
        run(host, flow, token, **values)
    assert caught.value.fields["reason"] == "too_long"


def test_a_password_of_the_longest_length_may_come_decomposed(make_host, run):
    host = make_host(email_verification="none")
    long = "".join(chr(0x1F80 + k % 48) for k in range(1024))
    typed = unicodedata.normalize("NFD", long)
    assert len(typed) > 2 * len(long)
    run(host, "signup", email=ANN, password=typed)
    assert run(host, "login", identifier=ANN, password=unicodedata.normalize("NFKC", typed)).authenticated


def test_four_thousand_bytes_are_hashed_and_no_more(make_host, run):
    host = make_host(email_verification="none", password_max_length=4096)
    longest = "".join(chr(0x4E00 + k) for k in range(1365)) + "a"
    assert len(longest.encode()) == 4096
    run(host, "signup", email=ANN, password=longest)
    assert run(host, "login", identifier=ANN, password=longest).authenticated
    with pytest.raises(WeakPassword):
        run(host, "signup", email=BOB, password=longest + "b")


def test_an_imported_hash_that_saw_72_bytes_is_replaced_by_one_of_the_whole(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD)
    long = "green teapots sing at dawn, \u00e9 " * 5
    store_hash(host, BCRYPT.hash(long))
    assert code_of(run, host, "login", identifier=ANN, password="x" * 100) == "invalid_credentials"
    assert run(host, "login", identifier=ANN, password=long).authenticated
    assert code_of(run, host, "login", identifier=ANN, password=long[:-2]) == "invalid_credentials"


def test_a_scheme_that_cuts_off_takes_no_longer_passwords(make_host, run):
    host = make_host(
        email_verification="none",
        password_schemes=("bcrypt", "argon2"),
        password_hash_options={**CHEAP, "bcrypt__rounds": 4},
    )
    long = "green teapots sing at dawn, and seven harbours are quiet in may; it is so."
    assert len(long) == 74
    with pytest.raises(WeakPassword) as caught:
        run(host, "signup", email=ANN, password=long)
    assert caught.value.fields["reason"] == "too_long"
    run(host, "signup", email=ANN, password=long[:72])
    assert run(host, "login", identifier=ANN, password=long[:72]).authenticated
