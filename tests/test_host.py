"""Plugins are accepted whole or refused whole, and their failures stay theirs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from authhost_hookspecs import PluginTables, Refused, hookimpl
from conftest import PASSWORD
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from authhost.errors import ConfigurationError, InvalidCredentials, RequiredPluginFailed, Vetoed
from authhost.store.tables import resets, users

notes = Table("note", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(20)))


class UnknownHook:
    @hookimpl
    def user_loged_in(self, user): ...


class WrongArgument:
    @hookimpl
    def user_logged_in(self, request, account): ...


class Asynchronous:
    @hookimpl
    async def user_logged_in(self, user): ...


class Defaulted:
    @hookimpl
    def user_logged_in(self, user=None): ...


class Undecorated:
    def user_logged_out(self, user): ...

    @hookimpl
    def user_logged_in(self, user): ...


class VetoWrapper:
    @hookimpl(wrapper=True)
    def before_login(self, user):
        return (yield)


class KeywordOnly:
    @hookimpl
    def user_logged_in(self, *, user): ...


class Twice:
    @hookimpl
    def user_logged_in(self, user): ...

    @hookimpl(specname="user_logged_in")
    def once_more(self, user): ...


class StartWrapper:
    @hookimpl(wrapper=True)
    def host_started(self, host):
        return (yield)


@dataclass(frozen=True)
class Undefaulted:
    start: int


@dataclass
class Thawed:
    start: int = 1


@dataclass(frozen=True)
class Listed:
    days: tuple[str, ...] = ()


class BringsSettings:
    def __init__(self, settings):
        self.settings = settings

    @hookimpl
    def register_settings(self):
        return self.settings


class BringsTables:
    def __init__(self, migrations):
        self.migrations = migrations

    @hookimpl
    def register_tables(self):
        return PluginTables(MetaData(), self.migrations)


@pytest.mark.parametrize(
    ("plugin", "sentence"),
    [
        (UnknownHook(), "did you mean 'user_logged_in'"),
        (WrongArgument(), "its arguments are (request, user)"),
        (Asynchronous(), "async def"),
        (Defaulted(), "default"),
        (KeywordOnly(), "plain positional"),
        (Undecorated(), "not decorated"),
        (VetoWrapper(), "may not be wrapped"),
        (Twice(), "user_logged_in is implemented twice"),
        (StartWrapper(), "may not be wrapped"),
        (UnknownHook, "the class UnknownHook"),
        (object(), "no hook"),
        (BringsSettings(Undefaulted), "its setting start has no default"),
        (BringsSettings(Thawed), "must be a frozen dataclass"),
        (BringsSettings(Listed), "its setting days must be a str, int, float or bool"),
        (BringsTables("no.such.package"), "names the migrations 'no.such.package'"),
        (BringsTables("json.decoder"), "names the migrations 'json.decoder'"),
    ],
)
def test_refused_with_a_sentence(make_host, plugin, sentence):
    host = make_host({"bad": plugin})
    record = next(each for each in host.registry.records if each.name == "bad")
    assert record.status == "refused"
    assert sentence in record.reason
    with pytest.raises(ConfigurationError, match="bad"):
        make_host({"bad": plugin}, strict=True)


def test_required_and_blocked(make_host):
    with pytest.raises(ConfigurationError, match="not installed"):
        make_host(required_plugins=("audit",))
    host = make_host({"bad": UnknownHook()}, blocked_plugins=("bad",))
    assert {each.name: each.status for each in host.registry.records}["bad"] == "blocked"


class Failing:
    """Writes in both ways, then fails."""

    def __init__(self, error=ValueError):
        self.error = error
        self.commits = 0

    @hookimpl
    def user_signed_up(self, request, user):
        request.insert(notes, {"text": "queued"})
        request.db.execute(notes.insert().values(text="direct"))
        request.on_commit(lambda: setattr(self, "commits", self.commits + 1))
        raise self.error("fails")


class Writing:
    @hookimpl
    def user_signed_up(self, request, user):
        request.insert(notes, {"text": "kept"})
        request.db.execute(notes.insert().values(text="kept too"))

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        request.insert(notes, {"text": error.code})


def stored(host):
    with host.engine.connect() as connection:
        return set(connection.execute(select(notes.c.text)).scalars())


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_failing_plugin_changes_nothing(make_host, run, recorder, error):
    failing = Failing(error)
    host = make_host({"failing": failing, "writing": Writing()})
    notes.create(host.engine)
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert stored(host) == {"kept", "kept too"}
    assert "user_signed_up" in recorder.names
    assert failing.commits == 0


def test_ctrl_c_is_no_failure(make_host, run):
    host = make_host({"failing": Failing(KeyboardInterrupt)})
    notes.create(host.engine)
    with pytest.raises(KeyboardInterrupt):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert stored(host) == set()


def test_a_required_plugin_that_fails_ends_the_flow(make_host, run):
    host = make_host({"failing": Failing(), "writing": Writing()}, required_plugins=("failing",))
    notes.create(host.engine)
    with pytest.raises(RequiredPluginFailed):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert stored(host) == set()
    with pytest.raises(InvalidCredentials):
        run(host, "login", identifier="ann@example.org", password=PASSWORD)


def test_a_row_that_cannot_be_stored_takes_no_other_with_it(make_host, run):
    class Broken:
        @hookimpl
        def user_signed_up(self, request):
            request.insert(notes, {"id": 1, "text": "twice"})
            request.insert(notes, {"id": 1, "text": "twice"})

    host = make_host({"broken": Broken(), "writing": Writing()})
    notes.create(host.engine)
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert stored(host) == {"kept", "kept too"}


def test_a_refusal_is_stored(make_host, run):
    host = make_host({"writing": Writing()})
    notes.create(host.engine)
    with pytest.raises(InvalidCredentials):
        run(host, "login", identifier="ann@example.org", password="wrong")
    assert stored(host) == {"invalid_credentials"}


def test_a_refusal_is_stored_though_the_unit_fails_later(make_host):
    host = make_host({"writing": Writing()})
    notes.create(host.engine)
    with pytest.raises(ZeroDivisionError), host.request() as request:
        request.db.execute(notes.insert().values(text="the application's"))
        with pytest.raises(InvalidCredentials):
            host.account.login(request, identifier="ann@example.org", password="wrong")
        raise ZeroDivisionError
    assert stored(host) == {"invalid_credentials"}


def test_a_veto_refuses(make_host, run):
    class Veto:
        @hookimpl
        def before_signup(self, email):
            raise Refused("domain", "Not from there.")

    host = make_host({"veto": Veto()})
    with pytest.raises(Vetoed, match=r"Not from there\.") as caught:
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert (caught.value.fields["plugin_code"], caught.value.fields["plugin"]) == ("domain", "veto")


class Doubling:
    """Queues a row twice, in a hook that is asked."""

    def __init__(self, hook):
        def ask(request):
            request.insert(notes, {"id": 1, "text": "twice"})
            request.insert(notes, {"id": 1, "text": "twice"})
            return True if hook == "deliver_message" else None

        setattr(self, hook, hookimpl(ask, specname=hook))


@pytest.mark.parametrize("hook", ["before_signup", "before_login"])
def test_rows_of_a_veto_are_those_of_its_plugin(make_host, caplog, hook):
    host = make_host({"doubling": Doubling(hook), "writing": Writing()})
    notes.create(host.engine)
    with host.request() as request:
        request.insert(notes, {"text": "the application's"})
        assert host.account.signup(request, email="ann@example.org", password=PASSWORD).authenticated
    assert stored(host) == {"the application's", "kept", "kept too"}
    assert "rows of plugin doubling were not stored" in caplog.text


@pytest.mark.parametrize(
    ("hook", "required"),
    [("before_signup", ("doubling",)), ("before_login", ("doubling",)), ("deliver_message", ())],
)
def test_rows_that_must_be_stored_name_their_plugin(make_host, run, hook, required):
    verification = "mandatory" if hook == "deliver_message" else "none"
    host = make_host({"doubling": Doubling(hook)}, required_plugins=required, email_verification=verification)
    notes.create(host.engine)
    with pytest.raises(RequiredPluginFailed, match="'doubling' failed in insert"):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert stored(host) == set()


def test_what_a_veto_wrote_is_undone_with_the_flow(make_host, run):
    class Veto:
        @hookimpl
        def before_login(self, request, user):
            request.db.execute(notes.insert().values(text="direct"))
            request.insert(notes, {"text": "queued"})
            request.on_commit(lambda: pytest.fail("it was not committed"))
            if user.email == "ann@example.org":
                raise Refused("no", "No.")

    host = make_host({"veto": Veto(), "writing": Writing()})
    notes.create(host.engine)
    with pytest.raises(Vetoed):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert stored(host) == {"vetoed"}


def test_a_host_closes_whoever_fails(make_host):
    class Stubborn:
        @hookimpl
        def host_stopping(self):
            raise ValueError

    class Told:
        told = False

        @hookimpl
        def host_stopping(self):
            self.told = True

    told = Told()
    host = make_host({"stubborn": Stubborn(), "told": told}, required_plugins=("stubborn",))
    host.close()
    assert told.told
    assert host.plugin_stats()["stubborn", "host_stopping"].failures == 1


def test_order_is_by_name_with_tryfirst_and_wrappers(make_host, run):
    seen = []

    def plugin(name, **options):
        class Ordered:
            @hookimpl(**options)
            def user_signed_up(self):
                seen.append(name)

        return Ordered()

    class Around:
        @hookimpl(wrapper=True)
        def user_signed_up(self):
            seen.append("before")
            result = yield
            seen.append("after")
            return result

    host = make_host({"b": plugin("b"), "a": plugin("a"), "z": plugin("z", tryfirst=True), "w": Around()})
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert seen == ["before", "z", "a", "b", "after"]
    stats = next(each for each in host.registry.records if each.name == "a").guarded.stats
    assert (stats["user_signed_up"].calls, stats["user_signed_up"].failures) == (1, 0)


def test_what_the_application_queued_outlives_a_refusal(make_host):
    host = make_host({"writing": Writing()})
    notes.create(host.engine)
    committed = []
    with host.request() as request:
        request.insert(notes, {"text": "the application's"})
        request.on_commit(lambda: committed.append(True))
        with pytest.raises(InvalidCredentials):
            host.account.login(request, identifier="nobody@example.org", password=PASSWORD)
    assert stored(host) == {"the application's", "invalid_credentials"}
    assert committed == [True]


def test_a_flow_that_breaks_is_undone_whoever_catches_it(make_host, recorder):
    """Also where the application goes on in the same unit."""
    host = make_host({"failing": Failing()}, required_plugins=("failing",))
    notes.create(host.engine)
    with host.request() as request:
        host.account.request_password_reset(request, email="ann@example.org")
        with pytest.raises(RequiredPluginFailed):
            host.account.signup(request, email="ann@example.org", password=PASSWORD)
        assert request.user is None
    assert stored(host) == set()
    with host.request() as request:
        assert request.read(select(users), {}) == []
        assert len(request.read(select(resets), {})) == 1


def test_a_wrapper_sees_each_message_and_who_takes_it(make_host, run, recorder):
    class Wrapper:
        def __init__(self):
            self.seen = []

        @hookimpl(wrapper=True)
        def deliver_message(self, message):
            taken = yield
            self.seen.append((message.kind, taken))
            return taken

    class Taker:
        @hookimpl
        def deliver_message(self, message):
            return True

    wrapper = Wrapper()
    host = make_host({"wrapper": wrapper, "taker": Taker()})
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert wrapper.seen == [("email_confirmation", True)]
    assert host.plugin_stats()["wrapper", "deliver_message"].calls == 1


def test_a_row_with_a_column_that_is_not_there_is_no_row(make_host, run, caplog):
    class Misspelt:
        @hookimpl
        def user_signed_up(self, request):
            request.insert(notes, {"txet": "lost"})

    host = make_host({"misspelt": Misspelt()})
    notes.create(host.engine)
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    with host.engine.connect() as connection:
        assert connection.execute(select(notes)).all() == []
    assert "plugin misspelt failed in user_signed_up: ValueError" in caplog.text
