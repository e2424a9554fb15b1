"""Findings of ``authhost check`` about e-mail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_email.checks import check_outbox, check_settings

from authhost.cli.checks import problems
from email_plugin.helpers import ANN, outbox, queue

GOOD = {
    "transport": "smtp",
    "smtp_host": "mail.example.org",
    "smtp_tls": "starttls",
    "smtp_password": "geheim",
    "from_address": "accounts@example.org",
    "delivery": "background",
}


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"transport": "pigeon"}, "error", "no transport 'pigeon'"),
        ({"transport": "file", "directory": "mail"}, "warning", "written to the folder /"),
        ({"transport": "console"}, "warning", "standard error"),
        ({"from_address": "noreply@localhost"}, "warning", "noreply@localhost"),
        ({"smtp_tls": "none"}, "error", "password for mail.example.org:25 is sent without encryption"),
        ({"smtp_tls": "none", "smtp_password": None}, "warning", "without encryption"),
        ({"transport": "sendmail", "sendmail": "/nowhere/sendmail"}, "error", "/nowhere/sendmail"),
        ({"templates": "/nowhere/messages"}, "error", "/nowhere/messages"),
        ({"delivery": "inline"}, "hint", "inline"),
    ],
)
def test_findings_about_settings(make, changed, level, said):
    host = make(email={**GOOD, "delivery": "manual", **changed})
    [found] = check_settings(host)
    assert found.level == level
    assert said in found.problem
    assert "plugins.email" in found.do
    assert "geheim" not in found.problem + found.do


@pytest.mark.parametrize("changed", [{}, {"smtp_tls": "none", "smtp_host": "127.0.0.1"}, {"smtp_tls": "tls"}])
def test_good_settings_have_no_findings(make, changed):
    assert list(check_settings(make(email={**GOOD, "delivery": "manual", **changed}))) == []


def test_findings_about_the_outbox(make, fake, clock):
    host = make(email={**GOOD, "transport": "fake", "delivery": "manual", "max_attempts": 1})
    [manual] = check_outbox(host)
    assert "email worker" in manual.do
    queue(host, ANN)
    assert len(list(check_outbox(host))) == 1
    clock.now += timedelta(minutes=11)
    _, late = check_outbox(host)
    assert (late.level, late.problem) == ("warning", "1 messages have been due for more than 10 minutes")
    fake.script[ANN] = [ConnectionError("down")]
    outbox(host).deliver_pending()
    _, dead = check_outbox(host)
    assert (dead.level, dead.problem) == ("hint", "1 messages could not be delivered and were given up")


def test_findings_are_part_of_authhost_check(make):
    found = [each for each in problems(make(email={"transport": "pigeon"})) if each.plugin == "email"]
    assert any("pigeon" in each.problem for each in found)
