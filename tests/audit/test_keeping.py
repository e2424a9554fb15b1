"""What leaves the trail by right: pruning and forgetting."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import click
import pytest
from authhost_audit import forwarding, keeping
from authhost_audit.signing import Signer
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.verifying import Break, Note, verify
from conftest import PASSWORD
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from audit.trail import ANN, breaks, first_record, records, run_login, sealed, settings_of, tamper
from authhost.errors import AuthError
from authhost.store.tables import users

TEXT = st.text(min_size=1, max_size=12)


def test_pruning_leaves_the_seals(make, run, clock):
    host = make(audit={"keep_days": 10, "keep_security_days": 100})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=11)
    # email_confirmation_sent, account_ready, user_logged_in
    assert sum(keeping.prune(host, settings_of(host))) == 3
    assert sum(keeping.prune(host, settings_of(host))) == 0
    sealed(host)
    assert breaks(host) == []
    assert [each["event"] for each in records(host)][1] == "user_signed_up"
    clock.forward(days=101)
    sum(keeping.prune(host, settings_of(host)))
    sealed(host)
    assert breaks(host) == []
    left = {each["event"] for each in records(host)}
    assert left == {"audit_recording_on", "audit_sealed", "audit_pruned"}


def test_what_stays_of_a_pruned_record_cannot_be_changed(make, run, clock):
    host = make(audit={"keep_days": 10, "keep_security_days": 100})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=11)
    sum(keeping.prune(host, settings_of(host)))
    gone = select(leaf_table.c.event_id).where(leaf_table.c.event_id.not_in(select(event_table.c.id)))
    with host.engine.connect() as connection:
        identifier = connection.execute(gone.limit(1)).scalar_one()
    tamper(host, update(leaf_table).where(leaf_table.c.event_id == identifier).values(personal=b"x" * 32))
    assert [each.record for each in breaks(host)] == [identifier]


def test_a_removal_is_not_excused_by_a_pruning_of_older_ones(trail, clock):
    clock.forward(days=400)
    run_login(trail)
    list(keeping.prune(trail, settings_of(trail)))
    sealed(trail)
    newest = [each for each in records(trail) if each["event"] == "user_logged_in"][-1]
    tamper(trail, delete(event_table).where(event_table.c.id == type(first_record(trail))(newest["id"])))
    assert [each.what for each in breaks(trail)] == ["removed"]


def test_forgetting_a_user_leaves_the_seals(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    sealed(trail)
    count = keeping.forget(trail, settings_of(trail), user.id)
    assert count >= 4
    sealed(trail)
    assert breaks(trail) == []
    for record in records(trail, user_id=user.id):
        assert [record[name] for name in ("ip_address", "user_agent", "changes", "uid")] == [None] * 4
    other = [each for each in records(trail, event="user_signed_up") if each["user_id"] != str(user.id)]
    assert all(each["ip_address"] for each in other)


def forged(trail, event, **data):
    """A record that the owner of the database has written, as if the plugin had."""
    from authhost_audit.records import of_trail

    return insert(event_table).values(of_trail(trail.new_id(), trail.now, event, **data))


NOTHING = dict.fromkeys(("salt", "ip_address", "user_agent", "identifier", "uid", "changes"))


@pytest.mark.parametrize("signature", [{}, {"key_id": "x" * 16, "signature": "00" * 64}])
def test_nobody_gives_himself_a_licence(trail, signature):
    before = {str(kind): "9998-01-01T00:00:00+00:00" for kind in range(3)}
    tamper(trail, forged(trail, "audit_pruned", before=before, **signature))
    tamper(trail, forged(trail, "audit_forgotten", user_id="None", attempts=1, **signature))
    tamper(trail, forged(trail, "audit_forgotten", user_id="[" * 5000, **signature))
    sealed(trail)
    tamper(trail, update(event_table).where(event_table.c.event == "user_signed_up").values(NOTHING))
    tamper(trail, delete(event_table).where(event_table.c.event == "user_logged_in"))
    assert {each.what for each in breaks(trail)} == {"changed", "removed"}


def test_forgetting_is_for_what_was_there(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    keeping.forget(trail, settings_of(trail), user.id)
    run_login(trail)
    sealed(trail)
    assert breaks(trail) == []
    newest = [each for each in records(trail) if each["event"] == "user_logged_in"][-1]
    later = event_table.c.id == type(user.id)(newest["id"])
    tamper(trail, update(event_table).where(later).values(NOTHING))
    assert [each.what for each in breaks(trail)] == ["changed"]


def test_forgetting_attempts_that_name_an_address(trail):
    for typed in (ANN, "somebody@example.org"):
        with pytest.raises(AuthError), trail.request(ip_address="192.0.2.9") as request:
            trail.account.login(request, identifier=typed, password="wrong")
    sealed(trail)
    with trail.request() as request:
        user = request.host.account.login(request, identifier=ANN, password=PASSWORD).user
    keeping.forget(trail, settings_of(trail), user.id, ANN)
    sealed(trail)
    assert breaks(trail) == []
    assert [each["ip_address"] for each in records(trail, event="flow_refused")] == [None, "192.0.2.9"]


def test_pruning_waits_for_the_receivers(make, run, clock):
    receiver = {"syslog": "tcp://127.0.0.1:9"}
    host = make(audit={"keep_days": 1, "keep_security_days": 1, **receiver})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=3)
    assert sum(keeping.prune(host, settings_of(host))) == 0

    class Sink:
        name = "syslog"

        def send(self, lines):
            pass

    list(forwarding.forward(host, settings_of(host), Sink()))
    # user_signed_up, email_confirmation_sent, account_ready, user_logged_in
    assert sum(keeping.prune(host, settings_of(host))) == 4


def test_a_time_that_is_not_that_of_the_identifier(trail):
    with trail.engine.connect() as connection:
        row = connection.execute(select(event_table).limit(1)).one()._asdict()
    early = row["time"] - timedelta(days=2000)
    tamper(trail, insert(event_table).values({**row, "id": trail.new_id(), "time": early}))
    sealed(trail)
    assert [each.what for each in breaks(trail)] == ["changed"]


def test_a_login_while_somebody_verifies(trail):
    steps = verify(trail, settings_of(trail))
    next(steps)
    run_login(trail)
    assert not [each for each in steps if isinstance(each, Break)]


def test_pruning_while_somebody_verifies(make, run, clock):
    host = make(audit={"keep_days": 1, "keep_security_days": 1, "batch_size": 1})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(days=3)
    steps = verify(host, settings_of(host))
    next(steps)
    list(keeping.prune(host, settings_of(host)))
    assert not [each for each in steps if isinstance(each, Break)]


def test_an_erasure_that_nobody_asked_for_is_found(trail):
    record = first_record(trail)
    tamper(trail, update(event_table).where(event_table.c.id == record).values(NOTHING))
    [found] = breaks(trail)
    assert (found.what, found.record) == ("changed", record)


def test_postgresql_lets_nobody_change_the_trail(trail):
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
    assert breaks(trail) == []


def test_records_outlive_their_users(trail):
    before = len(records(trail))
    with trail.engine.begin() as connection:
        connection.execute(delete(users))
    assert len(records(trail)) == before
    assert not inspect(trail.engine).get_foreign_keys("authhost_audit_event")


def forgotten(trail, *addresses):
    """Ann, who had an account, is forgotten; her records of before are sealed."""
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    sealed(trail)
    keeping.forget(trail, settings_of(trail), user.id, *addresses)
    return user


def refused(trail, *identifiers):
    for typed in identifiers:
        with pytest.raises(AuthError), trail.request(ip_address="192.0.2.9") as request:
            trail.account.login(request, identifier=typed, password="wrong")


def test_an_erasure_covers_what_it_lists_and_nothing_else(trail):
    """Whoever owns the database erases the attempts of others under cover of an honest erasure."""
    refused(trail, "nobody@example.org", "somebody@example.org")
    forgotten(trail, "nobody@example.org")
    sealed(trail)
    assert breaks(trail) == []
    other = records(trail, event="flow_refused")[1]
    identifier = type(first_record(trail))(other["id"])
    tamper(trail, update(event_table).where(event_table.c.id == identifier).values(NOTHING))
    assert [(each.what, each.record) for each in breaks(trail)] == [("changed", identifier)]


@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chosen=st.sets(st.integers(0, 60), min_size=1))
def test_each_record_that_is_erased_without_right_is_found(trail, chosen):
    if not records(trail, event="audit_forgotten"):
        refused(trail, "nobody@example.org", "somebody@example.org")
        forgotten(trail, "nobody@example.org")
        sealed(trail)
    with trail.engine.connect() as connection:
        rows = connection.execute(select(event_table).order_by(event_table.c.id)).all()
    mine = {row.id: row._asdict() for row in (rows[each % len(rows)] for each in chosen)}
    tamper(trail, update(event_table).where(event_table.c.id.in_(mine)).values(NOTHING))
    found = {each.record for each in breaks(trail)}
    assert found == {each for each, row in mine.items() if row["salt"] is not None}
    for identifier, row in mine.items():
        tamper(trail, update(event_table).where(event_table.c.id == identifier).values(row))
    assert breaks(trail) == []


def test_the_list_of_an_erasure_cannot_be_lengthened(trail):
    refused(trail, "somebody@example.org")
    forgotten(trail)
    [record] = records(trail, event="audit_forgotten")
    [other] = records(trail, event="flow_refused")
    record["data"]["erased"].append(other["id"])
    changed = json.dumps(record["data"], sort_keys=True, separators=(",", ":"))
    tamper(trail, update(event_table).where(event_table.c.event == "audit_forgotten").values(data=changed))
    tamper(trail, update(event_table).where(event_table.c.event == "flow_refused").values(NOTHING))
    assert other["id"] in [str(each.record) for each in breaks(trail)]


def test_a_long_erasure_is_several_records(trail, monkeypatch):
    monkeypatch.setattr(keeping, "LISTED", 2)
    user = forgotten(trail)
    sealed(trail)
    listed = [each["data"]["erased"] for each in records(trail, event="audit_forgotten")]
    assert {len(each) for each in listed} <= {1, 2}
    assert {id for each in listed for id in each} == {each["id"] for each in records(trail, user_id=user.id)}
    assert breaks(trail) == []


def test_an_erasure_of_the_former_form_holds_and_is_told(trail):
    with trail.request() as request:
        user = trail.account.login(request, identifier=ANN, password=PASSWORD).user
    refused(trail, "somebody@example.org")
    sealed(trail)
    mine = event_table.c.user_id == user.id
    count = tamper(trail, update(event_table).where(mine).values(NOTHING))
    with trail.engine.begin() as connection:
        about = {"user_id": str(user.id), "records": count, "attempts": 1}
        keeping._note(connection, trail, "audit_forgotten", Signer(settings_of(trail)), **about)
    sealed(trail)
    assert breaks(trail) == []
    [note] = [each for each in verify(trail, settings_of(trail)) if isinstance(each, Note)]
    assert note.why.startswith("1 records of an erasure have the former form")


def test_erasing_before_there_is_a_key(make, run):
    host = make(audit={"signing_key": ""})
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    assert keeping.forget(host, settings_of(host), user.id) == 4
    later = make()
    sealed(later)
    assert breaks(later) == []
    with pytest.raises(click.ClickException, match="signing_key"):
        keeping.forget(host, settings_of(host), user.id)


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
def test_an_address_is_forgotten_however_it_is_written(trail, typed, named):
    refused(trail, typed, "somebody@example.org")
    forgotten(trail, named)
    assert [each["ip_address"] for each in records(trail, event="flow_refused")] == [None, "192.0.2.9"]


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(typed=st.text(min_size=1, max_size=40) | st.emails() | st.builds("{}@{}.example".format, TEXT, TEXT))
def test_what_was_typed_is_forgotten_as_it_was_typed(host, typed):
    """The digest that the plugins saw is the one that `forget` looks for."""
    with suppress(AuthError), host.request() as request:
        request.host.account.login(request, identifier=typed, password="wrong password")
    if request.identifier_digest is not None:
        assert request.identifier_digest in host.identifier_digests(typed)
        assert request.identifier_digest == host.identifier_digest(typed)


def test_attempts_under_a_former_secret_key_are_forgotten(make, run):
    old = make(secret_key="the former key " * 3)
    user = run(old, "signup", email=ANN, password=PASSWORD).user
    refused(old, "nobody@example.org")
    new = make(secret_key=("another key of today " * 2, "the former key " * 3))
    keeping.forget(new, settings_of(new), user.id, "nobody@example.org")
    assert [each["ip_address"] for each in records(new, event="flow_refused")] == [None]


def test_a_pruning_covers_no_record_that_it_left(make, run, clock):
    """One that a receiver had not taken, and one that was not sealed."""
    host = make(audit={"keep_days": 1, "keep_security_days": 1})
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    run(host, "login", identifier=ANN, password=PASSWORD)
    clock.forward(days=3)
    assert sum(keeping.prune(host, settings_of(host))) == 4
    sealed(host)
    assert breaks(host) == []
    left = records(host, event="user_logged_in")[0]["id"]
    tamper(host, delete(event_table).where(event_table.c.event == "user_logged_in"))
    assert [(each.what, str(each.record)) for each in breaks(host)] == [("removed", left)]
