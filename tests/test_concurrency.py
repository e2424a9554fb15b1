"""Many at once: one wins, the others get a typed refusal, and nothing is half done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from sqlalchemy import func, select

from authhost.errors import AuthError
from authhost.store.models import EmailAddress, User
from authhost.store.tables import addresses

ANN, BOB, SHARED = "ann@example.org", "bob@example.org", "both@example.org"


def count(host, model, *where):
    with host.engine.connect() as connection:
        return connection.execute(
            select(func.count()).select_from(model.__table__).where(*where)
        ).scalar_one()


def at_once(actions):
    """Start all ``actions`` together; return a result or the code of the refusal for each."""
    barrier = Barrier(len(actions))

    def start(action):
        barrier.wait()
        try:
            return action()
        except AuthError as error:
            return error.code

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(start, actions))


@pytest.mark.parametrize("verification", ["optional", "mandatory"])
def test_200_signups_of_one_address(make_host, run, recorder, verification):
    host = make_host(email_verification=verification)
    results = at_once([lambda: run(host, "signup", email=ANN, password=PASSWORD)] * 200)
    if verification == "optional":
        assert count(host, User) == count(host, EmailAddress) == 1
        assert recorder.names.count("user_signed_up") == 1
        assert results.count("email_taken") == 199
        return
    # Nobody is told that the address is taken; one signup claims it.
    stored = [each.waits_for for each in results if each != "conflict"]
    assert stored
    assert set(stored) == {"email_verification"}
    assert count(host, User) == recorder.names.count("user_signed_up") == len(stored)
    with host.engine.connect() as connection:
        claims = connection.execute(select(addresses.c.claim_key).where(addresses.c.claim_key.is_not(None)))
        assert claims.scalars().all() == [ANN]


def test_200_signups_of_one_username(make_host, run):
    host = make_host(email_verification="none")
    results = at_once(
        [
            lambda i=i: run(host, "signup", email=f"user{i}@example.org", password=PASSWORD, username="ann")
            for i in range(200)
        ]
    )
    assert count(host, User) == count(host, EmailAddress) == 1
    assert results.count("username_taken") == 199


@pytest.mark.parametrize("_", range(10))
def test_two_users_confirm_one_address(make_host, run, recorder, _):
    host = make_host()
    tokens = [run(host, "signup", email=who, password=PASSWORD).session_token for who in (ANN, BOB)]
    keys = []
    for token in tokens:
        run(host, "add_email", token, email=SHARED)
        keys.append(recorder.key())
    results = at_once(
        [lambda t=t, k=k: run(host, "confirm_email", t, key=k) for t, k in zip(tokens, keys, strict=True)]
    )
    assert results.count("email_taken") == 1
    assert count(host, EmailAddress, EmailAddress.email == SHARED, EmailAddress.verified) == 1
    assert recorder.names.count("email_confirmed") == 1


def test_one_key_used_many_times_at_once(make_host, run, recorder):
    host = make_host()
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    key = recorder.key()
    results = at_once([lambda: run(host, "confirm_email", token, key=key)] * 20)
    assert results.count("invalid_key") == 19
    assert recorder.names.count("email_confirmed") == 1


def test_one_reset_key_used_many_times_at_once(make_host, run, recorder):
    host = make_host()
    run(host, "signup", email=ANN, password=PASSWORD)
    run(host, "request_password_reset", email=ANN)
    key = recorder.key()
    passwords = [f"{OTHER_PASSWORD} {i}" for i in range(20)]
    results = at_once([lambda p=p: run(host, "reset_password", key=key, password=p) for p in passwords])
    assert results.count(None) == 1
    winner = passwords[results.index(None)]
    assert run(host, "login", identifier=ANN, password=winner).authenticated


def test_one_address_added_many_times_at_once(make_host, run):
    host = make_host()
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    results = at_once([lambda: run(host, "add_email", token, email=SHARED)] * 20)
    assert results.count("email_already_added") == 19
    assert count(host, EmailAddress) == 2


def test_no_more_addresses_than_allowed_at_once(make_host, run):
    host = make_host(max_email_addresses=3)
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    at_once([lambda i=i: run(host, "add_email", token, email=f"a{i}@example.org") for i in range(20)])
    assert count(host, EmailAddress) == 3


def test_two_addresses_made_primary_at_once(make_host, run, recorder):
    host = make_host()
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    others = [f"a{i}@example.org" for i in range(8)]
    for each in others:
        run(host, "add_email", token, email=each)
        run(host, "confirm_email", token, key=recorder.key())
    recorder.calls.clear()
    results = at_once([lambda e=e: run(host, "make_primary", token, email=e) for e in others])
    assert count(host, EmailAddress, EmailAddress.primary_of.is_not(None)) == 1
    changes = [values for name, values in recorder.calls if name == "email_changed"]
    assert len(changes) == sum(not isinstance(each, str) for each in results) >= 1


def test_a_login_during_a_password_change(make_host, run):
    host = make_host()
    tokens = [run(host, "signup", email=ANN, password=PASSWORD).session_token]
    change = lambda: run(  # noqa: E731
        host, "change_password", tokens[0], current_password=PASSWORD, new_password=OTHER_PASSWORD
    )
    login = lambda: run(host, "login", identifier=ANN, password=PASSWORD)  # noqa: E731
    results = at_once([change, *[login] * 12])
    assert not isinstance(results[0], str)
    # No session that the old password opened outlives it.
    for each in results[1:]:
        if not isinstance(each, str):
            with host.request(session_token=each.session_token) as request:
                assert request.user is None


def test_any_two_flows_of_one_account_at_once(make_host, run, recorder):
    """Each ends in its result or in a refusal; no deadlock, no half of either."""
    host = make_host(max_email_addresses=4, login_on_password_reset=True)

    def actions(number):
        """An account with two more addresses and open keys, and every flow that changes it."""
        email, other, third = (f"{name}{number}@example.org" for name in ("ann", "other", "third"))
        token = run(host, "signup", email=email, password=PASSWORD).session_token
        key = recorder.key()
        run(host, "add_email", token, email=other)
        run(host, "confirm_email", token, key=recorder.key())
        run(host, "add_email", token, email=third)
        third_key = recorder.key()
        run(host, "request_password_reset", email=email)
        reset_key = recorder.key()
        flows = {
            "login": (None, {"identifier": email, "password": PASSWORD}),
            "logout": (token, {}),
            "reauthenticate": (token, {"password": PASSWORD}),
            "confirm_email": (token, {"key": key}),
            "send_confirmation": (token, {"email": third}),
            "add_email": (token, {"email": f"fourth{number}@example.org"}),
            "remove_email": (token, {"email": other}),
            "make_primary": (token, {"email": other}),
            "change_password": (token, {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}),
            "request_password_reset": (None, {"email": email}),
            "reset_password": (None, {"key": reset_key, "password": OTHER_PASSWORD + "!"}),
            "end_other_sessions": (token, {}),
            "deactivate": (token, {}),
        }
        found = [lambda f=f, t=t, v=v: run(host, f, t, **v) for f, (t, v) in flows.items()]
        return [*found, lambda: run(host, "confirm_email", token, key=third_key)]

    number = 0
    for first in range(len(actions("x"))):
        for second in range(first + 1):
            flows = actions(number)
            at_once([flows[first], flows[second]])
            number += 1
    flows = actions("all")
    at_once(flows * 2)
    orphans = EmailAddress.primary_of.is_not(None) & (EmailAddress.primary_of != EmailAddress.user_id)
    assert count(host, EmailAddress, orphans) == 0
    assert count(host, EmailAddress, EmailAddress.primary_of.is_not(None)) == count(host, User)


def test_a_deadlock_is_a_conflict(make_host, run):
    """A plugin locks the other's account: the database ends one login, which may be tried again."""
    both_hold = Barrier(2)
    locks = {}

    class Locks:
        @hookimpl
        def before_login(self, request, user):
            if user.id in locks:
                request.db.execute(select(User.id).where(User.id == locks[user.id]).with_for_update()).all()
                both_hold.wait()

    host = make_host({"locks": Locks()}, email_verification="none")
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    ann, bob = (run(host, "signup", email=who, password=PASSWORD).user.id for who in (ANN, BOB))
    locks.update({ann: bob, bob: ann})
    results = at_once([lambda w=w: run(host, "login", identifier=w, password=PASSWORD) for w in (ANN, BOB)])
    assert results.count("conflict") == 1
    locks.clear()
    for who in (ANN, BOB):
        assert run(host, "login", identifier=who, password=PASSWORD).authenticated
