"""Each planted fault is found, by a message that names it."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest
from authhost_hookspecs import hookimpl
from test_loading import REFUSED

from authhost.testing.conformance import CHECKS, NoSuchPlugin, PluginUnderTest, find_plugin, runner
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import run_check
from conformance import faulty

PLANTED = [
    (faulty.UnknownHook, "accepted", "there is no hook 'user_loged_in'; did you mean 'user_logged_in'"),
    (faulty.WrongArgument, "accepted", "its arguments are (request, user)"),
    (faulty.Asynchronous, "accepted", "user_logged_in is an async def"),
    (faulty.Defaulted, "accepted", "user_logged_in gives user a default"),
    (faulty.Undecorated, "accepted", "user_logged_out bears a hook's name but is not decorated"),
    (faulty.OthersMarker, "accepted", "the marker of project 'pytest'"),
    (faulty.GeneratorVeto, "accepted", "before_login is a generator, whose body would never run"),
    (faulty.DecoratedAsynchronous, "accepted", "before_login decorates an async def"),
    (faulty.StaticVeto, "failures", "before_login: raised KeyError: 'planted'"),
    (faulty.VetoWrapper, "accepted", "before_login may not be wrapped"),
    (faulty.UnusableSettings, "accepted", "token"),
    (faulty.ForeignTable, "declarations", "the name of table note may belong to another application"),
    (faulty.StaleMigration, "declarations", "forgotten"),
    (faulty.BrokenCommands, "declarations", "register_commands: failed: RuntimeError: no such module"),
    (faulty.TakenCommand, "declarations", "command 'db' is a command of authhost itself"),
    (
        faulty.Raises,
        "failures",
        "email_changed: raised ZeroDivisionError: planted in 'Change the unverified address'",
    ),
    (faulty.Exits, "failures", "user_logged_in: raised SystemExit"),
    (faulty.FailsLater, "failures", "a callback of request.on_commit raised ZeroDivisionError"),
    (faulty.BadRow, "failures", "raised ValueError: authhost_faulty_note has no column"),
    (faulty.Vetoes, "outcomes", "'Confirm the address' ends with"),
    (faulty.Vetoes, "failures", "before_login: raised KeyError"),
    (faulty.KeepsMessages, "outcomes", "delivery_failed"),
    (faulty.NeedsEmail, "edges", "raised AttributeError: 'NoneType' object has no attribute 'lower'"),
    (faulty.NeedsUser, "edges", "flow_refused: raised AttributeError"),
    (faulty.ChangesUser, "arguments", "user_logged_in: changes its argument user"),
    (faulty.ChangesRequest, "arguments", "user_signed_up: changes its argument request"),
    (faulty.Slow, "times", "user_logged_in: takes at least 1"),
    (faulty.OwnConnection, "rollback", "rows of authhost_faulty_note survive a rollback"),
    (faulty.LockedOut, "failures", "it writes through its own connection"),
    (faulty.HandsOver, "rollback", "rows of authhost_faulty_note survive a rollback"),
    (faulty.Connects, "outside", "user_logged_in: uses the network before the commit"),
    (faulty.Writes, "outside", "user_logged_in: writes a file before the commit"),
    (faulty.Starts, "outside", "user_logged_in: starts a process before the commit"),
    (faulty.OneHost, "hosts", "a signup at one host changes rows of authhost_faulty_note of another"),
    (faulty.GlobalLock, "threads", "user_logged_in: holds a lock while it uses the request"),
    (faulty.LeavesLocked, "threads", "does not return within 5 seconds"),
    (faulty.Hangs, "outcomes", "does not return within 5 seconds"),
    (faulty.KeepsRequest, "threads", "user_logged_in: uses the request of another thread"),
    (faulty.UsesThread, "threads", "user_logged_in: uses the request of another thread"),
    (faulty.StoresToken, "secrets", "a provider's token is stored in authhost_faulty_note.text"),
    (faulty.StoresSession, "secrets", "a session token is stored in authhost_faulty_note.text"),
    (faulty.LogsKey, "secrets", "the key of a message is logged"),
    (faulty.PrintsKey, "secrets", "the key of a message is printed"),
]


@pytest.mark.parametrize(
    ("kind", "check", "message"), PLANTED, ids=[f"{kind.__name__}-{check}" for kind, check, _ in PLANTED]
)
def test_a_planted_fault_is_named(trial, kind, check, message, monkeypatch):
    if kind in (faulty.Hangs, faulty.LeavesLocked):
        monkeypatch.setattr(runner, "DEADLINE", 5.0)
    verdict = run_check(check, trial(kind()))
    assert verdict.outcome == "failed", verdict
    assert any(message in str(fault) for fault in verdict.faults), verdict


def test_the_place_of_a_fault(trial):
    (fault,) = run_check("failures", trial(faulty.Raises())).faults
    lines = Path(faulty.__file__).read_text().splitlines()
    file, _, line = fault.where.partition(":")
    assert (file, lines[int(line) - 1].strip()) == ("faulty.py", 'raise ZeroDivisionError("planted")')


@pytest.mark.parametrize("check", CHECKS)
def test_one_without_fault_passes(trial, check):
    verdict = run_check(check, trial(faulty.Good()))
    assert verdict.outcome == "passed", verdict


def test_a_decision_is_no_fault(trial):
    verdict = run_check("outcomes", trial(faulty.Decides()))
    assert verdict.outcome == "passed"
    assert [fault.note for fault in verdict.faults] == [True, True]
    assert "'Sign up' was ended by the plugin on purpose" in str(verdict.faults[0])


def test_a_name_that_no_table_can_have(provider, tmp_path):
    verdict = run_check(
        "accepted", CheckContext(PluginUnderTest("new-device", faulty.Good()), tmp_path, provider)
    )
    assert "its name 'new-device' cannot be part of" in str(verdict.faults[0])


def test_what_counts_too_early_is_a_note(trial):
    verdict = run_check("rollback", trial(faulty.CountsEarly()))
    assert verdict.outcome == "passed"
    assert "counts in memory what was rolled back (logins)" in str(verdict.faults[0])


def test_one_that_is_refused_is_not_tried(trial):
    verdict = run_check("outcomes", trial(faulty.UnknownHook()))
    assert verdict.outcome == "skipped"


def test_a_check_that_breaks_is_a_fault(trial, monkeypatch):
    made = trial(faulty.Good())
    monkeypatch.setattr(made, "_with_plugin", SimpleNamespace(rows=None, secrets={}))
    verdict = run_check("secrets", made)
    assert verdict.outcome == "failed"
    assert "ended with AttributeError" in str(verdict.faults[0])


# Installed ones.

GOOD = inspect.getsource(faulty.Good).replace("(Tabled)", "").replace("request.insert", "(lambda *_: None)")
SOURCE = f"""
import threading
from authhost_hookspecs import Request, User, hookimpl
notes = None
{GOOD}
plugin = Good()
"""


CONTRACT = "authhost-hookspecs>=1.0,<2"


@pytest.mark.parametrize(
    ("source", "requires", "check", "message"),
    [
        (SOURCE, ["authhost-hookspecs>=7"], "accepted", "it needs contract >=7, this host has 1."),
        ("import no_such_module\n", [CONTRACT], "accepted", "does not import (ModuleNotFoundError"),
        ("from authhost_hookspecs import hookimpl\n", [CONTRACT], "accepted", "has no attribute 'plugin'"),
        (SOURCE.replace("plugin = Good()", "plugin = Good"), [CONTRACT], "accepted", "it is the class Good"),
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
        (SOURCE, [], "independent", "does not declare authhost-hookspecs"),
        (
            SOURCE,
            [CONTRACT, "authhost"],
            "independent",
            "depends on authhost; depend on authhost-hookspecs instead",
        ),
    ],
)
def test_a_fault_of_a_distribution_is_named(install, provider, tmp_path, source, requires, check, message):
    install(source, *requires)
    verdict = run_check(check, CheckContext(find_plugin("planted"), tmp_path, provider))
    assert verdict.outcome == "failed", verdict
    assert any(message in str(fault) for fault in verdict.faults), verdict


def test_a_plugin_that_is_not_there():
    with pytest.raises(NoSuchPlugin, match="no installed plugin is named 'nobody'"):
        find_plugin("nobody")


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_the_loader_refuses_is_found(trial, number):
    make, sentence = REFUSED[number]
    verdict = run_check("accepted", trial(make()))
    assert verdict.outcome == "failed"
    assert any(sentence in str(fault) for fault in verdict.faults), verdict


def test_an_optional_hook_of_another_contract_is_noted(trial):
    class Newer:
        @hookimpl
        def user_logged_in(self): ...

        @hookimpl(optionalhook=True)
        def of_next_year(self): ...

    verdict = run_check("accepted", trial(Newer()))
    assert verdict.outcome == "passed"
    (fault,) = verdict.faults
    assert str(fault).startswith("of_next_year: is not called")
