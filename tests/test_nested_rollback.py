"""What a failed call of a hook did is undone, whatever it was: flows, changes, and what their hooks did.

The properties run random programs in a hook that fails at the end. The hooks of the
flows and changes in it run programs, too. Afterwards every table must have the rows
that it had before, except for those of the outer flow.
"""

from __future__ import annotations

import pytest
from authhost_hookspecs import Change, FlowError, Refused, StopFlow, hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from authhost.errors import DeliveryFailed, RequiredPluginFailed, Vetoed
from authhost.store.tables import metadata, sessions, users
from authhost.store.unit_of_work import MAX_DEPTH
from authhost.testing.conformance.checks.edges import minimal_arguments

ANN, BOB, NEW = "ann@example.org", "bob@example.org", "new@example.org"
notes = Table(
    "rollback_note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(20), nullable=False),
)
CHANGES = {
    "add_email": (NEW,),
    "verify_email": (ANN,),
    "make_primary": (ANN,),
    "remove_email": (ANN,),
    "remove_password": (),
    "end_sessions": (),
    "deactivate": (),
    "reactivate": (),
    "delete": (),
    "export": (),
}
FLOWS = {
    "login": {"identifier": BOB, "password": PASSWORD},
    "signup": {"email": NEW, "password": PASSWORD},
    "cancel_login": {},
    "logout": {},
    "end_other_sessions": {},
    "request_password_reset": {"email": BOB},
    "change_password": {"current_password": PASSWORD, "new_password": OTHER_PASSWORD},
    "add_email": {"email": ANN},
}
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["insert", "write", "commit", "callback", "wrong login", "bad row"])),
    st.tuples(st.just("change"), st.sampled_from(sorted(CHANGES)), st.sampled_from([ANN, BOB])),
    st.tuples(st.just("flow"), st.sampled_from(sorted(FLOWS))),
)
PROGRAMS = st.lists(
    st.tuples(st.lists(ACTIONS, max_size=4), st.sampled_from(["ends", "fails", "refuses"]), st.booleans()),
    min_size=1,
    max_size=6,
)


class Machine:
    """Runs the next program in each call of a hook. ``fail`` is what the outermost call ends with."""

    def __init__(self, hook, fail, **options):
        self.programs, self.callbacks, self.users, self.fail = [], [], {}, fail
        self.depth = 0
        self.active = False
        setattr(self, hook, hookimpl(specname=hook, **options)(self._implementation(hook, options)))

    def _implementation(self, hook, options):
        def call(request):
            self.outermost(request)

        def first_half(request):
            self.outermost(request)
            return (yield)

        def second_half(request):
            result = yield
            self.outermost(request)
            return result

        if options:
            return first_half if self.fail == "first half" else second_half
        return call

    def outermost(self, request):
        if self.active and not self.depth:
            try:
                self.next(request)
            finally:
                self.programs = []
            raise Refused("no", "No.") if self.fail == "refuses" else ValueError(self.fail)

    def next(self, request):
        if not self.programs:
            return
        actions, end, catches = self.programs.pop(0)
        self.depth += 1
        try:
            for action in actions:
                try:
                    self.act(request, *action)
                except Exception:
                    if not catches:
                        raise
        finally:
            self.depth -= 1
        if self.depth and end == "fails":
            raise ValueError(end)
        if self.depth and end == "refuses":
            raise Refused("no", "No.")

    def act(self, request, kind, name=None, who=None):
        if kind == "insert":
            request.insert(notes, {"text": "queued"})
        elif kind == "bad row":
            request.insert(notes, {"text": None})
        elif kind == "write":
            request.db.execute(notes.insert().values(text="written"))
        elif kind == "commit":
            request.db.execute(notes.insert().values(text="committed"))
            request.db.commit()
        elif kind == "callback":
            request.on_commit(lambda: self.callbacks.append("called"))
        elif kind == "change":
            getattr(request.accounts, name)(self.users[who], *CHANGES[name])
        elif kind == "flow":
            getattr(request.host.account, name)(request, **FLOWS[name])
        else:
            request.host.account.login(request, identifier=BOB, password="wrong " + PASSWORD)


class Nested:
    """Runs the next program in the hooks of the flows and changes that are called in a hook."""

    def __init__(self, machine):
        self.machine = machine

    def _run(self, request):
        if self.machine.depth:
            self.machine.next(request)

    @hookimpl
    def email_added(self, request):
        self._run(request)

    @hookimpl
    def session_ended(self, request):
        self._run(request)

    @hookimpl
    def user_logged_out(self, request):
        self._run(request)

    @hookimpl
    def user_deleted(self, request):
        self._run(request)

    @hookimpl
    def flow_refused(self, request):
        self._run(request)

    @hookimpl
    def before_change(self, request):
        self._run(request)

    @hookimpl
    def before_signup(self, request):
        self._run(request)

    @hookimpl
    def export_user(self, request):
        self._run(request)
        return {}

    @hookimpl(wrapper=True)
    def email_changed(self, request):
        self._run(request)
        result = yield
        self._run(request)
        return result

    @hookimpl(wrapper=True)
    def deliver_message(self, request):
        self._run(request)
        return (yield)


def rows(host, without=()):
    """Every row of every table, except the sessions ``without`` and what a login writes to its user."""
    found = {}
    with host.engine.connect() as connection:
        for table in [*metadata.sorted_tables, notes]:
            columns = [each for each in table.c if each is not users.c.last_login]
            statement = select(*columns)
            if table is sessions:
                statement = statement.where(sessions.c.id.not_in(without))
            found[table.name] = sorted(map(repr, connection.execute(statement).all()))
    return found


MODES = {
    # name: hook, how it ends, options, required
    "notification": ("user_logged_in", "fails", {}, False),
    "first half": ("user_logged_in", "first half", {"wrapper": True}, False),
    "second half": ("user_logged_in", "second half", {"wrapper": True}, False),
    "required": ("user_logged_in", "fails", {}, True),
    "required wrapper": ("user_logged_in", "second half", {"wrapper": True}, True),
    "veto refuses": ("before_login", "refuses", {}, False),
    "veto fails": ("before_login", "fails", {}, False),
    "delivery": ("deliver_message", "fails", {}, False),
    "delivery wrapper": ("deliver_message", "first half", {"wrapper": True}, False),
}


@pytest.mark.parametrize("mode", MODES)
def test_everything_that_a_failed_call_did_is_undone(make_host, run, mode):
    hook, fail, options, required = MODES[mode]
    machine = Machine(hook, fail, **options)
    host = make_host(
        {"a-machine": machine, "b-nested": Nested(machine)},
        email_verification="none",
        required_plugins=("a-machine",) if required else (),
    )
    notes.create(host.engine)
    ann = run(host, "signup", email=ANN, password=PASSWORD)
    for email in (ANN, BOB):
        login = ann if email == ANN else run(host, "signup", email=email, password=PASSWORD)
        machine.users[email] = login.user.id
    with host.request() as request:
        request.accounts.verify_email(ann.user.id, ANN)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PROGRAMS)
    def check(programs):
        machine.programs = list(programs)
        before = rows(host)
        new = []
        machine.active = True
        try:
            _outer_flow(host, hook, required, new)
        finally:
            machine.active = False
        assert rows(host, without=new) == before
        assert machine.callbacks == []
        for identifier in new:
            with host.engine.begin() as connection:
                connection.execute(sessions.delete().where(sessions.c.id == identifier))

    check()


def _outer_flow(host, hook, required, new):
    request = host.request(ip_address="127.0.0.1")
    if hook == "deliver_message":
        with request, pytest.raises(DeliveryFailed):
            host.account.request_password_reset(request, email=ANN)
    elif hook == "before_login":
        with request, pytest.raises(Vetoed):
            host.account.login(request, identifier=ANN, password=PASSWORD)
    elif required:
        with pytest.raises(RequiredPluginFailed), request:
            host.account.login(request, identifier=ANN, password=PASSWORD)
    else:
        with request:
            result = host.account.login(request, identifier=ANN, password=PASSWORD)
            assert request.user.email == ANN
            assert request.session_token == result.session_token
            assert request.provider is None
            new.append(request.session.id)
        with host.request(session_token=result.session_token) as again:
            assert again.session.id == new[0]


# Single cases.


class Once:
    """Calls ``function`` in the first call of one hook that is not nested."""

    def __init__(self, hook, function):
        self.done = False

        def call(request):
            if not self.done:
                self.done = True
                function(request)

        setattr(self, hook, hookimpl(specname=hook)(call))


class Writes:
    """Writes in a nested hook, and nowhere else."""

    @hookimpl
    def before_change(self, request):
        request.db.execute(notes.insert().values(text="nested"))


def texts(host):
    with host.engine.connect() as connection:
        return list(connection.execute(select(notes.c.text)).scalars())


@pytest.mark.parametrize("fails", [True, False])
def test_writes_of_a_nested_hook_follow_the_outer_one_that_wrote_nothing(make_host, run, fails):
    def outer(request):
        request.services.hooks.before_change(request, request.user, Change("deactivate"))
        if fails:
            raise ValueError

    plugins = {"outer": Once("user_logged_in", outer), "writes": Writes()}
    host = make_host(plugins, email_verification="none")
    notes.create(host.engine)
    run(host, "signup", email=ANN, password=PASSWORD)
    assert texts(host) == ([] if fails else ["nested"])


def test_attempts_and_refusals_of_a_failed_call_do_not_count(make_host, run):
    def outer(request):
        before = len(request.counted)
        request.host.account.request_password_reset(request, email=BOB)
        with pytest.raises(FlowError):
            request.host.account.login(request, identifier=BOB, password="wrong " + PASSWORD)
        counted.extend((before, len(request.counted), len(request._refusals)))
        raise ValueError

    counted = []
    host = make_host({"outer": Once("user_logged_in", outer)}, email_verification="none", rate_limits=True)
    with host.request(ip_address="127.0.0.1") as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
        before, inside, refusals = counted
        assert inside > before
        assert refusals == 1
        assert len(request.counted) == before
        assert request._refusals == []


def test_failure_of_a_required_plugin_in_a_nested_hook_is_not_one_of_the_outer_plugin(make_host, run):
    def outer(request):
        request.accounts.add_email(request.user.id, NEW)

    def required(request):
        raise ValueError

    host = make_host(
        {"outer": Once("user_logged_in", outer), "trail": Once("email_added", required)},
        email_verification="none",
        required_plugins=("trail",),
    )
    with pytest.raises(RequiredPluginFailed, match="'trail' failed in email_added"):
        run(host, "signup", email=ANN, password=PASSWORD)
    assert host.plugin_stats()["outer", "user_logged_in"].failures == 0
    with host.engine.connect() as connection:
        assert connection.execute(select(users)).all() == []


def test_stopflow_keeps_a_change(make_host, run):
    def stops(request):
        request.accounts.add_email(ann.id, NEW)
        raise StopFlow

    host = make_host({"stops": Once("pre_social_login", stops)}, email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    with host.request() as request:
        login = minimal_arguments(request, ann)["sociallogin"]
        with pytest.raises(StopFlow):
            request.services.hooks.pre_social_login(request, login)
    assert [each.email for each in host.account(ann.id).email_addresses] == [ANN, NEW]


class Endless:
    """Repeats the change that calls it."""

    def __init__(self):
        self.depth = 0

    @hookimpl
    def email_added(self, request, user):
        self.depth += 1
        request.accounts.add_email(user.id, f"{self.depth}@example.org")


def test_nesting_is_limited(make_host, run, caplog):
    endless = Endless()
    host = make_host({"endless": endless}, email_verification="none", max_email_addresses=100)
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    with host.request() as request:
        request.accounts.add_email(ann.id, NEW)
    assert endless.depth == MAX_DEPTH + 1
    assert "plugin endless failed in email_added: NestedTooDeep" in caplog.text
    assert host.plugin_stats()["endless", "email_added"].failures == 1
    assert len(host.account(ann.id).email_addresses) == 2 + MAX_DEPTH


def test_change_outside_a_hook_is_undone_alone_when_it_is_refused(make_host, run):
    host = make_host(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    bob = run(host, "signup", email=BOB, password=PASSWORD).user
    with host.request() as request:
        request.accounts.verify_email(ann.id, ANN)
        with pytest.raises(FlowError):
            request.accounts.add_email(bob.id, ANN, verified=True)
        request.accounts.end_sessions(bob.id)
    assert host.account(bob.id).sessions == ()
    assert len(host.account(bob.id).email_addresses) == 1
    assert host.account(ann.id).user.email_verified


def test_change_of_a_request_that_has_ended_is_refused(make_host, run):
    host = make_host(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    with host.request() as request:
        pass
    with pytest.raises(RuntimeError, match="has ended"):
        request.accounts.deactivate(ann.id)
    assert host.account(ann.id).user.is_active
