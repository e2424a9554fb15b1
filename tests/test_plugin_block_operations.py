"""What operators see of plugins that are blocked at run time: commands, health, metrics and checks."""

from __future__ import annotations

import json

import pytest
from authhost_hookspecs import Actor, Health, LoginStep, Metric, hookimpl
from click.testing import CliRunner

from authhost.cli.checks.blocks import check_blocks
from authhost.cli.checks.guards import check_login_guards
from authhost.cli.main import cli
from authhost.operations.maintenance import maintain
from authhost.operations.monitoring import health, metrics
from authhost.testing import PASSWORD
from authhost.testing.browser import Browser

ANN = "ann@example.org"
ROOT = Actor("operator", name="root")


class Shop:
    """Guards accounts, and reports on its orders."""

    @hookimpl
    def login_steps(self, request, user):
        return [LoginStep("receipt", "/receipt")] if "shop" in user.login_guards else []

    @hookimpl
    def register_health(self):
        return [lambda host: [Health("orders", "ok")]]

    @hookimpl
    def register_metrics(self):
        return [lambda host: [Metric("authhost_shop_orders", 1, "gauge", "Orders.")]]

    @hookimpl
    def register_maintenance(self):
        return [self.tidy]

    def tidy(self, host):
        return "tidy"


@pytest.fixture
def host(make_host):
    return make_host({"shop": Shop()})


def block(host):
    return host.plugins.block("shop", reason="it hangs", actor=ROOT)


def test_health_metrics_and_maintenance_show_it(host, clock):
    block(host)
    clock.forward(minutes=5)
    shown = "blocked at run time since 2026-01-01T00:00:00Z by root: it hangs"
    parts = [each for each in health(host) if each.plugin == "shop"]
    assert parts == [("shop", "blocked", "degraded", shown)]
    found = {each.name: each for each in metrics(host) if each.labels.get("plugin") == "shop"}
    assert found["authhost_plugin_blocked_seconds"].value == 300
    assert found["authhost_plugin_info"].labels == {"plugin": "shop", "status": "blocked"}
    assert "authhost_shop_orders" not in {each.name for each in metrics(host)}
    assert [each for each in maintain(host) if each.task.startswith("shop")] == [("shop", "skipped", shown)]
    host.plugins.unblock("shop", actor=ROOT)
    assert ("shop.tidy", "done", "tidy") in list(maintain(host))
    assert "authhost_plugin_blocked_seconds" not in {each.name for each in metrics(host)}


def test_authhost_check_names_what_has_been_blocked_for_long(host, clock):
    block(host)
    host.plugins.block("elsewhere", reason="x", actor=ROOT, installed=False)
    assert [each.level for each in check_blocks(host)] == ["hint", "hint"]
    clock.forward(hours=25)
    found = {each.level: each for each in check_blocks(host)}
    assert found["warning"].problem.startswith("plugin shop is blocked at run time since 2026-01-01")
    assert "no plugin of that name is installed" in found["hint"].problem


def test_authhost_check_names_the_accounts_that_nobody_can_log_in_to(host):
    user = Browser(host)("signup", email=ANN, password=PASSWORD).user
    with host.request() as request:
        request.logins.guard("shop", user.id)
    assert list(check_login_guards(host)) == []
    block(host)
    (problem,) = check_login_guards(host)
    assert problem.problem == "nobody can log in to 1 accounts: they need shop, which is blocked"
    assert problem.do == "repair shop, then run `authhost plugins unblock shop`"


def test_authhost_check_finds_a_required_plugin_that_another_process_has_blocked(make_host):
    shop = Shop()
    strict = make_host({"shop": shop}, required_plugins=("shop",))
    block(make_host({"shop": shop}))
    (problem,) = check_blocks(strict)
    assert problem.level == "error"
    assert problem.problem.endswith("but it runs, since it is required")


def test_the_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", "of-the-tests-" * 4)
    runner = CliRunner()

    def run(*arguments, exit_code=0):
        result = runner.invoke(cli, arguments)
        assert result.exit_code == exit_code, result.output
        return result

    def listed():
        rows = [json.loads(each) for each in run("plugins", "list", "--json").stdout.splitlines()]
        return {row["name"]: row for row in rows}

    assert listed()["email"]["status"] == "loaded"  # without a database
    run("db", "upgrade")
    blocked = run("plugins", "block", "email", "--reason", "it hangs", "--actor", "root").stdout
    assert "email is blocked at run time since" in blocked
    assert "no plugin delivers e-mail now" in blocked
    row = json.loads(run("plugins", "block", "audit", "--reason", "x", "--json").stdout)
    assert row["name"] == "audit"
    assert row["reason"] == "x"
    rows = listed()
    assert rows["email"]["status"] == "blocked"
    assert rows["email"]["reason"].endswith("by root: it hangs")
    assert rows["mfa"]["status"] == "loaded"
    assert "it hangs" in run("plugins", "show", "email", "--json").stdout
    by_settings = json.loads(run("--block", "mfa", "plugins", "show", "mfa", "--json").stdout)
    assert by_settings["reason"] == "blocked by the settings"
    assert "did you mean 'email'" in run("plugins", "block", "emial", "--reason", "x", exit_code=1).output
    assert (
        "required" in run("--require", "mfa", "plugins", "block", "mfa", "--reason", "x", exit_code=1).output
    )
    assert "Did you mean 'email'?" in run("plugins", "unblock", "emial", exit_code=1).output
    assert "blocked_plugins" in run("--block", "mfa", "plugins", "unblock", "mfa", exit_code=1).output
    assert "invalid_input" in run("plugins", "block", "mfa", "--reason", "", exit_code=1).output
    assert "blocked at run time" in run("status", "--json").stdout
    assert "blocked at run time" in run("check", "--json", exit_code=1).stdout
    assert "email: skipped" in run("maintain").stdout
    assert "is not blocked any more" in run("plugins", "unblock", "email").stdout
    assert json.loads(run("plugins", "unblock", "audit", "--json").stdout) == {
        "name": "audit",
        "blocked": False,
    }
    assert {row["status"] for row in listed().values()} == {"loaded"}
