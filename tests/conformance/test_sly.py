"""Faults that reach beyond the flow are found, with the place where they are."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from authhost import AuthHost
from authhost.testing.conformance import find_plugin
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import run_check
from conformance import sly

LOCK = "user_logged_in: holds a lock while it uses the request"
SLY = [
    (sly.SetsVariable, "process", "user_logged_in: changes the environment variable AUTHHOST_SLY"),
    (sly.ChangesFolder, "process", "user_logged_in: changes the working folder"),
    (sly.SetsLevel, "process", "host_started: changes the logger root"),
    (sly.Silences, "process", "user_logged_in: changes the logger authhost.plugins"),
    (sly.Patches, "process", "changes authhost.testing.host.TemplateDatabaseHost.request"),
    (sly.LeavesThread, "process", "still runs after the host has closed; end it in host_stopping"),
    (sly.EndsProcess, "failures", "email_changed: raised SystemExit: os._exit(0) ends the whole process"),
    (sly.LateAndSlow, "times", "user_logged_in: a callback of request.on_commit takes at least 1"),
    (sly.FailsLateForNobody, "edges", "flow_refused: a callback of request.on_commit raised AttributeError"),
    (sly.ReturnsVeto, "outcomes", "before_login: it returned a bool; a veto raises Refused"),
    (sly.ReturnsCoroutine, "outcomes", "user_logged_in: it returned a coroutine, whose body does not run"),
    (sly.MarksRequest, "arguments", "user_logged_in: changes its argument request"),
    (sly.WritesToHost, "outcomes", "user_logged_in: writes to the host's own table authhost_user"),
    (sly.BelievesAddress, "outcomes", "pre_social_login: logs in to the account that owns an address"),
    (sly.ChangesOutside, "rollback", "values written to authhost_faulty_note.text survive a rollback"),
    (sly.ReadsOtherHost, "hosts", "user_signed_up: uses the database of another host"),
    (sly.LocksInOneLine, "threads", LOCK),
    (sly.LosesCounts, "threads", "user_logged_in: loses counts of logins when two calls overlap"),
    (sly.Iterates, "threads", "user_logged_in: raised RuntimeError: dictionary changed size"),
    (sly.KeepsUser, "threads", "before_login: stores its argument user as current"),
    (sly.KeepsNumbers, "threads", "begun still holds id(request)"),
    (sly.WritesToken, "secrets", f"a provider's token is written to {sly.FILE}"),
    (sly.LogsPart, "secrets", "the key of a message is logged"),
    (sly.LogsExtra, "secrets", "a provider's token is logged"),
    (sly.EncodesWithin, "secrets", "a session token is printed"),
]
NO_PLACE = {sly.KeepsNumbers, sly.Patches, sly.LeavesThread, sly.EncodesWithin, sly.ChangesOutside}


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """As it was before."""
    folder, request = os.getcwd(), AuthHost.request
    monkeypatch.setenv("AUTHHOST_SLY", "")
    yield
    os.chdir(folder)
    AuthHost.request = request
    logging.getLogger("authhost.plugins").disabled = False
    sly.FILE.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("kind", "check", "message"), SLY, ids=[f"{kind.__name__}-{check}" for kind, check, _ in SLY]
)
def test_a_sly_fault_is_named(trial, kind, check, message, capsys):
    verdict = run_check(check, trial(kind()))
    assert verdict.outcome == "failed", verdict
    found = [fault for fault in verdict.faults if message in str(fault)]
    assert found, verdict
    if kind not in NO_PLACE:
        assert found[0].where.startswith("sly.py:")
    assert capsys.readouterr() == ("", "")


def test_a_deliverer_may_deliver_into_a_file(trial):
    verdict = run_check("secrets", trial(sly.MailsToFile()))
    assert (verdict.outcome, [fault.note for fault in verdict.faults]) == ("passed", [True])


def test_a_deliverer_is_told_to_seal_the_links_that_it_keeps(trial):
    verdict = run_check("secrets", trial(sly.StoresLink()))
    assert verdict.outcome == "passed"
    assert [fault.note for fault in verdict.faults] == [True]
    assert "seal it with request.seal" in str(verdict.faults[0])


def test_a_sealed_link_is_no_secret_in_clear(trial):
    assert run_check("secrets", trial(sly.SealsLink())).faults == ()


SOURCE = """
import logging
from authhost_hookspecs import hookimpl

class Plugin:
    @hookimpl
    def user_logged_in(self, user):
        def rarely():
            import click

plugin = Plugin()
"""
LEVEL = "logging.getLogger().setLevel(logging.DEBUG)\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SOURCE + "print('hello')\n", "prints 'hello' when it is imported"),
        (SOURCE + LEVEL, "changes logging of the whole process when it is imported"),
        (SOURCE, "imports click, which planted_plugin does not declare"),
    ],
)
def test_a_fault_of_an_import_is_named(install, provider, tmp_path, source, message, capsys, monkeypatch):
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    install(source, "authhost-hookspecs>=1.0,<2")
    verdict = run_check("independent", CheckContext(find_plugin("planted"), tmp_path, provider))
    assert verdict.outcome == "failed"
    assert any(message in str(fault) for fault in verdict.faults), verdict


def test_what_may_be_missing_need_not_be_declared(install, provider, tmp_path):
    source = SOURCE.replace(
        "import click", "try:\n                import click\n            except ImportError: ..."
    )
    install(source, "authhost-hookspecs>=1.0,<2")
    assert (
        run_check("independent", CheckContext(find_plugin("planted"), tmp_path, provider)).outcome == "passed"
    )


def test_a_print_on_import_leaves_the_document_whole(install):
    site = install(SOURCE.replace("import click", "...") + "print('hello')\n", "authhost-hookspecs>=1.0,<2")
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "plugins", "check", "planted", "--json"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["passed"] is False, done.stderr
