"""Failures of plugins: what is refused, undone, counted and logged, and where."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest
from authhost_hookspecs import Refused, hookimpl
from conftest import PASSWORD
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from authhost.cli.checks import problems
from authhost.cli.checks.host import REFUSED
from authhost.errors import DeliveryFailed, EmailTaken, RequiredPluginFailed, Vetoed
from authhost.pluginhost.hooks import VETOES
from authhost.store.tables import addresses

SECRET = "s3cret-of-the-plugin"
HERE = Path(__file__)
notes = Table(
    "guard_note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(20), nullable=False),
)


def stored(host):
    with host.engine.connect() as connection:
        return sorted(connection.execute(select(notes.c.text)).scalars())


def emails(host):
    with host.engine.connect() as connection:
        return sorted(connection.execute(select(addresses.c.email)).scalars())


def fails():
    raise KeyError(SECRET)  # the place that is logged


def coroutine():
    async def later():
        raise Refused("no", "No.")

    return later()


async def _asynchronous_generator():
    yield


class Wordless(Refused):
    def __init__(self):
        pass


class Hooked:
    """One implementation of one hook."""

    def __init__(self, hook, function, **options):
        setattr(self, hook, hookimpl(specname=hook, **options)(function))


def lines(caplog):
    """Without those of slow implementations, which depend on the machine."""
    told = [record.getMessage() for record in caplog.records if record.name.startswith("authhost")]
    return [line for line in told if "was slow" not in line]


def place_of(comment):
    (line,) = [
        number
        for number, text in enumerate(HERE.read_text().splitlines(), 1)
        if text.endswith(f"# {comment}")
    ]
    return f"{HERE}:{line}"


LOOP = asyncio.new_event_loop()
RESULTS = {
    "False": lambda: False,
    "True": lambda: True,
    "text": lambda: "no",
    "Refused": lambda: Refused("no", "No."),
    "the class Refused": lambda: Refused,
    "a coroutine": coroutine,
    "a generator": lambda: (each for each in ()),
    "an async generator": _asynchronous_generator,
    "a future": lambda: asyncio.Future(loop=LOOP),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hook", ["before_signup", "before_login"])
@pytest.mark.parametrize("result", RESULTS)
def test_a_veto_that_returns_something_refuses(make_host, run, caplog, hook, result):
    host = make_host({"gate": Hooked(hook, lambda request: RESULTS[result]())})
    with pytest.raises(Vetoed) as raised:
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert raised.value.fields == {"plugin": "gate", "plugin_code": "plugin_failed"}
    assert emails(host) == []
    assert host.plugin_stats()["gate", hook].failures == 1
    (line,) = lines(caplog)
    assert line.startswith(f"plugin gate failed in {hook}: UnusableResult (it returned a ")
    assert f"at {HERE}:" in line


@pytest.mark.parametrize("hook", ["before_signup", "before_login"])
@pytest.mark.parametrize("error", [KeyError, SystemExit, Vetoed, RequiredPluginFailed])
def test_a_veto_that_fails_refuses_and_is_logged_and_counted(make_host, run, caplog, hook, error):
    def gate(request):
        request.insert(notes, {"text": "gone"})
        request.db.execute(notes.insert().values(text="gone, too"))
        raise error(SECRET, SECRET) if error is RequiredPluginFailed else error(SECRET)

    host = make_host({"gate": Hooked(hook, gate)}, email_verification="none")
    notes.create(host.engine)
    with pytest.raises(Vetoed) as raised:
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert raised.value.fields == {"plugin": "gate", "plugin_code": "plugin_failed"}
    assert SECRET not in str(raised.value)
    assert stored(host) == []
    stats = host.plugin_stats()["gate", hook]
    assert (stats.calls, stats.failures) == (1, 1)
    (line,) = lines(caplog)
    assert re.fullmatch(
        rf"plugin gate failed in {hook}: {error.__name__} at {HERE}:\d+ \(request [0-9a-f-]{{36}}\)", line
    )


@pytest.mark.parametrize("hook", ["before_signup", "before_login"])
def test_a_refusal_is_no_failure(make_host, run, caplog, hook):
    def gate():
        raise Refused("no", "No.")

    host = make_host({"gate": Hooked(hook, gate)})
    with pytest.raises(Vetoed, match="No"):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert host.plugin_stats()["gate", hook].failures == 0
    assert lines(caplog) == []


def test_a_refusal_without_a_code_is_a_failure(make_host, run, caplog):
    def gate():
        raise Wordless

    host = make_host({"gate": Hooked("before_login", gate)}, email_verification="none")
    with pytest.raises(Vetoed) as raised:
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert raised.value.fields["plugin_code"] == "plugin_failed"
    assert host.plugin_stats()["gate", "before_login"].failures == 1
    assert "plugin gate failed in before_login: AttributeError" in caplog.text


def calls_fails(*arguments):
    fails()


def wraps_early(request):
    fails()
    yield


def wraps_late(request):
    yield
    fails()


def wraps_never(request):
    if request is None:
        yield


def wraps_twice(request):
    yield
    yield


def after_commit(request):
    request.on_commit(fails)


FAILING = {
    "user_signed_up": (calls_fails, {}, "user_signed_up"),
    "early": (wraps_early, {"wrapper": True}, "user_signed_up"),
    "late": (wraps_late, {"wrapper": True}, "user_signed_up"),
    "after": (after_commit, {}, "on_commit"),
}


def bound(hook, function):
    """``function``, with the arguments of a hook."""
    names = {"function": function, "__name__": __name__}
    given = {"user_signed_up": "request, user", "host_started": "host", "host_stopping": "host"}[hook]
    exec(f"def called({given}): return function({given.split(',')[0]})", names)
    return names["called"]


@pytest.mark.parametrize("kind", FAILING)
def test_a_failure_is_logged_with_its_place_and_without_its_text(make_host, run, caplog, kind):
    function, options, name = FAILING[kind]
    plugin = Hooked("user_signed_up", function if options else bound("user_signed_up", function), **options)
    host = make_host({"door": plugin})
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    (line,) = lines(caplog)
    place = re.escape(place_of("the place that is logged"))
    assert re.fullmatch(
        rf"plugin door failed in {name}: KeyError at {place} \(request [0-9a-f-]{{36}}\)", line
    )
    assert SECRET not in caplog.text
    assert (host.plugin_stats()["door", name].calls, host.plugin_stats()["door", name].failures) == (1, 1)


@pytest.mark.parametrize("hook", ["host_started", "host_stopping"])
def test_a_failure_at_the_start_or_the_end_of_a_host(make_host, caplog, hook):
    host = make_host({"door": Hooked(hook, bound(hook, calls_fails))})
    host.close()
    assert lines(caplog) == [
        f"plugin door failed in {hook}: KeyError at {place_of('the place that is logged')} (request -)"
    ]


@pytest.mark.parametrize(
    ("function", "why"),
    [(wraps_never, "it has ended without a yield"), (wraps_twice, "it has a second yield")],
)
def test_a_wrapper_without_exactly_one_yield_is_a_failure(make_host, run, caplog, function, why):
    host = make_host({"door": Hooked("user_signed_up", function, wrapper=True)})
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert f"plugin door failed in user_signed_up: UnusableResult ({why}) at {HERE}:" in caplog.text
    assert host.plugin_stats()["door", "user_signed_up"].failures == 1
    host = make_host({"door": Hooked("user_signed_up", function, wrapper=True)}, required_plugins=("door",))
    with pytest.raises(RequiredPluginFailed):
        run(host, "signup", email="bob@example.org", password=PASSWORD)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("result", ["a coroutine", "a generator", "an async generator"])
@pytest.mark.parametrize("required", [(), ("door",)])
def test_a_notification_that_returns_what_never_runs_has_failed(make_host, run, caplog, result, required):
    def signed_up(request):
        request.insert(notes, {"text": "gone"})
        return RESULTS[result]()

    host = make_host({"door": Hooked("user_signed_up", signed_up)}, required_plugins=required)
    notes.create(host.engine)
    if required:
        with pytest.raises(RequiredPluginFailed):
            run(host, "signup", email="ann@example.org", password=PASSWORD)
    else:
        assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert stored(host) == []
    assert host.plugin_stats()["door", "user_signed_up"].failures == 1
    assert "plugin door failed in user_signed_up: UnusableResult (it returned a " in caplog.text


@pytest.mark.parametrize("result", ["True", "False", "text"])
def test_other_results_of_a_notification_are_ignored(make_host, run, caplog, result):
    host = make_host({"door": Hooked("user_signed_up", lambda request: RESULTS[result]())})
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert lines(caplog) == []


# Deliveries. Without the recorder's, which takes every message.


@pytest.fixture
def signup(make_host, run, recorder):
    def signup(**plugins):
        recorder_off = {"blocked_plugins": ("recorder",)}
        host = make_host(plugins, email_verification="mandatory", **recorder_off)
        notes.create(host.engine)
        return host, lambda: run(host, "signup", email="ann@example.org", password=PASSWORD)

    return signup


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("result", ["a coroutine", "a generator", "an async generator", "a future"])
def test_a_delivery_whose_end_is_not_known_has_failed(signup, caplog, result):
    def deliver(request, message):
        request.insert(notes, {"text": "gone"})
        return RESULTS[result]()

    host, sign_up = signup(post=Hooked("deliver_message", deliver))
    with pytest.raises(DeliveryFailed):
        sign_up()
    assert (emails(host), stored(host)) == ([], [])
    assert host.plugin_stats()["post", "deliver_message"].failures == 1
    assert "plugin post failed in deliver_message: UnusableResult (it returned a " in caplog.text


def test_a_delivery_that_fails_is_logged_and_counted(signup, caplog):
    def deliver(message):
        fails()

    host, sign_up = signup(post=Hooked("deliver_message", deliver))
    with pytest.raises(DeliveryFailed):
        sign_up()
    assert host.plugin_stats()["post", "deliver_message"].failures == 1
    (line,) = lines(caplog)
    assert line.startswith(
        f"plugin post failed in deliver_message: KeyError at {place_of('the place that is logged')} (request "
    )


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_wrapper_of_deliveries_that_fails_is_logged_and_counted(signup, caplog, when):
    def wraps(request, message):
        request.insert(notes, {"text": "gone"})
        if when == "early":
            fails()
        taken = yield
        fails()
        return taken

    taker = Hooked("deliver_message", lambda message: True)
    host, sign_up = signup(post=taker, wraps=Hooked("deliver_message", wraps, wrapper=True))
    with pytest.raises(DeliveryFailed):
        sign_up()
    assert stored(host) == []
    assert host.plugin_stats()["wraps", "deliver_message"].failures == 1
    (line,) = lines(caplog)
    assert (
        f"plugin wraps failed in deliver_message: KeyError at {place_of('the place that is logged')}" in line
    )


def test_a_delivery_that_fails_is_no_failure_of_its_wrapper(signup, caplog):
    def deliver(message):
        fails()

    def wraps(message):
        return (yield)

    wrapper = Hooked("deliver_message", wraps, wrapper=True)
    host, sign_up = signup(post=Hooked("deliver_message", deliver), wraps=wrapper)
    with pytest.raises(DeliveryFailed):
        sign_up()
    stats = host.plugin_stats()
    assert (stats["post", "deliver_message"].failures, stats["wraps", "deliver_message"].failures) == (1, 0)
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize(
    "hook", ["before_signup", "before_login", "deliver_message", "user_signed_up", "late"]
)
def test_a_slow_implementation_is_named(make_host, run, caplog, hook):
    caplog.set_level(logging.WARNING)

    def asked(request):
        return True if hook == "deliver_message" else None

    def wraps(request):
        return (yield)

    made = Hooked("user_signed_up", wraps, wrapper=True) if hook == "late" else Hooked(hook, asked)
    host = make_host({"slow": made}, slow_hook=0.0)
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    name = "user_signed_up" if hook == "late" else hook
    assert re.search(rf"plugin slow was slow in {name}: \d+ ms", caplog.text)


# A flow that is called inside a hook.


def outer(then):
    def user_signed_up(request, user):
        if user.email != "ann@example.org":
            return
        request.db.execute(notes.insert().values(text="before"))
        request.host.account.signup(request, email="bob@example.org", password=PASSWORD)
        request.db.execute(notes.insert().values(text="after"))
        request.insert(notes, {"text": "queued"})
        then(request)

    return Hooked("user_signed_up", user_signed_up)


class Inner:
    """Writes in the hooks of both flows; fails in that of the inner one where it is told to."""

    def __init__(self, *failing):
        self.failing = failing

    @hookimpl
    def account_ready(self, request, user):
        request.db.execute(notes.insert().values(text=f"ready {user.email[:3]}"))
        if user.email in self.failing:
            raise ValueError


def test_a_flow_inside_a_hook_is_undone_when_the_hook_fails(make_host, run):
    host = make_host({"inner": Inner(), "outer": outer(lambda request: fails())}, email_verification="none")
    notes.create(host.engine)
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert emails(host) == ["ann@example.org"]
    assert stored(host) == ["ready ann"]


@pytest.mark.parametrize("then", ["login", "logout"])
def test_who_is_logged_in_is_undone_with_a_flow_inside_a_hook(make_host, run, then):
    seen = []

    def first(request, user):
        if seen:
            return
        seen.append(request.user.email)
        request.host.account.logout(request)
        if then == "login":
            request.host.account.login(request, identifier="bob@example.org", password=PASSWORD)
        seen.append(request.user and request.user.email)
        fails()

    def second(request, user):
        seen.append(request.user.email)

    host = make_host({"a": Hooked("user_logged_in", first), "b": Hooked("user_logged_in", second)})
    seen.append("not yet")
    run(host, "signup", email="bob@example.org", password=PASSWORD)
    seen.clear()
    with host.request() as request:
        result = host.account.signup(request, email="ann@example.org", password=PASSWORD)
        assert request.user.email == "ann@example.org"
    inside = ["bob@example.org"] * 2 if then == "login" else [None]
    assert seen == ["ann@example.org", *inside, "ann@example.org"]
    with host.request(session_token=result.session_token) as request:
        assert request.user.email == "ann@example.org"


def test_a_flow_inside_a_hook_is_kept_when_the_hook_ends_well(make_host, run, caplog):
    host = make_host({"inner": Inner(), "outer": outer(lambda request: None)}, email_verification="none")
    notes.create(host.engine)
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert emails(host) == ["ann@example.org", "bob@example.org"]
    assert stored(host) == ["after", "before", "queued", "ready ann", "ready bob"]
    assert lines(caplog) == []


def test_a_hook_of_a_flow_inside_a_hook_fails_by_itself(make_host, run):
    inner = Inner("bob@example.org")
    host = make_host({"inner": inner, "outer": outer(lambda request: None)}, email_verification="none")
    notes.create(host.engine)
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert emails(host) == ["ann@example.org", "bob@example.org"]
    assert stored(host) == ["after", "before", "queued", "ready ann"]


def test_a_refused_flow_inside_a_hook_undoes_itself_alone(make_host, run):
    def again(request):
        with pytest.raises(EmailTaken):
            request.host.account.signup(request, email="bob@example.org", password=PASSWORD)
        request.db.execute(notes.insert().values(text="went on"))

    host = make_host({"inner": Inner(), "outer": outer(again)}, email_verification="none")
    notes.create(host.engine)
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert emails(host) == ["ann@example.org", "bob@example.org"]
    assert stored(host) == ["after", "before", "queued", "ready ann", "ready bob", "went on"]


def test_what_a_plugin_commits_itself_is_undone_with_its_call(make_host, run):
    def user_signed_up(request):
        request.db.execute(notes.insert().values(text="gone"))
        request.db.commit()
        fails()

    host = make_host({"door": Hooked("user_signed_up", user_signed_up)})
    notes.create(host.engine)
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).authenticated
    assert stored(host) == []


def test_what_the_application_wrote_stays_when_a_flow_inside_a_hook_is_undone(make_host):
    host = make_host({"outer": outer(lambda request: fails())}, email_verification="none")
    notes.create(host.engine)
    with host.request() as request:
        request.db.execute(notes.insert().values(text="the application's"))
        host.account.signup(request, email="ann@example.org", password=PASSWORD)
        request.db.execute(notes.insert().values(text="and more"))
    assert stored(host) == ["and more", "the application's"]
    assert emails(host) == ["ann@example.org"]


# What the operator is told.


def test_check_lists_who_can_refuse(make_host, run):
    def breaks():
        fails()

    def asks(request): ...

    class Words:
        @hookimpl
        def check_password(self, request, password): ...

    plugins = {
        "both": Both(),
        "login": Hooked("before_login", breaks),
        "words": Words(),
        "none": Hooked("user_logged_in", asks),
    }
    host = make_host(plugins)
    assert [each[:3] for each in problems(host) if "can refuse" in each.problem] == [
        (
            "hint",
            "plugin both can refuse logins and signups (before_login, before_signup)",
            "if this is not intended, add both to blocked_plugins",
        ),
        (
            "hint",
            "plugin login can refuse logins (before_login)",
            "if this is not intended, add login to blocked_plugins",
        ),
        (
            "hint",
            "plugin words can refuse new passwords (check_password)",
            "if this is not intended, add words to blocked_plugins",
        ),
    ]
    assert set(REFUSED) == VETOES
    with pytest.raises(Vetoed):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert any("failed 1 times so far" in each.problem for each in problems(host))


class Both:
    @hookimpl
    def before_signup(self): ...

    @hookimpl
    def before_login(self): ...
