"""The records of flows and refusals."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from authhost_audit import export
from authhost_audit.commands.reading import _row
from authhost_audit.plugin import AuditPlugin
from authhost_audit.settings import AuditSettings
from authhost_audit.tables import event_table
from authhost_audit.vocabulary import VOCABULARY
from authhost_hookspecs import Actor, LoginStep, Refused, hookimpl
from conftest import PASSWORD
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st
from sqlalchemy import func, select

from audit.trail import ANN, BOB, named, records
from authhost.errors import AuthError, RequiredPluginFailed, Vetoed
from authhost.pluginhost.hooks import SIGNALS
from authhost.store.tables import users
from authhost.testing.browser import Browser


def test_each_signal_is_recorded():
    assert {name for name in SIGNALS if hasattr(AuditPlugin, name)} == SIGNALS
    assert set(VOCABULARY) >= SIGNALS


def test_a_record(host, run, clock):
    result = run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "user_logged_in")
    user_id = str(result.user.id)
    assert datetime.fromisoformat(record["time"]) == clock.now
    assert (record["actor_id"], record["user_id"], record["method"]) == (user_id, user_id, "password")
    assert (record["ip_address"], record["outcome"], record["schema"]) == ("127.0.0.1", "success", 1)
    assert len(record["session_ref"]) == 64
    signup = named(host, "user_signed_up")
    assert signup["request_id"] == record["request_id"]
    assert (signup["actor_id"], signup["changes"]) == (None, {"email": [None, "a***@example.org"]})


class Gate:
    """Every login waits for a step."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("code", "/code")]


@pytest.fixture
def two_factors(make_host):
    """The record of a login by a password and a code."""
    host = make_host({"gate": Gate(), "audit": AuditPlugin()}, email_verification="none")
    browser = Browser(host)
    browser("signup", email=ANN, password=PASSWORD)
    browser("logins_complete_step", key="gate.code", method="totp", factors=("possession",))
    return named(host, "user_logged_in")


def test_a_login_names_all_its_authentications(two_factors):
    password = {"method": "password", "factors": ["knowledge"]}
    code = {"method": "totp", "factors": ["possession"]}
    assert two_factors["method"] == "password"
    assert two_factors["data"] == {"authentications": [password, code]}


def test_the_formats_name_all_authentications_of_a_login(two_factors):
    ocsf = export.as_ocsf(two_factors)
    assert ocsf["is_mfa"] is True
    assert ocsf["auth_factors"] == [
        {"factor_type": "password", "factor_type_id": 11},
        {"factor_type": "totp", "factor_type_id": 7, "is_totp": True},
    ]
    owasp = export.as_owasp(two_factors)
    assert owasp["description"] == "user_logged_in by password (knowledge), totp (possession)"
    assert _row(two_factors)["details"] == "by password (knowledge), totp (possession)"


def test_one_factor_is_not_several(host, run):
    run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "user_logged_in")
    assert export.as_ocsf(record)["is_mfa"] is False
    assert "is_mfa" not in export.as_ocsf(named(host, "user_signed_up"))
    assert "is_mfa" not in export.as_ocsf({**record, "data": {}}), "a record from before 0.2"


def test_actor_and_affected_user_are_recorded_separately(host, run, recorder):
    """Ann's address is confirmed in a browser in which Bob is logged in."""
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    key = recorder.key()
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    run(host, "confirm_email", bob.session_token, key=key)
    record = named(host, "email_confirmed")
    assert (record["actor_id"], record["user_id"]) == (str(bob.user.id), str(ann.id))


def test_an_operator_is_recorded_by_name(host, run):
    ann = run(host, "signup", email=ANN, password=PASSWORD)
    with host.request(actor=Actor("operator", name="root")) as request:
        request.accounts.deactivate(ann.user.id)
    record = named(host, "user_deactivated")
    assert record["actor_id"] is None
    assert record["data"] == {"actor": {"kind": "operator", "name": "root"}}


def test_why_and_until_when_an_account_is_deactivated_is_recorded(host, run):
    ann, root, reason = (
        run(host, "signup", email=ANN, password=PASSWORD),
        Actor("operator", name="root"),
        "x" * 500,
    )
    until = host.now + timedelta(days=7)
    host.users.deactivate(ann.user.id, until=until, reason=reason, actor=root)
    host.users.reactivate(ann.user.id, actor=root)
    data = named(host, "user_deactivated")["data"]
    assert (data["until"], data["reason"]) == (until.isoformat(), reason)


class Vetoes:
    @hookimpl
    def before_signup(self):
        raise Refused("members_only", "Members only.")


def test_refusals_are_recorded_although_the_flow_is_rolled_back(make, run):
    host = make({"doorkeeper": Vetoes()})
    with pytest.raises(Vetoed):
        run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "flow_refused")
    assert (record["flow"], record["reason"], record["plugin"]) == ("signup", "vetoed", "doorkeeper")
    assert record["data"] == {"plugin_code": "members_only"}
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 0


def test_typed_identifiers_are_stored_as_keyed_hashes(host, run):
    for typed in (PASSWORD, PASSWORD, ANN):
        with pytest.raises(AuthError):
            run(host, "login", identifier=typed, password=PASSWORD)
    one, same, other = (record["identifier"] for record in records(host, event="flow_refused"))
    assert one == same != other
    assert hashlib.sha256(PASSWORD.encode()).hexdigest() not in (one, other)


def test_privacy_settings(make, run):
    host = make(audit={"addresses": "off", "ip_addresses": "truncated"})
    run(host, "signup", email=ANN, password=PASSWORD)
    record = named(host, "user_signed_up")
    assert (record["ip_address"], record["changes"]) == ("127.0.0.0", {"email": [None, None]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": "some"},
        {"batch_size": 0},
        {"webhook": "https://x"},
        {"webhook": "http://example.org/"},
        {"webhook": "https://example.org/\u00e9"},
        {"syslog": "file:/x"},
        {"syslog": "tcp://a..b:1"},
        {"syslog": "tcp://a:99999"},
        {"timeout": -1},
        {"keep_days": 999_999},
    ],
)
def test_invalid_settings(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditSettings(**wrong)


def test_switching_recording_is_recorded(make, run, clock):
    make()
    make()
    clock.forward(seconds=1)
    off = make(audit={"recording": False})
    run(off, "signup", email=ANN, password=PASSWORD)
    clock.forward(seconds=1)
    on = make()
    names = [record["event"] for record in records(on)]
    assert names == ["audit_recording_on", "audit_recording_off", "audit_recording_on"]


def test_a_required_audit_plugin_that_fails_stops_the_flow(make, run):
    host = make(required_plugins=("audit",))
    event_table.drop(host.engine)
    with pytest.raises(RequiredPluginFailed):
        run(host, "signup", email=ANN, password=PASSWORD)
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 0


FLOWS = ["signup", "login", "reset", "change", "confirm", "add"]


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    secret=st.text("abcdefghijklmnopqrstuvwxyzäß0123456789", min_size=24, max_size=60),
    flow=st.sampled_from(FLOWS),
)
def test_no_secret_is_recorded(host, run, recorder, secret, flow):
    with host.request() as request:
        email = f"u{request.new_id().hex}@example.org"
    try:
        token = run(host, "signup", email=email, password=secret).session_token
    except AuthError:  # the password is too weak
        return
    tries = {
        "signup": {"email": secret, "password": secret},
        "login": {"identifier": secret, "password": secret},
        "change": {"current_password": secret, "new_password": secret + "other"},
        "confirm": {"key": secret},
        "add": {"email": secret},
        "reset": {"key": secret, "password": secret},
    }
    name = {
        "change": "change_password",
        "confirm": "confirm_email",
        "add": "add_email",
        "reset": "reset_password",
    }
    with suppress(AuthError):
        run(host, name.get(flow, flow), token, **tries[flow])
    keys = [message.key for message in recorder.messages if message.key]
    with host.engine.connect() as connection:
        everything = str(connection.execute(select(event_table)).all())
    assert not [each for each in (secret, token, *keys) if each in everything]


class NoLogins:
    @hookimpl
    def before_login(self):
        raise Refused("maintenance", "Come back later.")


def test_a_vetoed_login_contains_its_user(make, run):
    user = run(make(), "signup", email=ANN, password=PASSWORD).user
    host = make({"doorkeeper": NoLogins()})
    with pytest.raises(Vetoed):
        run(host, "login", identifier=ANN, password=PASSWORD)
    assert named(host, "flow_refused")["user_id"] == str(user.id)


def test_reset_requests_are_recorded(host, run):
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    run(host, "request_password_reset", email=ANN)
    run(host, "request_password_reset", email="nobody@example.org")
    known, unknown = records(host, event="password_reset_requested")
    assert (known["user_id"], unknown["user_id"]) == (str(user.id), None)
    assert (known["identifier"], unknown["identifier"]) == (
        host.identifier_digest(ANN),
        host.identifier_digest("nobody@example.org"),
    )
    assert known["ip_address"] == unknown["ip_address"] == "127.0.0.1"


def test_ended_sessions_are_recorded_with_who_ended_them_and_why(host, run):
    signup = run(host, "signup", email=ANN, password=PASSWORD)
    login = run(host, "login", identifier=ANN, password=PASSWORD)
    run(host, "end_other_sessions", login.session_token)
    record = named(host, "session_ended")
    logins = [each["session_ref"] for each in records(host, event="user_logged_in")]
    assert (record["user_id"], record["actor_id"]) == (str(signup.user.id),) * 2
    assert record["reason"] == "ended"
    assert [record["data"]["session"], record["session_ref"]] == logins


def test_a_logout_is_one_record(host, run):
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "logout", token)
    assert records(host, event="session_ended") == []
    assert named(host, "user_logged_out")


def test_closed_accounts_and_reauthentications_are_recorded(host, run):
    result = run(host, "signup", email=ANN, password=PASSWORD)
    token = run(host, "reauthenticate", result.session_token, password=PASSWORD).session_token
    run(host, "deactivate", token)
    for event in ("user_reauthenticated", "user_deactivated"):
        assert named(host, event)["user_id"] == str(result.user.id)
    assert named(host, "session_ended")["reason"] == "deactivated"
