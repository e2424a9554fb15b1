"""The rows that are stored while a flow runs."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace

import pytest
from authhost_analytics.events import code_or_other
from authhost_analytics.plugin import AnalyticsPlugin
from authhost_analytics.tables import event_table
from authhost_hookspecs import Refused, hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import given, strategies as st
from sqlalchemy import event, insert

from analytics.support import ANN, BOB, row, run_roll_up, stored
from authhost.errors import AuthError
from authhost.security.key_age import new_timed_key


def names(host):
    return [each.event for each in stored(host)]


@pytest.fixture
def inserts(host):
    """Statements that name the event table."""
    seen = []

    @event.listens_for(host.engine, "before_cursor_execute")
    def on_statement(connection, cursor, statement, parameters, context, executemany):
        if event_table.name in statement:
            seen.append(statement)

    return seen


def test_a_flow_costs_one_insert(host, run, inserts):
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    assert names(host) == [
        "user_signed_up",
        "email_confirmation_sent",
        "account_ready",
        "user_logged_in",
    ]
    written = [each for each in inserts if each.startswith("INSERT")]
    assert len(written) == 1
    inserts.clear()
    run(host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    assert [each.split()[0] for each in inserts] == ["INSERT"]


def test_the_columns_of_a_row(host, run, clock):
    clock.forward(days=13, hours=5, seconds=42)
    run(host, "signup", email=ANN, password=PASSWORD)
    run(host, "login", identifier=ANN, password=PASSWORD)
    signup, _, ready, *_, login = stored(host)
    hour = int(clock.now.timestamp()) // 3600
    assert {each.hour for each in stored(host)} == {hour}
    # The second, where it is needed: the time to confirm begins there.
    assert {each.event: each.second for each in stored(host)} == {
        "user_signed_up": 42,
        "email_confirmation_sent": 0,
        "account_ready": 0,
        "user_logged_in": 0,
    }
    assert (signup.method, signup.outcome, signup.provider, signup.flow) == ("password", "success", "", "")
    assert login.method == "password"
    assert len({each.person for each in stored(host)}) == 1
    assert signup.person != signup.person_before
    # 2026-01-14 is a Wednesday.
    assert signup.cohort == login.cohort == hour // 24 - 2
    assert ready.cohort is None


def test_pseudonyms_change_with_the_month(host, run, clock):
    run(host, "signup", email=ANN, password=PASSWORD)
    clock.forward(days=31)
    run(host, "login", identifier=ANN, password=PASSWORD)
    january, february = stored(host)[0], stored(host)[-1]
    assert january.person == february.person_before
    assert len({january.person_before, january.person, february.person}) == 3


def test_a_change_of_the_key_counts_nobody_twice_while_the_former_key_is_listed(make, run, clock):
    former = new_timed_key(clock.now, ())
    new = new_timed_key(clock.now, [former])
    run(make(secret_key=former), "signup", email=ANN, password=PASSWORD)
    for keys in ((former, new), (new, former)):
        run(make(secret_key=keys), "login", identifier=ANN, password=PASSWORD)
    host = make(secret_key=new)
    assert len({each.person for each in stored(host) if each.person is not None}) == 1
    run(host, "login", identifier=ANN, password=PASSWORD)
    assert len({each.person for each in stored(host) if each.person is not None}) == 2


def test_another_key_makes_other_pseudonyms(host):
    class Other:
        keyed_hashes = staticmethod(lambda value: host.keyed_hashes("other" + value))

    first, second = (row(each, "2026-01-01", "password_set", 1) for each in (host, Other))
    assert first["person"] != second["person"]


def test_a_refusal_is_stored_without_a_user(host, run):
    run(host, "signup", email=ANN, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "login", identifier=ANN, password="wrong")
    refused = stored(host)[-1]
    assert (refused.event, refused.flow, refused.outcome) == ("flow_refused", "login", "invalid_credentials")
    assert refused.person is refused.person_before is refused.cohort is None


def test_what_is_rolled_back_is_not_counted(host):
    with pytest.raises(ZeroDivisionError), host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
        1 / 0  # noqa: B018
    assert stored(host) == []


def test_switched_off(make, run):
    host = make(analytics={"recording": False})
    run(host, "signup", email=ANN, password=PASSWORD)
    assert stored(host) == []


def test_the_text_of_a_veto_is_not_stored(make, run):
    class Veto:
        @hookimpl
        def before_login(self, user):
            raise Refused(f"blocked:{user.id} {ANN}", f"{ANN} is blocked")

    host = make({"veto": Veto()}, email_verification="none")
    with pytest.raises(AuthError):
        run(host, "signup", email=ANN, password=PASSWORD)
    with pytest.raises(AuthError):
        run(host, "login", identifier=BOB, password=PASSWORD)
    assert Counter(each.outcome for each in stored(host) if each.event == "flow_refused").keys() <= {
        "vetoed",
        "invalid_credentials",
    }


@given(st.one_of(st.text(), st.integers(), st.none(), st.emails(), st.uuids().map(str)))
def test_only_codes_are_stored(value):
    stored = code_or_other(value)
    assert stored == "other" or (stored == value and stored.replace("_", "a").islower() and len(stored) <= 40)
    assert "@" not in stored
    assert not any(each.isdigit() for each in stored)


def test_an_unknown_process_is_stored_as_other():
    plugin, rows = AnalyticsPlugin(), []
    request = SimpleNamespace(
        plugin_settings=lambda name: SimpleNamespace(recording=True),
        keyed_hashes=lambda value: ("0" * 64,),
        now=SimpleNamespace(timestamp=lambda: 0),
        insert=lambda table, row: rows.append(row),
    )
    for process in ("login", "connect", "redirect", ANN):
        plugin.social_login_begun(request, "corp", process)
    assert [each["flow"] for each in rows] == ["login", "connect", "redirect", "other"]


def test_a_host_without_roll_ups_logs_a_warning(make, caplog, clock):
    host = make()
    with host.engine.begin() as connection:
        connection.execute(insert(event_table), row(host, "2026-01-01", "user_logged_out", 1))
    with caplog.at_level(logging.WARNING, "authhost.analytics"):
        clock.forward(days=33)
        make()
        assert caplog.messages == []
        clock.forward(days=1)
        make()
    [said] = caplog.messages
    assert "roll-up" in said
    caplog.clear()
    run_roll_up(host)
    make()
    assert caplog.messages == []
