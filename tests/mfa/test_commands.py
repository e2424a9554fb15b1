"""``authhost mfa``, the checks and the metrics."""

from __future__ import annotations

import json

import pytest
from authhost_mfa import monitoring, tables
from authhost_mfa.commands import mfa
from click.testing import CliRunner
from sqlalchemy import update

from authhost.operations.sealed_columns import encrypt_again
from authhost.testing import CommandContext
from mfa.support import ANN, VERIFY


def run(site, *arguments, code=0):
    result = CliRunner().invoke(mfa, arguments, obj=CommandContext(site.host))
    assert result.exit_code == code, result.output
    return result.output


def block(site):
    with site.host.engine.begin() as connection:
        connection.execute(update(tables.account_table).values(failures=100))


def test_list(protected):
    protected.verify(protected.half(), trust=True)
    shown = run(protected, "list", ANN)
    assert "totp" in shown
    assert "trusted browsers: 1" in shown
    rows = [json.loads(line) for line in run(protected, "list", ANN, "--json").splitlines()]
    assert [(each["kind"], each["remaining"]) for each in rows] == [("totp", None), ("recovery_codes", 10)]
    assert protected.app.secret.hex() not in shown


def test_users_are_found_by_address_identifier_or_its_beginning(protected):
    identifier = protected.ann.api("/session", method="GET")[1]["user"]["id"]
    assert run(protected, "list", identifier) == run(protected, "list", ANN)
    assert run(protected, "list", identifier[:13]) == run(protected, "list", ANN)
    for unknown in ("bob@example.org", "bob", "00000000-0000-0000-0000-000000000000"):
        assert "there is no account" in run(protected, "list", unknown, code=1)
        assert "there is no account" in run(protected, "reset", unknown, "--reason", "x", "--yes", code=1)
    assert protected.count(tables.authenticator_table) == 1
    assert "name a user" in run(protected, "list", code=2)


def test_reset(protected):
    browser = protected.half()
    protected.verify(protected.half(), trust=True)
    assert protected.count(tables.trusted_browser_table) == 1
    shown = run(protected, "reset", ANN, "--reason", "lost phone", "--yes")
    assert shown == f"removed 1 authenticator of {ANN}\n"
    for table in (tables.authenticator_table, tables.recovery_code_table, tables.trusted_browser_table):
        assert protected.count(table) == 0
    assert protected.log_in(protected.browser())[0] == 200
    assert browser.api(VERIFY, {"code": protected.app.next_code()})[0] == 401


def test_reset_unblocks(protected):
    block(protected)
    result = json.loads(run(protected, "reset", ANN, "--reason", "x", "--yes", "--json"))
    assert result["removed"] == 1
    assert monitoring.counts(protected.host)["blocked"] == 0


def test_reset_needs_a_reason_and_a_confirmation(protected):
    assert "--reason" in run(protected, "reset", ANN, "--yes", code=2)
    assert run(protected, "reset", ANN, "--reason", "x", code=2)
    assert protected.count(tables.authenticator_table) == 1


def test_stats(protected):
    expected = {"totp": 1, "webauthn": 0, "second_factor": 1, "blocked": 0}
    assert json.loads(run(protected, "stats", "--json")) == expected
    assert "with an authenticator app" in run(protected, "stats")


def test_blocked_users_are_listed(protected):
    assert "no user is blocked" in run(protected, "list", "--blocked")
    block(protected)
    (row,) = [json.loads(line) for line in run(protected, "list", "--blocked", "--json").splitlines()]
    assert row["failures"] == 100
    (finding,) = monitoring.check_accounts(protected.host)
    assert (finding.level, finding.problem[:10]) == ("warning", "1 account ")


def test_metrics(protected):
    found = {(each.name, *each.labels.values()): each.value for each in monitoring.metrics(protected.host)}
    assert found == {
        ("authhost_mfa_users", "totp"): 1,
        ("authhost_mfa_users", "webauthn"): 0,
        ("authhost_mfa_protected_users",): 1,
        ("authhost_mfa_blocked_users",): 0,
    }


@pytest.mark.parametrize(
    ("settings", "levels"),
    [
        ({}, []),
        ({"policy": "required"}, ["warning"]),
        ({"policy": "selected"}, ["warning"]),
        ({"policy": "required", "settings": {"email_verification": "mandatory"}}, []),
        ({"policy": "off"}, ["warning"]),
        ({"required_since": "2026-01-01"}, ["hint"]),
    ],
)
def test_check_settings(make_site, settings, levels):
    site = make_site(**settings)
    assert [each.level for each in monitoring.check_settings(site.host)] == levels


@pytest.mark.parametrize(
    ("base_url", "levels"),
    [
        ("https://example.org", []),
        ("http://localhost:8000", []),
        ("http://example.org", ["hint"]),
        ("https://192.0.2.7", ["hint"]),
        ("http://[::1]:8000", ["hint"]),
    ],
)
def test_check_base_url(make_site, base_url, levels):
    site = make_site(settings={"base_url": base_url})
    assert [each.level for each in monitoring.check_base_url(site.host)] == levels


OLD, NEW = "an-older-key-of-the-tests-" * 3, "a-newer-key-of-the-tests-" * 3


def test_secrets_are_encrypted_again_with_a_new_key(make_site):
    site = make_site(settings={"encryption_keys": (OLD,)})
    site.sign_up()
    site.enrol()
    url = site.host.settings.database_url
    both = make_site(settings={"database_url": url, "encryption_keys": (NEW, OLD)})
    only_new = make_site(settings={"database_url": url, "encryption_keys": (NEW,)})
    both.app = site.app
    (finding,) = monitoring.check_accounts(only_new.host)
    assert finding.level == "error"
    assert sum(each.encrypted for each in encrypt_again(both.host)) == 1
    assert list(monitoring.check_accounts(only_new.host)) == []
    only_new.app = site.app
    assert only_new.verify(only_new.half())[0] == 200
