"""The records of an administrator's work in the account of a user."""

from __future__ import annotations

import pytest
from authhost_audit.commands.reading import _row
from authhost_hookspecs import Actor
from conftest import PASSWORD

from audit.trail import ANN, BOB, records
from authhost.errors import AccountInactive

ROOT, REASON = Actor("operator", name="root"), "Ticket 4711"


@pytest.fixture
def people(make, run):
    """A host, the login of an administrator, and that of a user."""
    host = make(email_verification="none", administrators=[BOB])
    bob, ann = (run(host, "signup", email=email, password=PASSWORD) for email in (BOB, ANN))
    with host.request() as request:
        request.accounts.verify_email(bob.user.id, BOB)
    return host, bob, ann


def begin(host, bob, ann):
    with host.request(session_token=bob.session_token, ip_address="192.0.2.9") as request:
        return request.accounts.impersonate(ann.user.id, reason=REASON)


def last(host, count):
    return records(host)[-count:]


def test_the_start_has_the_reason_and_what_was_not_asked(people):
    host, bob, ann = people
    begin(host, bob, ann)
    (started,) = last(host, 1)
    assert started["event"] == "impersonation_started"
    assert (started["actor_id"], started["user_id"]) == (str(bob.user.id), str(ann.user.id))
    assert (started["ip_address"], started["method"]) == ("192.0.2.9", "impersonation")
    assert f"actor {bob.user.id}" in _row(started)["details"]
    assert (started["data"]["reason"], started["data"]["not_asked"]) == (REASON, [])


def test_an_operator_is_named(people):
    host, _, ann = people
    host.users.impersonate(ann.user.id, actor=ROOT, reason=REASON)
    (started,) = last(host, 1)
    assert (started["actor_id"], started["data"]["actor"]) == (None, {"kind": "operator", "name": "root"})
    assert "actor operator root" in _row(started)["details"]


def test_a_refused_link_has_the_operator_and_the_user(people):
    host, _, ann = people
    url = host.users.impersonation_link(ann.user.id, actor=ROOT, reason=REASON)
    host.users.deactivate(ann.user.id, actor=ROOT)
    with host.request() as request, pytest.raises(AccountInactive):
        host.users.begin_impersonation(request, key=url.rpartition("/")[2])
    (refused,) = last(host, 1)
    assert (refused["event"], refused["reason"]) == ("flow_refused", "account_inactive")
    assert refused["user_id"] == str(ann.user.id)
    assert refused["data"]["actor"] == {"kind": "operator", "name": "root"}


def test_the_logout_of_the_administrator_records_the_end_at_once(people, run):
    host, bob, ann = people
    begin(host, bob, ann)
    run(host, "logout", bob.session_token)
    logged_out, ended, impersonation = last(host, 3)
    assert logged_out["event"] == "user_logged_out"
    assert (ended["event"], ended["reason"]) == ("session_ended", "administrator")
    assert (impersonation["event"], impersonation["reason"]) == ("impersonation_ended", "administrator")
    for each in (ended, impersonation):
        assert (each["actor_id"], each["user_id"]) == (str(bob.user.id), str(ann.user.id))
        assert each["data"]["session"] != each["session_ref"]


def test_who_ends_it_is_recorded_beside_the_administrator(people, run):
    host, bob, ann = people
    begin(host, bob, ann)
    run(host, "end_other_sessions", ann.session_token)
    ended, impersonation = last(host, 2)
    assert (ended["event"], ended["actor_id"]) == ("session_ended", str(ann.user.id))
    assert (impersonation["event"], impersonation["actor_id"]) == ("impersonation_ended", str(bob.user.id))


def test_one_that_expires_has_the_administrator_though_nobody_acts(people, clock):
    host, bob, ann = people
    begin(host, bob, ann)
    clock.forward(hours=2)
    host.delete_expired()
    (ended,) = last(host, 1)
    assert (ended["event"], ended["reason"]) == ("impersonation_ended", "expired")
    assert (ended["actor_id"], ended["user_id"]) == (str(bob.user.id), str(ann.user.id))
