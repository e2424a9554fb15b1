"""Wrong clocks: of a sealer, of the application, or of both."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_audit.clocks import clock_warnings
from authhost_audit.plugin import AuditPlugin
from authhost_audit.records import trail_row
from authhost_audit.tables import event_table, leaf_table
from authhost_audit.uuid7 import time_of
from authhost_audit.verification import verify
from authhost_audit.violations import Note, Violation
from conftest import PASSWORD
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
from sqlalchemy import func, insert, select

from audit.trail import ANN, BOB, SIGNING, copy, first_record, seal_all, settings_of, tamper, violations
from authhost.testing import Clock, Mailbox, open_host


@pytest.fixture
def other_host(database_url, clock):
    """Open another host on the same database with a wrong clock, such as ``other_host(hours=24)``."""
    hosts = []

    def other_host(**wrong):
        its = Clock(clock.now + timedelta(**wrong))
        host = open_host(
            database_url,
            {"audit": AuditPlugin(), "mailbox": Mailbox()},
            clock=its,
            plugin_settings={"audit": {"signing_key": SIGNING}},
        )
        hosts.append(host)
        return host

    yield other_host
    for host in hosts:
        host.close()


def notes(host):
    return [each.why for each in verify(host, settings_of(host)) if isinstance(each, Note)]


def count_unsealed(host):
    """Return the number of records that are in no batch."""
    with host.engine.connect() as connection:
        return connection.execute(
            select(func.count())
            .select_from(event_table.outerjoin(leaf_table, leaf_table.c.event_id == event_table.c.id))
            .where(leaf_table.c.event_id.is_(None))
        ).scalar_one()


def test_a_sealer_a_day_ahead_skips_no_record(host, run, clock, other_host):
    run(host, "signup", email=ANN, password=PASSWORD)
    ahead = other_host(hours=24)
    [batch] = seal_all(ahead)
    assert time_of(batch["through"]) <= clock.now
    clock.forward(seconds=10)
    run(host, "signup", email=BOB, password=PASSWORD)
    assert "clock of its sealer was ahead" in clock_warnings(host)[0]
    assert f"{ahead.now:%Y-%m-%dT%H:%M:%SZ}" in clock_warnings(host)[0]
    assert len(seal_all(host)) == 1
    assert (count_unsealed(host), violations(host)) == (0, [])
    [note] = notes(host)
    assert f"{ahead.now:%Y-%m-%dT%H:%M:%SZ}" in note


def test_verify_reports_a_batch_from_the_future(host, run, other_host):
    run(host, "signup", email=ANN, password=PASSWORD)
    ahead = other_host(hours=24)
    seal_all(ahead)
    run(host, "signup", email=BOB, password=PASSWORD)
    assert violations(host) == []
    [note] = notes(host)
    assert f"{ahead.now:%Y-%m-%dT%H:%M:%SZ}" in note


def test_verify_reports_a_sealer_that_was_ahead_later(host, run, clock, other_host):
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(other_host(hours=24))
    clock.forward(hours=3)
    run(host, "signup", email=BOB, password=PASSWORD)
    clock.forward(hours=30)
    seal_all(host)
    assert (count_unsealed(host), violations(host)) == (0, [])
    [note] = notes(host)
    assert "did not exist when batch 1 was sealed" in note


def test_application_and_sealer_both_ahead(host, run, clock, other_host):
    """The application on that machine wrote records of tomorrow, and the sealer there sealed them."""
    run(host, "signup", email=ANN, password=PASSWORD)
    ahead = other_host(hours=24)
    run(ahead, "login", identifier=ANN, password=PASSWORD)
    seal_all(ahead)
    clock.forward(hours=3)
    run(host, "signup", email=BOB, password=PASSWORD)
    assert violations(host) == []
    seal_all(host)
    assert (count_unsealed(host), violations(host)) == (0, [])
    assert len(notes(host)) == 1


def test_a_clock_that_is_corrected_backwards(host, run, clock):
    """The identifiers follow the clock back, so they match the times of the records."""
    clock.forward(hours=24)
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=-24)
    run(host, "signup", email=BOB, password=PASSWORD)
    seal_all(host)
    assert (count_unsealed(host), violations(host)) == (0, [])


def test_a_sealer_whose_clock_was_behind(host, run, clock, other_host):
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    clock.forward(seconds=10)
    run(host, "signup", email=BOB, password=PASSWORD)
    behind = other_host(hours=-24)
    seal_all(behind)
    clock.forward(seconds=10)
    run(host, "login", identifier=ANN, password=PASSWORD)
    seal_all(host)
    assert (count_unsealed(host), violations(host)) == (0, [])
    [note] = notes(host)
    assert f"{behind.now:%Y-%m-%dT%H:%M:%SZ}" in note


def test_skipped_records_are_reported(host, run, clock, other_host):
    """They come from a process whose clock is three hours behind."""
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=3)
    run(host, "login", identifier=ANN, password=PASSWORD)
    seal_all(host)
    run(other_host(hours=-3), "login", identifier=ANN, password=PASSWORD)
    seal_all(host)
    [warning] = clock_warnings(host)
    assert warning.startswith("1 records were skipped")
    assert [each.what for each in violations(host)] == ["inserted"]


def test_a_sealed_insertion_into_a_gap_is_noted(host, run, clock):
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(hours=10)
    seal_all(host)
    with host.request() as request:
        new = request.new_id()
    early = type(new)(int=new.int - (5 * 3600 * 1000 << 80))
    row = {**copy(host, first_record(host, 1))._asdict(), "id": early, "time": time_of(early)}
    tamper(host, insert(event_table).values(row))
    seal_all(host)
    [note] = notes(host)
    assert "the records were written late" in note


def test_an_identifier_beyond_all_times_does_not_stop_the_sealer(host, run):
    """The owner of the database inserts a record with the largest possible identifier."""
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request() as request:
        largest = type(request.new_id())(int=2**128 - 1)
    with host.engine.connect() as connection:
        row = connection.execute(select(event_table).limit(1)).one()._asdict()
    tamper(host, insert(event_table).values({**row, "id": largest}))
    seal_all(host)
    assert [each.record for each in violations(host)] == [largest]
    run(host, "signup", email=BOB, password=PASSWORD)
    seal_all(host)
    assert count_unsealed(host) == 0


def test_small_clock_differences_are_not_reported(host, run, clock, other_host):
    for wrong in (20, 0, -20):
        run(host, "login" if wrong < 20 else "signup", **who(wrong))
        seal_all(other_host(seconds=wrong))
        clock.forward(seconds=1)
    assert (clock_warnings(host), notes(host), violations(host), count_unsealed(host)) == ([], [], [], 0)


def who(wrong):
    return {"email" if wrong == 20 else "identifier": ANN, "password": PASSWORD}


STEPS = st.lists(st.tuples(st.sampled_from([-48, -2, 0, 0, 0, 2, 48]), st.integers(0, 30)), max_size=8)


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_sealers_with_any_clock_skip_no_record(host, clock, other_host, steps):
    """For all clocks of the sealers and all times between their runs."""
    for wrong, pause in steps:
        with host.engine.begin() as connection:
            connection.execute(insert(event_table), trail_row(host.new_id(), host.now, "audit_exported"))
        seal_all(other_host(hours=wrong))
        clock.forward(hours=pause)
    seal_all(host)
    found = list(verify(host, settings_of(host)))
    assert [each for each in found if isinstance(each, Violation)] == []
    assert count_unsealed(host) == 0
