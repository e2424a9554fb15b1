"""Pruning and erasure."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import click
import pytest
from authhost_audit import forwarding, retention
from authhost_audit.signing import Signer
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.verification import verify
from authhost_audit.violations import Note, Violation
from conftest import PASSWORD
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
from sqlalchemy import delete, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from audit.trail import ANN, first_record, records, run_login, seal_all, settings_of, tamper, violations
from authhost.errors import AuthError
from authhost.store.tables import users

TEXT = st.text(min_size=1, max_size=12)


def test_pruning_keeps_the_batches_valid(make, run, clock):
    host = make(audit={"keep_days": 10, "keep_security_days": 100})
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    clock.forward(days=11)
    # email_confirmation_sent, account_ready, user_logged_in
    assert sum(retention.prune(host, settings_of(host))) == 3
    assert sum(retention.prune(host, settings_of(host))) == 0
    seal_all(host)
    assert violations(host) == []
    assert [each["event"] for each in records(host)][1] == "user_signed_up"
    clock.forward(days=101)
    sum(retention.prune(host, settings_of(host)))
    seal_all(host)
    assert violations(host) == []
    left = {each["event"] for each in records(host)}
    assert left == {"audit_recording_on", "audit_sealed", "audit_pruned"}


def test_the_leaf_of_a_pruned_record_cannot_be_changed(make, run, clock):
    host = make(audit={"keep_days": 10, "keep_security_days": 100})
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    clock.forward(days=11)
    sum(retention.prune(host, settings_of(host)))
    gone = select(leaf_table.c.event_id).where(leaf_table.c.event_id.not_in(select(event_table.c.id)))
    with host.engine.connect() as connection:
        identifier = connection.execute(gone.limit(1)).scalar_one()
    tamper(host, update(leaf_table).where(leaf_table.c.event_id == identifier).values(personal=b"x" * 32))
    assert [each.record for each in violations(host)] == [identifier]


def test_a_pruning_does_not_authorize_the_removal_of_newer_records(trail, clock):
    clock.forward(days=400)
    run_login(trail)
    list(retention.prune(trail, settings_of(trail)))
    seal_all(trail)
    newest = [each for each in records(trail) if each["event"] == "user_logged_in"][-1]
    tamper(trail, delete(event_table).where(event_table.c.id == type(first_record(trail))(newest["id"])))
    assert [each.what for each in violations(trail)] == ["removed"]


def test_erasing_a_user_keeps_the_batches_valid(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    seal_all(trail)
    count = retention.erase_user(trail, settings_of(trail), user.id)
    assert count >= 4
    seal_all(trail)
    assert violations(trail) == []
    for record in records(trail, user_id=user.id):
        assert [record[name] for name in ("ip_address", "user_agent", "changes", "uid")] == [None] * 4
    other = [each for each in records(trail, event="user_signed_up") if each["user_id"] != str(user.id)]
    assert all(each["ip_address"] for each in other)


def forged_record(trail, event, **data):
    """Return the insertion of a record by the owner of the database, who imitates the plugin."""
    from authhost_audit.records import trail_row

    return insert(event_table).values(trail_row(trail.new_id(), trail.now, event, **data))


NOTHING = dict.fromkeys(("salt", "ip_address", "user_agent", "identifier", "uid", "changes"))


@pytest.mark.parametrize("signature", [{}, {"key_id": "x" * 16, "signature": "00" * 64}])
def test_unsigned_prunings_and_erasures_authorize_nothing(trail, signature):
    before = {str(kind): "9998-01-01T00:00:00+00:00" for kind in range(3)}
    tamper(trail, forged_record(trail, "audit_pruned", before=before, **signature))
    tamper(trail, forged_record(trail, "audit_forgotten", user_id="None", attempts=1, **signature))
    tamper(trail, forged_record(trail, "audit_forgotten", user_id="[" * 5000, **signature))
    seal_all(trail)
    tamper(trail, update(event_table).where(event_table.c.event == "user_signed_up").values(NOTHING))
    tamper(trail, delete(event_table).where(event_table.c.event == "user_logged_in"))
    assert {each.what for each in violations(trail)} == {"changed", "removed"}


def test_an_erasure_does_not_cover_later_records(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    retention.erase_user(trail, settings_of(trail), user.id)
    run_login(trail)
    seal_all(trail)
    assert violations(trail) == []
    newest = [each for each in records(trail) if each["event"] == "user_logged_in"][-1]
    later = event_table.c.id == type(user.id)(newest["id"])
    tamper(trail, update(event_table).where(later).values(NOTHING))
    assert [each.what for each in violations(trail)] == ["changed"]


def test_erasing_attempts_with_an_address(trail):
    for typed in (ANN, "somebody@example.org"):
        with pytest.raises(AuthError), trail.request(ip_address="192.0.2.9") as request:
            trail.account.login(request, identifier=typed, password="wrong")
    seal_all(trail)
    with trail.request() as request:
        user = request.host.account.login(request, identifier=ANN, password=PASSWORD).user
    retention.erase_user(trail, settings_of(trail), user.id, ANN)
    seal_all(trail)
    assert violations(trail) == []
    assert [each["ip_address"] for each in records(trail, event="flow_refused")] == [None, "192.0.2.9"]


def test_pruning_waits_for_the_receivers(make, run, clock):
    receiver = {"syslog": "tcp://127.0.0.1:9"}
    host = make(audit={"keep_days": 1, "keep_security_days": 1, **receiver})
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    clock.forward(days=3)
    assert sum(retention.prune(host, settings_of(host))) == 0

    class Sink:
        name = "syslog"

        def send(self, lines):
            pass

    list(forwarding.forward(host, settings_of(host), Sink()))
    # user_signed_up, email_confirmation_sent, account_ready, user_logged_in
    assert sum(retention.prune(host, settings_of(host))) == 4


def test_a_time_that_differs_from_the_identifier(trail):
    with trail.engine.connect() as connection:
        row = connection.execute(select(event_table).limit(1)).one()._asdict()
    early = row["time"] - timedelta(days=2000)
    tamper(trail, insert(event_table).values({**row, "id": trail.new_id(), "time": early}))
    seal_all(trail)
    assert [each.what for each in violations(trail)] == ["changed"]


def test_a_login_during_verification(trail):
    steps = verify(trail, settings_of(trail))
    next(steps)
    run_login(trail)
    assert not [each for each in steps if isinstance(each, Violation)]


def test_pruning_during_verification(make, run, clock):
    host = make(audit={"keep_days": 1, "keep_security_days": 1, "batch_size": 1})
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    clock.forward(days=3)
    steps = verify(host, settings_of(host))
    next(steps)
    list(retention.prune(host, settings_of(host)))
    assert not [each for each in steps if isinstance(each, Violation)]


def test_an_unauthorized_erasure_is_found(trail):
    record = first_record(trail)
    tamper(trail, update(event_table).where(event_table.c.id == record).values(NOTHING))
    [found] = violations(trail)
    assert (found.what, found.record) == ("changed", record)


def test_the_postgresql_trigger_refuses_changes(trail):
    if trail.engine.dialect.name != "postgresql":
        pytest.skip("the trigger is PostgreSQL's")
    statements = [
        *(delete(table) for table in (event_table, leaf_table, batch_table)),
        update(event_table).values(reason="x"),
        text("TRUNCATE authhost_audit_event"),
    ]
    for statement in statements:
        with pytest.raises(DBAPIError, match="only ever added to"), trail.engine.begin() as connection:
            connection.execute(statement)
    assert violations(trail) == []


def test_records_outlive_their_users(trail):
    before = len(records(trail))
    with trail.engine.begin() as connection:
        connection.execute(delete(users))
    assert len(records(trail)) == before
    assert not inspect(trail.engine).get_foreign_keys("authhost_audit_event")


def erase_ann(trail, *addresses):
    """Log Ann in, seal all records, and erase her personal fields. Returns her user."""
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    seal_all(trail)
    retention.erase_user(trail, settings_of(trail), user.id, *addresses)
    return user


def refuse_logins(trail, *identifiers):
    for typed in identifiers:
        with pytest.raises(AuthError), trail.request(ip_address="192.0.2.9") as request:
            trail.account.login(request, identifier=typed, password="wrong")


def test_an_erasure_covers_what_it_lists_and_nothing_else(trail):
    """The owner of the database erases attempts of other people after an authorized erasure."""
    refuse_logins(trail, "nobody@example.org", "somebody@example.org")
    erase_ann(trail, "nobody@example.org")
    seal_all(trail)
    assert violations(trail) == []
    other = records(trail, event="flow_refused")[1]
    identifier = type(first_record(trail))(other["id"])
    tamper(trail, update(event_table).where(event_table.c.id == identifier).values(NOTHING))
    assert [(each.what, each.record) for each in violations(trail)] == [("changed", identifier)]


@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chosen=st.sets(st.integers(0, 60), min_size=1))
def test_each_unauthorized_erasure_is_found(trail, chosen):
    if not records(trail, event="audit_forgotten"):
        refuse_logins(trail, "nobody@example.org", "somebody@example.org")
        erase_ann(trail, "nobody@example.org")
        seal_all(trail)
    with trail.engine.connect() as connection:
        rows = connection.execute(select(event_table).order_by(event_table.c.id)).all()
    mine = {row.id: row._asdict() for row in (rows[each % len(rows)] for each in chosen)}
    tamper(trail, update(event_table).where(event_table.c.id.in_(mine)).values(NOTHING))
    found = {each.record for each in violations(trail)}
    assert found == {each for each, row in mine.items() if row["salt"] is not None}
    for identifier, row in mine.items():
        tamper(trail, update(event_table).where(event_table.c.id == identifier).values(row))
    assert violations(trail) == []


def test_the_list_of_an_erasure_cannot_be_extended(trail):
    refuse_logins(trail, "somebody@example.org")
    erase_ann(trail)
    [record] = records(trail, event="audit_forgotten")
    [other] = records(trail, event="flow_refused")
    record["data"]["erased"].append(other["id"])
    changed = json.dumps(record["data"], sort_keys=True, separators=(",", ":"))
    tamper(trail, update(event_table).where(event_table.c.event == "audit_forgotten").values(data=changed))
    tamper(trail, update(event_table).where(event_table.c.event == "flow_refused").values(NOTHING))
    assert other["id"] in [str(each.record) for each in violations(trail)]


def test_a_long_erasure_is_several_records(trail, monkeypatch):
    monkeypatch.setattr(retention, "MAX_LISTED", 2)
    user = erase_ann(trail)
    seal_all(trail)
    listed = [each["data"]["erased"] for each in records(trail, event="audit_forgotten")]
    assert {len(each) for each in listed} <= {1, 2}
    assert {id for each in listed for id in each} == {each["id"] for each in records(trail, user_id=user.id)}
    assert violations(trail) == []


def test_an_erasure_by_an_early_version_is_valid_and_noted(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    refuse_logins(trail, "somebody@example.org")
    seal_all(trail)
    mine = event_table.c.user_id == user.id
    count = tamper(trail, update(event_table).where(mine).values(NOTHING))
    with trail.engine.begin() as connection:
        about = {"user_id": str(user.id), "records": count, "attempts": 1}
        retention._insert_record(connection, trail, "audit_forgotten", Signer(settings_of(trail)), **about)
    seal_all(trail)
    assert violations(trail) == []
    [note] = [each for each in verify(trail, settings_of(trail)) if isinstance(each, Note)]
    assert note.why.startswith("1 records of erasures were written by an early version")


def test_erasing_without_a_signing_key(make, run):
    host = make(audit={"signing_key": ""})
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    assert retention.erase_user(host, settings_of(host), user.id) == 4
    later = make()
    seal_all(later)
    assert violations(later) == []
    with pytest.raises(click.ClickException, match="signing_key"):
        retention.erase_user(host, settings_of(host), user.id)


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("ann@bücher.example", "ann@bücher.example"),
        ("ann@bücher.example", "Ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@bücher.example"),
        ("Straße", "STRASSE"),
        ("Straße", "Straße"),
        ("ｗｉｄｅ", "wide"),
        ("no @ address", "NO @ address"),
        ("J\u030cane@example.org", "J\u030cane@example.org"),
    ],
)
def test_an_address_is_erased_in_every_notation(trail, typed, named):
    refuse_logins(trail, typed, "somebody@example.org")
    erase_ann(trail, named)
    assert [each["ip_address"] for each in records(trail, event="flow_refused")] == [None, "192.0.2.9"]


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(typed=st.text(min_size=1, max_size=40) | st.emails() | st.builds("{}@{}.example".format, TEXT, TEXT))
def test_each_typed_identifier_can_be_erased(host, typed):
    """`forget` searches for the same digest that plugins get from the request."""
    with suppress(AuthError), host.request() as request:
        request.host.account.login(request, identifier=typed, password="wrong password")
    if request.identifier_digest is not None:
        assert request.identifier_digest in host.identifier_digests(typed)
        assert request.identifier_digest == host.identifier_digest(typed)


def test_attempts_under_a_former_secret_key_are_erased(make, run):
    old = make(secret_key="the former key " * 3)
    user = run(old, "signup", email=ANN, password=PASSWORD).user
    refuse_logins(old, "nobody@example.org")
    new = make(secret_key=("another key of today " * 2, "the former key " * 3))
    retention.erase_user(new, settings_of(new), user.id, "nobody@example.org")
    assert [each["ip_address"] for each in records(new, event="flow_refused")] == [None]


def test_a_pruning_does_not_authorize_the_removal_of_kept_records(make, run, clock):
    """The second login was not sealed when the trail was pruned."""
    host = make(audit={"keep_days": 1, "keep_security_days": 1})
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    run(host, "login", identifier=ANN, password=PASSWORD)
    clock.forward(days=3)
    assert sum(retention.prune(host, settings_of(host))) == 4
    seal_all(host)
    assert violations(host) == []
    left = records(host, event="user_logged_in")[0]["id"]
    tamper(host, delete(event_table).where(event_table.c.event == "user_logged_in"))
    assert [(each.what, str(each.record)) for each in violations(host)] == [("removed", left)]
