"""Clocks that were wrong: of a sealer, of a process that writes, of both."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_audit.plugin import AuditPlugin
from authhost_audit.records import of_trail
from authhost_audit.sealing import clock_warnings, made_at
from authhost_audit.tables import event_table, leaf_table
from authhost_audit.verifying import Break, Note, verify
from conftest import PASSWORD
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from audit.trail import ANN, BOB, SIGNING, breaks, copy, first_record, sealed, settings_of, tamper
from authhost.testing import Clock, Mailbox, open_host


@pytest.fixture
def elsewhere(database_url, clock):
    """Another process over the same database, whose clock is wrong by so much: ``elsewhere(hours=24)``."""
    hosts = []

    def elsewhere(**wrong):
        its = Clock(clock.now + timedelta(**wrong))
        host = open_host(
            database_url,
            {"audit": AuditPlugin(), "mailbox": Mailbox()},
            clock=its,
            plugin_settings={"audit": {"signing_key": SIGNING}},
        )
        hosts.append(host)
        return host

    yield elsewhere
    for host in hosts:
        host.close()


def notes(host):
    return [each.why for each in verify(host, settings_of(host)) if isinstance(each, Note)]


def left(host):
    """How many records are in no seal."""
    with host.engine.connect() as connection:
        return connection.execute(
            select(func.count())
            .select_from(event_table.outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id))
            .where(leaf_table.c.event_id.is_(None))
        ).scalar_one()


def test_a_sealer_that_was_a_day_ahead_passes_nothing_over(host, run, clock, elsewhere):
    run(host, "signup", email=ANN, password=PASSWORD)
    ahead = elsewhere(hours=24)
    [batch] = sealed(ahead)
    assert made_at(batch["through"]) <= clock.now
    clock.forward(seconds=10)
    run(host, "signup", email=BOB, password=PASSWORD)
    assert "clock of its sealer was ahead" in clock_warnings(host)[0]
    assert str(ahead.now)[:19] in clock_warnings(host)[0]
    assert len(sealed(host)) == 1
    assert (left(host), breaks(host)) == (0, [])
    [note] = notes(host)
    assert str(ahead.now)[:19] in note


def test_verify_names_a_sealer_that_was_ahead_before_the_next_seal(host, run, elsewhere):
    run(host, "signup", email=ANN, password=PASSWORD)
    ahead = elsewhere(hours=24)
    sealed(ahead)
    run(host, "signup", email=BOB, password=PASSWORD)
    assert breaks(host) == []
    [note] = notes(host)
    assert str(ahead.now)[:19] in note


def test_a_sealer_that_was_ahead_is_named_once_that_time_has_come(host, run, clock, elsewhere):
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(elsewhere(hours=24))
    clock.forward(hours=3)
    run(host, "signup", email=BOB, password=PASSWORD)
    clock.forward(hours=30)
    sealed(host)
    assert (left(host), breaks(host)) == (0, [])
    [note] = notes(host)
    assert "were not there when seal 1" in note


def test_a_machine_that_was_ahead_in_all_it_did(host, run, clock, elsewhere):
    """The application there wrote records of tomorrow, and the sealer there sealed them."""
    run(host, "signup", email=ANN, password=PASSWORD)
    ahead = elsewhere(hours=24)
    run(ahead, "login", identifier=ANN, password=PASSWORD)
    sealed(ahead)
    clock.forward(hours=3)
    run(host, "signup", email=BOB, password=PASSWORD)
    assert breaks(host) == []
    sealed(host)
    assert (left(host), breaks(host)) == (0, [])
    assert len(notes(host)) == 1


def test_a_process_whose_clock_is_set_right(host, run, clock):
    """Its identifiers follow, so that its records are of the time that they say."""
    clock.forward(hours=24)
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=-24)
    run(host, "signup", email=BOB, password=PASSWORD)
    sealed(host)
    assert (left(host), breaks(host)) == (0, [])


def test_a_sealer_whose_clock_was_behind(host, run, clock, elsewhere):
    run(host, "signup", email=ANN, password=PASSWORD)
    sealed(host)
    clock.forward(seconds=10)
    run(host, "signup", email=BOB, password=PASSWORD)
    behind = elsewhere(hours=-24)
    sealed(behind)
    clock.forward(seconds=10)
    run(host, "login", identifier=ANN, password=PASSWORD)
    sealed(host)
    assert (left(host), breaks(host)) == (0, [])
    [note] = notes(host)
    assert str(behind.now)[:19] in note


def test_records_that_are_passed_over_are_told(host, run, clock, elsewhere):
    """Those of a process whose clock is three hours behind."""
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=3)
    run(host, "login", identifier=ANN, password=PASSWORD)
    sealed(host)
    run(elsewhere(hours=-3), "login", identifier=ANN, password=PASSWORD)
    sealed(host)
    [warning] = clock_warnings(host)
    assert warning.startswith("1 records were passed over")
    assert [each.what for each in breaks(host)] == ["inserted"]


def test_an_insertion_in_a_quiet_time_is_told_once_it_is_sealed(host, run, clock):
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=10)
    sealed(host)
    with host.request() as request:
        new = request.new_id()
    early = type(new)(int=new.int - (5 * 3600 * 1000 << 80))
    row = {**copy(host, first_record(host, 1))._asdict(), "id": early, "time": made_at(early)}
    tamper(host, insert(event_table).values(row))
    sealed(host)
    [note] = notes(host)
    assert "they were written late" in note


def test_an_identifier_of_no_time_stops_nobody(host, run):
    """The largest identifier of all, put in by who owns the database."""
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        largest = type(request.new_id())(int=2**128 - 1)
    with host.engine.connect() as connection:
        row = connection.execute(select(event_table).limit(1)).one()._asdict()
    tamper(host, insert(event_table).values({**row, "id": largest}))
    sealed(host)
    assert [each.record for each in breaks(host)] == [largest]
    run(host, "signup", email=BOB, password=PASSWORD)
    sealed(host)
    assert left(host) == 0


def test_small_differences_of_clocks_are_no_news(host, run, clock, elsewhere):
    for wrong in (20, 0, -20):
        run(host, "login" if wrong < 20 else "signup", **who(wrong))
        sealed(elsewhere(seconds=wrong))
        clock.forward(seconds=1)
    assert (clock_warnings(host), notes(host), breaks(host), left(host)) == ([], [], [], 0)


def who(wrong):
    return {"email" if wrong == 20 else "identifier": ANN, "password": PASSWORD}


STEPS = st.lists(st.tuples(st.sampled_from([-48, -2, 0, 0, 0, 2, 48]), st.integers(0, 30)), max_size=8)


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_sealers_of_any_clock_pass_no_honest_record_over(host, clock, elsewhere, steps):
    """Whatever the clocks of the sealers, and whatever the time between them."""
    for wrong, pause in steps:
        with host.engine.begin() as connection:
            connection.execute(insert(event_table), of_trail(host.new_id(), host.now, "audit_exported"))
        sealed(elsewhere(hours=wrong))
        clock.forward(hours=pause)
    sealed(host)
    found = list(verify(host, settings_of(host)))
    assert [each for each in found if isinstance(each, Break)] == []
    assert left(host) == 0
