"""What leaves the trail by right: pruning and forgetting."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_audit import forwarding, keeping
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.verifying import Break, verify
from conftest import PASSWORD
from sqlalchemy import delete, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from audit.trail import ANN, breaks, first_record, records, run_login, sealed, settings_of, tamper
from authhost.errors import AuthError
from authhost.store.tables import users


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
