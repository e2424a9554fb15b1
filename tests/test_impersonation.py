"""An administrator works in the account of a user: the eleven rules, and what happens at the edges."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from authhost_audit.plugin import AuditPlugin
from authhost_audit.tables import event_table
from authhost_email.plugin import EmailPlugin
from authhost_email.tables import outbox_table
from authhost_hookspecs import Actor, FlowError, LoginStep, hookimpl
from conftest import OTHER_PASSWORD, PASSWORD, Everything
from sqlalchemy import select

from authhost.account.flow import flow, flow_while_impersonating
from authhost.errors import Impersonated, ImpersonationRefused, InvalidInput, LoginRequired
from authhost.store.tables import sessions

ADMIN, ANN, BOB = "admin@example.org", "ann@example.org", "bob@example.org"
ROOT, REASON = Actor("operator", name="root"), "Ticket 4711: the invoice is missing"


class Reports:
    """Records which session began and ended, who acted, and why."""

    def __init__(self):
        self.calls = []

    @hookimpl
    def impersonation_started(self, request, user, session):
        self.calls.append(("started", user.id, session.actor, session.impersonation_reason))

    @hookimpl
    def impersonation_ended(self, request, session, reason):
        self.calls.append(("ended", session.user_id, session.actor, reason))


class Staff:
    """Says who is an administrator, as long as it is told to."""

    def __init__(self):
        self.addresses = set()
        self.fails = False

    @hookimpl
    def is_administrator(self, request, user):
        if self.fails:
            raise RuntimeError("the directory does not answer")
        return user.email in self.addresses


class Code:
    """A second factor of everybody."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("code", "/code", ("totp",))]


@pytest.fixture
def recorder():
    return Everything()


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def staff():
    return Staff()


@pytest.fixture
def open_site(make_host, run, reports, staff):
    """Open a host with an administrator and a user; return it with their logins."""

    def opened(plugins=None, **settings):
        given = {"email_verification": "none", "administrators": [ADMIN], **settings}
        host = make_host({"reports": reports, "staff": staff, **(plugins or {})}, **given)
        logins = [run(host, "signup", email=email, password=PASSWORD) for email in (ADMIN, ANN)]
        with host.request() as request:
            request.accounts.verify_email(host.users.get(ADMIN).id, ADMIN)
        return host, *logins

    return opened


@pytest.fixture
def site(open_site):
    return open_site()


def begin(host, admin, user, reason=REASON):
    """Begin an impersonation in the administrator's browser; return it."""
    with host.request(session_token=admin.session_token) as request:
        return request.accounts.impersonate(user.user.id, reason=reason)


def user_of(host, token):
    with host.request(session_token=token) as request:
        return request.user.email if request.user is not None else None


def refused(function, *args, **values):
    with pytest.raises(FlowError) as raised:
        function(*args, **values)
    return raised.value.code, raised.value.fields.get("reason")


# The rules.


def test_each_record_of_the_trail_has_both(open_site, run):
    host, admin, ann = open_site({"audit": AuditPlugin()})
    begun = begin(host, admin, ann)
    refused(run, host, "reauthenticate", begun.session_token, password=PASSWORD)
    run(host, "stop_impersonation", begun.session_token)
    events = event_table.c
    of_both = events.actor_id == admin.user.id, events.user_id == ann.user.id
    with host.engine.connect() as connection:
        found = connection.execute(select(events.event).where(*of_both).order_by(events.id)).scalars()
        assert list(found) == ["impersonation_started", "flow_refused", "impersonation_ended"]


def test_repeated_refusals_that_are_recorded_later_have_both(open_site, run):
    host, admin, ann = open_site({"audit": AuditPlugin()})
    begun = begin(host, admin, ann)
    for _ in range(8):
        refused(run, host, "reauthenticate", begun.session_token, password=PASSWORD)
        with host.request(session_token=begun.session_token) as request:
            refused(request.accounts.end_sessions, ann.user.id)
    host.close()
    events = event_table.c
    with host.engine.connect() as connection:
        found = select(events.actor_id, events.data).where(events.event == "flow_refused")
        rows = connection.execute(found).all()
    assert {each.actor_id for each in rows} == {admin.user.id}
    assert sum(json.loads(each.data).get("repeated", 1) for each in rows) == 16


def test_start_and_end_are_events(site, run, reports):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    run(host, "stop_impersonation", begun.session_token)
    actor = Actor("user", admin.user.id)
    assert reports.calls == [
        ("started", ann.user.id, actor, REASON),
        ("ended", ann.user.id, actor, "stopped"),
    ]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, None, "two\nlines"])
def test_a_reason_is_required(site, reports, reason):
    host, admin, ann = site
    with pytest.raises(InvalidInput) as raised:
        begin(host, admin, ann, reason)
    assert raised.value.fields == {"field": "reason"}
    assert not reports.calls


def test_it_lasts_an_hour_at_most_and_cannot_be_renewed(site, run, clock, reports):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    assert begun.session.expires_at == host.now + timedelta(hours=1)
    for _ in range(5):
        clock.forward(minutes=11)
        assert user_of(host, begun.session_token) == ANN
        assert refused(run, host, "reauthenticate", begun.session_token, password=PASSWORD) == (
            "impersonated",
            None,
        )
    clock.forward(minutes=6)
    assert user_of(host, begun.session_token) is None
    assert reports.calls[-1] == ("ended", ann.user.id, Actor("user", admin.user.id), "expired")


def test_there_are_no_chains(site, run):
    host, admin, ann = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    begun = begin(host, admin, ann)
    with (
        host.request(session_token=begun.session_token) as request,
        pytest.raises(Impersonated),
    ):
        request.accounts.impersonate(bob.user.id, reason=REASON)
    for actor in (Actor("user", ann.user.id), Actor("application", name="job")):
        with pytest.raises(ImpersonationRefused):
            host.users.impersonate(bob.user.id, actor=actor, reason=REASON)


def test_no_administrator_and_not_oneself(site, run, staff):
    host, admin, _ = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    staff.addresses = {BOB}
    assert refused(begin, host, admin, bob) == ("impersonation_refused", "administrator")
    assert refused(begin, host, admin, admin) == ("impersonation_refused", "own_account")
    assert refused(host.users.impersonate, bob.user.id, actor=ROOT, reason=REASON) == (
        "impersonation_refused",
        "administrator",
    )


@pytest.mark.parametrize(
    ("flow", "values"),
    [
        ("change_password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}),
        ("set_password", {"password": OTHER_PASSWORD}),
        ("reauthenticate", {"password": PASSWORD}),
        ("add_email", {"email": BOB}),
        ("make_primary", {"email": ANN}),
        ("remove_email", {"email": ANN}),
        ("send_confirmation", {"email": ANN}),
        ("confirm_email", {"key": "x" * 43}),
        ("request_password_reset", {"email": ANN}),
        ("reset_password", {"key": "x" * 43, "password": OTHER_PASSWORD}),
        ("deactivate", {}),
        ("end_session", {"session_id": uuid4()}),
        ("end_other_sessions", {}),
        ("login", {"identifier": ANN, "password": PASSWORD}),
        ("signup", {"email": BOB, "password": PASSWORD}),
    ],
)
def test_the_server_refuses_sensitive_changes_with_a_code(site, run, recorder, flow, values):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    recorder.calls.clear()
    assert refused(run, host, flow, begun.session_token, **values)[0] == "impersonated"
    assert [name for name, _ in recorder.calls] == ["flow_refused"]
    assert user_of(host, begun.session_token) == ANN


def test_while_a_plugin_is_blocked_that_names_administrators_anybody_may_be_one(site, staff):
    host, admin, ann = site
    staff.addresses = {ANN}
    host.plugins.block("staff", reason="it hangs", actor=ROOT)
    assert refused(begin, host, admin, ann) == ("impersonation_refused", "administrator")


def test_each_page_has_a_banner_with_a_button(site):
    web = pytest.importorskip("authhost.web")
    from authhost.testing.web_client import WebClient

    host, admin, ann = site
    browser = WebClient(web.Web(host))
    browser.cookies["authhost-session"] = begin(host, admin, ann).session_token
    for path in ("/", "/emails", "/sessions", "/password", "/close"):
        text = browser.get(path).body.decode()
        assert f"You work in the account of {ANN}." in text
        assert 'action="/account/impersonation/stop"' in text


def test_ending_returns_to_the_administrators_own_session(site):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    assert user_of(host, admin.session_token) == ADMIN
    with host.request(session_token=begun.session_token) as request:
        host.account.stop_impersonation(request, administrator_token=admin.session_token)
        assert (request.user.email, request.session_token) == (ADMIN, admin.session_token)
    assert user_of(host, admin.session_token) == ADMIN
    assert user_of(host, begun.session_token) is None


@pytest.mark.parametrize("notice", [True, False])
def test_the_user_is_told_by_mail(open_site, notice):
    email = {"delivery": "manual", "impersonation_notice": notice}
    host, admin, ann = open_site({"email": EmailPlugin()}, plugin_settings={"email": email})
    begin(host, admin, ann)
    messages = outbox_table.c
    of_kind = messages.kind == "impersonation"
    with host.engine.connect() as connection:
        found = connection.execute(select(messages.recipient, messages.context).where(of_kind)).all()
    assert [each.recipient for each in found] == ([ANN] if notice else [])
    for each in found:
        assert each.context["ip_address"] is each.context["user_agent"] is None
        assert REASON not in str(each.context)


def test_no_second_factor_of_the_user_is_asked(open_site, recorder):
    host, _, _ = open_site({"code": Code()})
    ann = host.users.get(ANN)
    recorder.calls.clear()
    begun = host.users.impersonate(ann.id, actor=ROOT, reason=REASON)
    assert user_of(host, begun.session_token) == ANN
    assert [name for name, _ in recorder.calls] == ["impersonation_started"]
    assert host.users.read(ann.id).user.last_login is None


# The edges.


def test_a_new_flow_is_refused_unless_it_is_declared_as_harmless(site):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    with host.request(session_token=begun.session_token) as request:
        assert refused(flow(lambda request: None), request)[0] == "impersonated"
        assert flow_while_impersonating(lambda request: "done")(request) == "done"
    with host.request(session_token=ann.session_token) as request:
        assert flow(lambda request: "done")(request) == "done"


def test_a_logout_at_the_same_time_leaves_no_impersonation(site, run):
    host, _, ann = site

    def attempt(admin):
        with suppress(FlowError):
            begin(host, admin, ann)

    for _ in range(6):
        admin = run(host, "login", identifier=ADMIN, password=PASSWORD)
        with ThreadPoolExecutor(2) as pool:
            pool.submit(attempt, admin)
            pool.submit(run, host, "logout", admin.session_token).result()
        with host.engine.connect() as connection:
            assert not connection.execute(select(sessions).where(sessions.c.actor_id.is_not(None))).all()


def end_of(reports):
    return reports.calls[-1][0], reports.calls[-1][-1]


@pytest.mark.parametrize("flow", ["logout", "deactivate"])
def test_it_ends_with_the_administrators_session(site, run, reports, flow):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    run(host, flow, admin.session_token)
    assert end_of(reports) == ("ended", "administrator")  # at once, not at the next request
    assert user_of(host, begun.session_token) is None


def test_it_ends_when_the_administrator_loses_the_right(site, run, reports, staff):
    host, _, ann = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    staff.addresses = {BOB}
    begun = begin(host, bob, ann)
    assert user_of(host, begun.session_token) == ANN
    staff.addresses = set()
    assert user_of(host, begun.session_token) is None
    assert end_of(reports) == ("ended", "administrator")
    staff.addresses = {BOB}
    assert user_of(host, begun.session_token) is None


def test_it_ends_when_the_user_becomes_an_administrator(site, reports, staff):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    staff.addresses = {ANN}
    assert user_of(host, begun.session_token) is None
    assert end_of(reports) == ("ended", "administrator")


def test_a_failing_plugin_stops_the_request_but_not_the_impersonation(site, run, reports, staff):
    host, _, ann = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    staff.addresses = {BOB}
    begun = begin(host, bob, ann)
    staff.fails = True
    assert user_of(host, begun.session_token) is None
    staff.fails = False
    assert user_of(host, begun.session_token) == ANN


def test_without_a_session_of_the_administrator_the_right_decides(site, run, reports):
    host, admin, ann = site
    actor = Actor("user", admin.user.id)
    begun = host.users.impersonate(ann.user.id, actor=actor, reason=REASON)
    run(host, "logout", admin.session_token)
    assert user_of(host, begun.session_token) == ANN
    host.users.deactivate(admin.user.id, actor=ROOT)
    assert user_of(host, begun.session_token) is None
    assert end_of(reports) == ("ended", "administrator")


def test_the_session_of_an_idle_administrator_stays_alive(open_site, clock):
    host, admin, ann = open_site(session_idle=1200)
    begun = begin(host, admin, ann)
    for _ in range(3):
        clock.forward(minutes=15)
        assert user_of(host, begun.session_token) == ANN
    assert user_of(host, admin.session_token) == ADMIN


def test_it_ends_unused_like_any_session(open_site, clock, reports):
    host, admin, ann = open_site(session_idle=600)
    begun = begin(host, admin, ann)
    clock.forward(minutes=11)
    assert host.delete_expired()["authhost_session"] == 3
    assert end_of(reports) == ("ended", "expired")
    assert len([call for call in reports.calls if call[0] == "ended"]) == 1
    assert user_of(host, begun.session_token) is None


def test_its_end_leaves_the_unit_of_work_to_the_flow_that_follows(site, clock, reports):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    clock.forward(hours=2)
    with host.request(session_token=begun.session_token) as request:
        assert request.user is None
        assert request.clean  # otherwise a deadlock is no Conflict, and no provider can be called
        assert end_of(reports) == ("ended", "expired")


def test_the_user_can_end_it(site, run, reports):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    listed = run(host, "list_sessions", ann.session_token)
    visit = next(each for each in listed if each.actor is not None)
    assert (visit.ip_address, visit.user_agent, visit.method) == (None, "", "impersonation")
    run(host, "end_session", ann.session_token, session_id=visit.id)
    assert end_of(reports) == ("ended", "ended")
    assert user_of(host, begun.session_token) is None


def test_the_next_one_of_the_same_session_replaces_it(site, run, reports):
    host, admin, ann = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    first, second = begin(host, admin, ann), begin(host, admin, bob)
    assert user_of(host, first.session_token) is None
    assert user_of(host, second.session_token) == BOB
    assert ("ended", ann.user.id, Actor("user", admin.user.id), "replaced") in reports.calls


def test_one_that_was_begun_meanwhile_is_replaced_too(site, run, reports):
    host, admin, ann = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    with host.request(session_token=admin.session_token) as request:
        assert request.user is not None
        first = begin(host, admin, ann)
        request.accounts.impersonate(bob.user.id, reason=REASON)
    assert ("ended", ann.user.id, Actor("user", admin.user.id), "replaced") in reports.calls
    assert first.session.id not in {each.id for each in host.users.read(ann.user.id).sessions}


def test_an_administrator_whose_session_has_ended_meanwhile_begins_nothing(site, run, reports):
    host, admin, ann = site
    with host.request(session_token=admin.session_token) as request:
        assert request.user is not None
        run(host, "logout", admin.session_token)
        with pytest.raises(LoginRequired):
            request.accounts.impersonate(ann.user.id, reason=REASON)
    assert not reports.calls
    with host.engine.connect() as connection:
        assert not connection.execute(select(sessions).where(sessions.c.actor_id.is_not(None))).all()


def test_a_deactivated_account_is_refused(site):
    host, admin, ann = site
    host.users.deactivate(ann.user.id, actor=ROOT)
    assert refused(begin, host, admin, ann)[0] == "account_inactive"
    assert refused(host.users.impersonate, uuid4(), actor=ROOT, reason=REASON)[0] == "user_not_found"


def test_a_user_begins_nothing(site, run):
    host, _, ann = site
    bob = run(host, "signup", email=BOB, password=PASSWORD)
    assert refused(begin, host, ann, bob) == ("impersonation_refused", "not_administrator")
    with host.request() as request:
        assert refused(request.accounts.impersonate, bob.user.id, reason=REASON) == (
            "impersonation_refused",
            "no_person",
        )


def test_changes_by_plugins_are_refused(site):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    with host.request(session_token=begun.session_token) as request:
        accounts, user_id = request.accounts, ann.user.id
        for change in (
            lambda: accounts.add_email(user_id, BOB),
            lambda: accounts.remove_password(user_id),
            lambda: accounts.remove_factors(user_id, reason=REASON),
            lambda: accounts.send_reset(user_id),
            lambda: accounts.end_sessions(user_id),
            lambda: accounts.deactivate(user_id),
            lambda: accounts.delete(user_id),
            lambda: accounts.export(user_id),
            lambda: accounts.create(BOB),
            lambda: request.logins.log_in(user_id, method="magic", factors=("possession",)),
            lambda: request.logins.reauthenticate(method="magic", factors=("possession",)),
            lambda: request.logins.sign_up(email=BOB, method="magic", factors=()),
            lambda: request.logins.unguard("reports", user_id),
        ):
            assert refused(change)[0] == "impersonated"
    assert user_of(host, ann.session_token) == ANN


def test_the_actor_is_the_administrator_whomever_the_application_names(site):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    named = Actor("user", ann.user.id)
    with host.request(session_token=begun.session_token, actor=named) as request:
        assert request.actor == Actor("user", admin.user.id)


def test_logging_out_stops_it_without_a_logout_of_the_user(site, run, recorder, reports):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    recorder.calls.clear()
    run(host, "logout", begun.session_token)
    assert [name for name, _ in recorder.calls] == ["session_ended", "impersonation_ended"]
    assert end_of(reports) == ("ended", "stopped")
    assert user_of(host, admin.session_token) == ADMIN


@pytest.mark.parametrize("token", ["x", "x" * 500, "ann"])
def test_stopping_returns_only_to_the_session_that_began_it(site, token):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    given = ann.session_token if token == "ann" else token
    with host.request(session_token=begun.session_token) as request:
        host.account.stop_impersonation(request, administrator_token=given)
        assert request.user is None


def test_the_token_is_not_shown(site):
    host, admin, ann = site
    begun = begin(host, admin, ann)
    assert begun.session_token not in repr(begun)
