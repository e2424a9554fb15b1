"""Hooks that plugins publish: accepted, or refused with a reason; called like other notifications."""

from __future__ import annotations

import json
import logging

import pytest
from authhost_hookspecs import hookimpl, hookspec
from click.testing import CliRunner
from conftest import PASSWORD
from sqlalchemy import Column, MetaData, String, Table, select

from authhost.cli.main import cli
from authhost.errors import ConfigurationError, RequiredPluginFailed, UnitOfWorkClosed
from authhost.pluginhost.discovery import PluginRegistry
from authhost.settings import Settings
from authhost.testing import Clock, open_host

DOCSTRING = """Somebody has rung the bell.

    Stored: nothing.

    .. versionadded:: 0.2

    Example::

        class Butler:
            @hookimpl(optionalhook=True)
            def bell_rung(self, visitor): ...
    """
rings = Table("published_ring", MetaData(), Column("who", String(40), primary_key=True))


def spec(function, **options):
    function.__doc__ = DOCSTRING
    return hookspec(**options)(function) if options else hookspec(function)


@spec
def bell_rung(request, visitor, mark): ...


class Bell:
    """Publishes ``bell_rung``, and calls it at each login."""

    def __init__(self, *specs, fails=False):
        self.specs, self.fails, self.errors = list(specs) or [bell_rung], fails, []

    @hookimpl
    def register_hookspecs(self):
        return self.specs

    @hookimpl
    def user_logged_in(self, request, user):
        request.call_hook("bell_rung", visitor=user.username, mark="loud")
        if self.fails:
            raise KeyError


class Butler:
    def __init__(self, name="butler", error=None):
        self.name, self.error, self.heard = name, error, []

    @hookimpl
    def bell_rung(self, request, visitor, mark):
        request.insert(rings, {"who": f"{self.name} heard {visitor}"})
        request.db.execute(rings.insert().values(who=f"{self.name} saw {visitor}"))
        self.heard.append((visitor, mark, request.caller.name))
        if self.error is not None:
            raise self.error


class OptionalButler:
    def __init__(self):
        self.heard = []

    @hookimpl(optionalhook=True)
    def bell_rung(self, visitor):
        self.heard.append(visitor)

    @hookimpl
    def host_started(self): ...


def registry(plugins, **settings):
    return PluginRegistry(Settings(secret_key="k" * 48, **settings), plugins, discover=False)


def statuses(plugins, **settings):
    return {each.name: (each.status, each.reason) for each in registry(plugins, **settings).records}


@pytest.fixture
def opened(tmp_path):
    hosts = []

    def open_one(plugins, **settings):
        url = f"sqlite:///{tmp_path / f'{len(hosts)}.sqlite3'}"
        host = open_host(url, plugins, clock=Clock(), email_verification="none", **settings)
        hosts.append(host)
        rings.create(host.engine)
        return host

    yield open_one
    for host in hosts:
        host.close()


def sign_up(host, name="ann"):
    with host.request() as request:
        host.account.signup(request, username=name, email=f"{name}@example.org", password=PASSWORD)


def stored(host):
    with host.engine.connect() as connection:
        return sorted(connection.execute(select(rings.c.who)).scalars())


def test_published_hook_is_called_with_its_arguments(opened):
    butler, maid = Butler(), Butler("maid")
    host = opened({"bell": Bell(), "a-butler": butler, "z-maid": maid})  # also plugins before the publisher
    sign_up(host)
    assert (butler.heard, maid.heard) == ([("ann", "loud", "a-butler")], [("ann", "loud", "z-maid")])
    assert len(stored(host)) == 4
    stats = host.plugin_stats()
    assert stats["a-butler", "bell_rung"].calls == 1
    assert stats["a-butler", "bell_rung"].nanoseconds > 0


def test_failing_implementation_is_logged_counted_and_rolled_back(opened, caplog):
    broken, maid = Butler(error=KeyError("s3cret")), Butler("maid")
    host = opened({"bell": Bell(), "broken": broken, "maid": maid})
    sign_up(host)
    assert stored(host) == ["maid heard ann", "maid saw ann"]
    assert host.plugin_stats()["broken", "bell_rung"].failures == 1
    assert host.plugin_stats()["bell", "user_logged_in"].failures == 0
    assert "plugin broken failed in bell_rung: KeyError at " in caplog.text
    assert "s3cret" not in caplog.text


def test_failure_of_the_publisher_rolls_back_what_its_hook_has_caused(opened):
    host = opened({"bell": Bell(fails=True), "butler": Butler()})
    sign_up(host)
    assert stored(host) == []
    with host.request() as request:
        assert host.account.login(request, identifier="ann", password=PASSWORD).user.username == "ann"


def test_required_plugin_fails_closed_in_a_published_hook(opened):
    host = opened({"bell": Bell(), "butler": Butler(error=KeyError())}, required_plugins=("butler",))
    with pytest.raises(RequiredPluginFailed, match="required plugin 'butler' failed in bell_rung"):
        sign_up(host)
    assert stored(host) == []
    assert host.plugin_stats()["bell", "user_logged_in"].failures == 0


def test_required_plugin_fails_closed_inside_a_wrapper(opened):
    class Wrapping(Bell):
        @hookimpl(wrapper=True)
        def user_logged_in(self, request, user):
            request.call_hook("bell_rung", visitor=user.username, mark="loud")
            return (yield)

    host = opened({"bell": Wrapping(), "butler": Butler(error=KeyError())}, required_plugins=("butler",))
    with pytest.raises(RequiredPluginFailed):
        sign_up(host)


def test_published_hook_can_be_wrapped(opened):
    order = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def bell_rung(self, request, visitor):
            order.append("before")
            yield
            order.append(f"after {visitor}")

    host = opened({"bell": Bell(), "wrapper": Wrapper(), "butler": Butler()})
    sign_up(host)
    assert order == ["before", "after ann"]


def test_arguments_may_be_named_like_what_the_guard_uses(opened):
    @spec
    def all_names(request, caller, plugin, hook, stats, mark, started, result, error, function, call): ...

    heard = []

    class Listener:
        @hookimpl
        def all_names(self, caller, plugin, hook, stats, mark, started, result, error, function, call):
            heard.append((caller, plugin, hook, stats, mark, started, result, error, function, call))

    host = opened({"bell": Bell(bell_rung, all_names), "listener": Listener()})
    names = ("caller", "plugin", "hook", "stats", "mark", "started", "result", "error", "function", "call")
    with host.request() as request:
        request.call_hook("all_names", **{name: name for name in names})
    assert heard == [names]


# Who may call, and how.


def test_call_is_checked(opened):
    host = opened({"bell": Bell(), "butler": Butler()})
    with host.request() as request:
        with pytest.raises(ValueError, match="no plugin publishes the hook 'bell_wrung'"):
            request.call_hook("bell_wrung")
        with pytest.raises(ValueError, match="no plugin publishes the hook 'user_logged_in'"):
            request.call_hook("user_logged_in", user=None)
        with pytest.raises(TypeError, match=r"requires the arguments \(visitor, mark\), not \(visitor\)"):
            request.call_hook("bell_rung", visitor="x")
        with pytest.raises(TypeError, match=r"not \(visitor, mark, more\)"):
            request.call_hook("bell_rung", visitor="x", mark="y", more="z")
        request.call_hook("bell_rung", visitor="postman", mark="twice")
    assert stored(host) == ["butler heard postman", "butler saw postman"]
    with pytest.raises(UnitOfWorkClosed):
        request.call_hook("bell_rung", visitor="x", mark="y")


def test_other_plugin_cannot_call_it(opened):
    errors = []

    class Stranger:
        @hookimpl
        def user_logged_in(self, request, user):
            try:
                request.call_hook("bell_rung", visitor="me", mark="")
            except ValueError as error:
                errors.append(str(error))

    sign_up(opened({"bell": Bell(), "stranger": Stranger()}))
    assert errors == ["the plugin stranger cannot call bell_rung, which bell publishes"]


# Acceptance.


def test_unknown_hook_names_the_remedy():
    status, reason = statuses({"butler": Butler()})["butler"]
    assert status == "refused"
    assert "there is no hook 'bell_rung'" in reason
    assert (
        "If another plugin publishes it, install that plugin, or use @hookimpl(optionalhook=True)" in reason
    )


def test_optional_implementation_is_silent_without_the_publisher(opened, caplog):
    with caplog.at_level(logging.DEBUG):
        (record,) = registry({"butler": OptionalButler()}).records
    assert (record.status, record.unknown_hooks) == ("loaded", ("bell_rung",))
    assert {each.levelname for each in caplog.records} == {"DEBUG"}
    butler = OptionalButler()
    sign_up(opened({"bell": Bell(), "butler": butler}))
    assert butler.heard


def test_refused_publisher_publishes_nothing():
    class Odd(Bell):
        @hookimpl
        def user_loged_out(self): ...

    found = statuses({"a-butler": Butler(), "b-optional": OptionalButler(), "odd": Odd()})
    assert found["odd"][0] == found["a-butler"][0] == "refused"
    assert "the plugin odd, which publishes it, was refused; repair that plugin" in found["a-butler"][1]
    assert found["b-optional"] == ("loaded", None)
    (record, *_) = registry({"odd": Odd()}).records
    assert record.published == ()


def test_refusals_propagate_from_publisher_to_publisher():
    @spec
    def door_opened(request): ...

    class Odd(Bell):
        @hookimpl
        def user_loged_out(self): ...

    class Door:
        @hookimpl
        def register_hookspecs(self):
            return [door_opened]

        @hookimpl
        def bell_rung(self): ...

    class Guest:
        @hookimpl
        def door_opened(self): ...

    found = statuses({"guest": Guest(), "door": Door(), "odd": Odd()})
    assert {status for status, _ in found.values()} == {"refused"}
    assert "the plugin door, which publishes it, was refused" in found["guest"][1]


def test_blocked_publisher_publishes_nothing():
    found = statuses({"bell": Bell(), "butler": Butler()}, blocked_plugins=("bell",))
    assert found["butler"][0] == "refused"


def test_strict_host_refuses_to_start():
    with pytest.raises(ConfigurationError, match="plugin butler was refused: there is no hook 'bell_rung'"):
        registry({"butler": Butler()}, strict=True)


def test_second_publisher_of_a_name_is_refused():
    found = statuses({"bell": Bell(), "knocker": Bell(), "butler": Butler()})
    assert found["bell"][0] == found["butler"][0] == "loaded"
    assert found["knocker"][1].startswith("it publishes the hook bell_rung, which the plugin bell publishes")


def unmarked(request): ...


def undocumented(request):
    """Too short."""


async def asynchronous(request): ...


def without_request(visitor): ...


def with_default(request, visitor=None): ...


def with_keywords(request, **rest): ...


def private_argument(request, _visitor): ...


def register_bells(request): ...


def user_logged_in(request, user): ...


def named(name):
    def function(request, visitor): ...

    function.__name__ = name
    return function


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (unmarked, "its hook unmarked has no marker; decorate it with authhost_hookspecs.hookspec"),
        (hookspec(undocumented), "the docstring of undocumented lacks 'Stored: …', '.. versionadded:: …'"),
        (spec(asynchronous), "its hook asynchronous must be a plain function"),
        (spec(without_request), "its hook without_request must have request as its first argument"),
        (spec(with_default), "its hook with_default has the argument visitor, which must be a plain one"),
        (spec(with_keywords), "its hook with_keywords has the argument rest, which must be a plain one"),
        (spec(private_argument), "has the argument _visitor; it may not begin with _"),
        (spec(register_bells), "its hook register_bells has a reserved name"),
        (spec(named("class")), "its hook class cannot be implemented: Python has no function with this name"),
        (spec(named("\ufb00")), "cannot be implemented: Python has no function with this name"),
        (spec(user_logged_in), "its hook user_logged_in is a hook of the contract"),
        (spec(lambda request: None, firstresult=True), "is firstresult or historic"),
        ("bell_rung", "register_hookspecs returned a str; return functions decorated with @hookspec"),
    ],
)
def test_unusable_specification_is_refused(published, reason):
    status, shown = statuses({"bell": Bell(published)})["bell"]
    assert status == "refused"
    assert reason in shown


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (lambda self: [bell_rung, bell_rung], "it publishes the hook bell_rung twice"),
        (lambda self: None, "register_hookspecs must return a list, not NoneType"),
        (lambda self: 1 / 0, "register_hookspecs failed (ZeroDivisionError: division by zero)"),
    ],
)
def test_unusable_result_is_refused(result, reason):
    plugin = type("Odd", (), {"register_hookspecs": hookimpl(specname="register_hookspecs")(result)})()
    status, shown = statuses({"odd": plugin})["odd"]
    assert status == "refused"
    assert reason in shown


def test_wrong_argument_of_an_implementation_is_refused():
    class Wrong:
        @hookimpl
        def bell_rung(self, visitors): ...

    assert "bell_rung has the parameter visitors" in statuses({"bell": Bell(), "wrong": Wrong()})["wrong"][1]


def test_module_that_defines_its_specification_is_accepted():
    import types

    module = types.ModuleType("bell_module")
    module.bell_rung = bell_rung
    module.register_hookspecs = hookimpl(specname="register_hookspecs")(lambda: [bell_rung])
    assert statuses({"bell": module})["bell"] == ("loaded", None)


def test_trace_contains_no_text_of_the_arguments(opened):
    host = opened({"bell": Bell(), "butler": Butler()}, trace=True)
    lines = []
    host.registry.trace.write = lambda traced: lines.append(str(traced))
    sign_up(host, "secretname")
    (line,) = (each for each in lines if each.startswith("bell_rung("))
    assert line.startswith("bell_rung(visitor=<str>, mark=<str>)\n    butler")


# The command line.


def test_commands_show_the_publisher(monkeypatch):
    from authhost.cli import lazy_host

    found = registry({"bell": Bell(), "butler": Butler()})
    monkeypatch.setattr(lazy_host.LazyHost, "registry", lambda self: found)

    def authhost(*arguments):
        result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "100"})
        assert result.exit_code == 0, result.output
        return result.output

    rows = {row["hook"]: row for row in map(json.loads, authhost("hooks", "--json").splitlines())}
    assert (rows["bell_rung"]["published_by"], rows["bell_rung"]["plugins"]) == ("bell", "butler")
    assert rows["user_logged_in"]["published_by"] is None
    assert "published by bell; butler" in authhost("hooks")
    shown = authhost("hooks", "bell_rung")
    for part in ("def bell_rung(request, visitor, mark)", "since bell 0.2", "Published by: the plugin bell"):
        assert part in shown
    assert json.loads(authhost("hooks", "bell_rung", "--json"))["published_by"] == "bell"
    assert json.loads(authhost("plugins", "show", "bell", "--json"))["publishes"] == ["bell_rung"]
    (why,) = map(json.loads, authhost("plugins", "why", "bell_rung", "--json").splitlines())
    assert (why["plugin"], why["failure"]) == ("butler", "undone, logged and counted")
