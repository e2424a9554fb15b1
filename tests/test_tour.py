"""The tour and the command line with all distributions installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from authhost.cli.tour.explanations import EXPLANATIONS
from authhost.cli.tour.steps import SHOWN_HOOKS

pytest.importorskip("authhost_audit")


def authhost(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from authhost.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_tour():
    done = authhost("tour", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [line for line in lines if "step" in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(steps) == 31
    assert all(step["expected"] for step in steps)
    assert sum("mail" in line for line in lines) >= 6


@pytest.fixture(scope="module")
def told():
    done = authhost("tour")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tour_is_short_and_narrow(told):
    lines = told.splitlines()
    assert len(lines) < 120
    assert [line for line in lines if len(line) > 80] == []


def test_the_tour_has_chapters_and_explains_each_hook_once(told):
    assert [int(number) for number in re.findall(r"^(\d)\. ", told, re.MULTILINE)] == [1, 2, 3, 4, 5, 6]
    explained = re.findall(r"^ {11}(\w+): ", told, re.MULTILINE)
    assert sorted(explained) == sorted(EXPLANATIONS)
    assert set(EXPLANATIONS) <= set(SHOWN_HOOKS)


def test_refusals_are_not_failures(told):
    assert re.search(r"^  refused  use the link again +invalid_key$", told, re.MULTILINE)
    assert re.search(r"^  done     log in +user_logged_in$", told, re.MULTILINE)
    assert re.search(r"^31 steps, all as expected: \d+ done, \d+ refused on purpose\.$", told, re.MULTILINE)


def test_the_tour_shows_a_mail_the_trail_and_what_is_next(told):
    assert "  | Subject: Confirm your e-mail address" in told
    assert "/account/confirm-email/" in told
    assert "audit has " in told
    shown = re.findall(r"^  flow_refused +(\w+) +(\w+)$", told, re.MULTILINE)
    assert shown == [("login", "invalid_credentials")] * 5 + [("login", "rate_limited")]
    assert not re.search(r"\d\d:\d\d:\d\d  ", told)
    assert "authhost serve --demo" in told


def test_a_step_that_fails_is_named(monkeypatch, capsys):
    from authhost.cli.tour.run import run

    def one_step(steps, mails):
        steps.chapter("Something goes wrong")
        steps.run("log in without an account", lambda r: steps.host.account.logout(r), "user_logged_out")

    module = sys.modules["authhost.cli.tour.run"]
    monkeypatch.setattr(module, "account_steps", one_step)
    monkeypatch.setattr(module, "social_steps", lambda steps, provider: None)
    assert run(as_json=False, trace=False) == 1
    told = capsys.readouterr().out
    assert "  FAILED   log in without an account" in told
    assert "           expected: done; hooks: user_logged_out" in told
    assert "1 step, 1 NOT as expected: log in without an account" in told


def test_the_tour_ends_with_a_summary_when_later_steps_need_a_result(monkeypatch, capsys):
    from authhost.cli.tour.run import run

    monkeypatch.setattr(sys.modules["authhost.cli.tour.run"], "account_steps", lambda steps, mails: None)
    monkeypatch.setattr(sys.modules["authhost.cli.tour.social"], "PROVIDER_ID", "not-configured")
    assert run(as_json=False, trace=False) == 1
    written = capsys.readouterr()
    step = "cancelled login: go to the provider"
    assert f"1 step, 1 NOT as expected: {step}" in written.out
    assert f"the tour ends here: later steps need the result of '{step}'" in written.err


@pytest.mark.parametrize(("value", "colored"), [("", True), ("1", False)])
def test_no_color(value, colored):
    """A terminal shows colours unless the variable NO_COLOR has a value."""
    pty = pytest.importorskip("pty")
    code = "import click; from authhost.cli.tour.steps import styled; click.echo(styled('x', bold=True))"
    master, slave = pty.openpty()
    try:
        environment = {**os.environ, "NO_COLOR": value}
        subprocess.run([sys.executable, "-c", code], stdout=slave, env=environment, check=True)
        assert (b"\x1b[" in os.read(master, 100)) is colored
    finally:
        os.close(slave)
        os.close(master)


def test_plugins_list():
    rows = [json.loads(line) for line in authhost("plugins", "list", "--json").stdout.splitlines()]
    assert [(row["name"], row["status"]) for row in rows] == [
        ("analytics", "loaded"),
        ("audit", "loaded"),
        ("breached_passwords", "loaded"),
        ("email", "loaded"),
        ("mfa", "loaded"),
    ]


def test_contract_imports_only_pluggy():
    code = (
        "import sys, authhost_hookspecs; "
        "bad = {'sqlalchemy', 'authhost', 'click', 'passlib'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
