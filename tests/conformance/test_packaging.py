"""The suite reports faults of a plugin's distribution and of its hooks' signatures."""

from __future__ import annotations

import inspect
import json
import logging
from dataclasses import dataclass
from functools import wraps

import pluggy
import pytest
from authhost_hookspecs import Refused, hookimpl
from click.testing import CliRunner
from test_loading import REFUSED

from authhost.cli.main import cli
from authhost.testing.conformance import CHECKS, CheckedPlugin, find_plugin, runner
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import run_check
from conformance.plugins import CONTRACT, FaultlessPlugin, UnknownHook, ids_of


class WrongArgument:
    @hookimpl
    def user_logged_in(self, request, account): ...


class AsyncHook:
    @hookimpl
    async def user_logged_in(self, user): ...


class DefaultValue:
    @hookimpl
    def user_logged_in(self, user=None): ...


class NoMarker:
    def user_logged_out(self, user): ...

    @hookimpl
    def user_logged_in(self, user): ...


class MarkerOfOtherProject:
    @pluggy.HookimplMarker("pytest")
    def user_logged_out(self, user): ...

    @hookimpl
    def user_logged_in(self, user): ...


class GeneratorVeto:
    @hookimpl
    def before_login(self, user):
        raise Refused("no", "No.")
        yield


def decorated(function):
    @wraps(function)
    def inner(*arguments):
        return function(*arguments)

    return inner


class DecoratedAsyncHook:
    @hookimpl
    @decorated
    async def before_login(self, user):
        raise Refused("no", "No.")


class VetoWrapper:
    @hookimpl(wrapper=True)
    def before_login(self, user):
        return (yield)


@dataclass(frozen=True)
class RequiredSettings:
    token: str


class RequiresSetting:
    @hookimpl
    def register_settings(self):
        return RequiredSettings

    @hookimpl
    def user_logged_in(self, user): ...


FAULTS = [
    (UnknownHook, "accepted", "there is no hook 'user_loged_in'; did you mean 'user_logged_in'"),
    (WrongArgument, "accepted", "its arguments are (request, user)"),
    (AsyncHook, "accepted", "user_logged_in is an async def"),
    (DefaultValue, "accepted", "user_logged_in gives user a default"),
    (NoMarker, "accepted", "user_logged_out has the name of a hook but no marker"),
    (MarkerOfOtherProject, "accepted", "the marker of project 'pytest'"),
    (GeneratorVeto, "accepted", "before_login is a generator, whose body would never run"),
    (DecoratedAsyncHook, "accepted", "before_login decorates an async def"),
    (VetoWrapper, "accepted", "before_login may not be wrapped"),
    (RequiresSetting, "accepted", "token"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message, located=True)


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_the_host_refuses_is_reported(new_context, number):
    make, sentence = REFUSED[number]
    verdict = run_check("accepted", new_context(make()))
    assert verdict.outcome == "failed"
    assert any(sentence in str(fault) for fault in verdict.faults), verdict


def test_name_that_no_table_can_have(provider, tmp_path):
    plugin = CheckedPlugin("new-device", FaultlessPlugin())
    verdict = run_check("accepted", CheckContext(plugin, tmp_path, provider))
    assert "its name 'new-device' cannot be part of" in str(verdict.faults[0])


def test_optional_hook_of_a_newer_contract_is_a_note(new_context):
    class Newer:
        @hookimpl
        def user_logged_in(self): ...

        @hookimpl(optionalhook=True)
        def of_next_year(self): ...

    verdict = run_check("accepted", new_context(Newer()))
    assert verdict.outcome == "passed"
    (fault,) = verdict.faults
    assert str(fault).startswith("of_next_year: is not called")


# Installed distributions.

PLUGIN = (
    inspect.getsource(FaultlessPlugin)
    .replace("(WithTable)", "")
    .replace("request.insert", "(lambda *_: None)")
)
SOURCE = f"""
import threading
from authhost_hookspecs import Request, User, hookimpl
notes = None
{PLUGIN}
plugin = FaultlessPlugin()
"""
CLASS = SOURCE.replace("plugin = FaultlessPlugin()", "plugin = FaultlessPlugin")


@pytest.mark.parametrize(
    ("source", "requires", "check", "message"),
    [
        (SOURCE, ["authhost-hookspecs>=7"], "accepted", "it needs contract >=7, this host has 1."),
        ("import no_such_module\n", [CONTRACT], "accepted", "cannot be imported (ModuleNotFoundError"),
        ("from authhost_hookspecs import hookimpl\n", [CONTRACT], "accepted", "has no attribute 'plugin'"),
        (CLASS, [CONTRACT], "accepted", "it is the class FaultlessPlugin"),
        (
            SOURCE + "import click\n",
            [CONTRACT],
            "independent",
            "No module named 'click'; add what is missing",
        ),
        (
            SOURCE + "import authhost\n",
            [CONTRACT],
            "independent",
            "imports authhost; import only the contract",
        ),
        (SOURCE, [], "independent", "does not declare authhost-hookspecs; add it"),
        (SOURCE, [CONTRACT, "authhost"], "independent", "depends on authhost; depend on authhost-hookspecs"),
    ],
)
def test_fault_of_a_distribution_is_reported(install, provider, tmp_path, source, requires, check, message):
    install(source, *requires)
    verdict = run_check(check, CheckContext(find_plugin("planted"), tmp_path, provider))
    assert verdict.outcome == "failed", verdict
    assert any(message in str(fault) for fault in verdict.faults), verdict


IMPORTS_LATER = """
import logging
from authhost_hookspecs import hookimpl

class Plugin:
    @hookimpl
    def user_logged_in(self, user):
        def rarely():
            import click

plugin = Plugin()
"""
SETS_LEVEL = "logging.getLogger().setLevel(logging.DEBUG)\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (IMPORTS_LATER + "print('hello')\n", "prints 'hello' when it is imported"),
        (IMPORTS_LATER + SETS_LEVEL, "changes logging of the whole process when it is imported"),
        (IMPORTS_LATER, "imports click, which planted_plugin does not declare"),
    ],
)
def test_fault_at_import_is_reported(install, provider, tmp_path, source, message, monkeypatch):
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    install(source, CONTRACT)
    verdict = run_check("independent", CheckContext(find_plugin("planted"), tmp_path, provider))
    assert verdict.outcome == "failed"
    assert any(message in str(fault) for fault in verdict.faults), verdict


def test_optional_import_need_not_be_declared(install, provider, tmp_path):
    source = IMPORTS_LATER.replace(
        "import click", "try:\n                import click\n            except ImportError: ..."
    )
    install(source, CONTRACT)
    verdict = run_check("independent", CheckContext(find_plugin("planted"), tmp_path, provider))
    assert verdict.outcome == "passed"


def test_print_at_import_does_not_break_the_json_report(install, monkeypatch):
    monkeypatch.setattr(runner, "CHECKS", {each: CHECKS[each] for each in ("accepted", "independent")})
    monkeypatch.setattr("faulthandler.enable", lambda: None)  # it needs a real standard error
    install(IMPORTS_LATER.replace("import click", "...") + "print('hello')\n", CONTRACT)
    result = CliRunner().invoke(cli, ["plugins", "check", "planted", "--json"])
    assert json.loads(result.stdout)["passed"] is False


def test_location_in_a_namespace_package(provider, tmp_path, monkeypatch):
    package = tmp_path / "planted_space" / "part"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import authhost\nplugin = object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import planted_space.part

    plugin = CheckedPlugin("part", planted_space.part.plugin, entry_point="planted_space.part:plugin")
    (fault, *_) = run_check("independent", CheckContext(plugin, tmp_path, provider)).faults
    assert (fault.where, plugin.root) == ("__init__.py:1", package)
