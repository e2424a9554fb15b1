"""Tests of which changes are refused, and of the commands."""

from __future__ import annotations

import pytest
from authhost_hookspecs import FlowError
from authhost_managed_accounts import plugin
from authhost_managed_accounts.commands import managed
from click.testing import CliRunner

from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.commands import CommandContext

ANN, EVE = "ann@example.org", "eve@example.net"


@pytest.fixture
def authhost_plugins():
    return {"managed": plugin}


@pytest.fixture
def authhost_settings():
    return {
        "plugin_settings": {"managed": {"domains": "example.org, example.com", "staff": "example.com"}},
        "email_verification": "mandatory",
        "login_on_email_confirmation": True,
    }


@pytest.fixture
def sign_up(run_flow, mailbox):
    def sign_up(email):
        run_flow("signup", email=email, password=PASSWORD)
        return run_flow("confirm_email", key=mailbox.key()).login.user

    return sign_up


@pytest.fixture
def command(auth_host):
    def command(*arguments):
        return CliRunner().invoke(managed, arguments, obj=CommandContext(auth_host))

    return command


CHANGES = {
    "add_email": {"email": "ann@home.example.net"},
    "change_password": {"current_password": PASSWORD, "new_password": OTHER_PASSWORD},
    "deactivate": {},
    "social": {"process": "connect", "sub": "ann"},
}


def change(run_flow, flow):
    if flow == "social":
        return run_flow.social(**CHANGES[flow])
    return run_flow(flow, **CHANGES[flow])


@pytest.mark.parametrize("flow", CHANGES)
def test_user_of_a_managed_account_cannot_change_it(run_flow, sign_up, auth_host, flow):
    ann = sign_up(ANN)
    before = auth_host.account(ann.id)
    with pytest.raises(FlowError) as refusal:
        change(run_flow, flow)
    assert refusal.value.fields["plugin_code"] == "managed_account"
    after = auth_host.account(ann.id)
    assert (after.user, after.email_addresses, after.social_accounts) == (
        before.user,
        before.email_addresses,
        before.social_accounts,
    )


@pytest.mark.parametrize("flow", CHANGES)
def test_other_accounts_can_be_changed(run_flow, sign_up, flow):
    sign_up(EVE)
    change(run_flow, flow)


def test_reset_of_the_password_is_refused(run_flow, sign_up, mailbox):
    sign_up(ANN)
    run_flow("request_password_reset", email=ANN)
    with pytest.raises(FlowError, match="company"):
        run_flow("reset_password", key=mailbox.key(), password=OTHER_PASSWORD)


def test_password_is_removed_at_a_login_through_a_provider(run_flow, sign_up, auth_host):
    eve = sign_up(EVE)
    run_flow.social("connect", sub="eve")
    with auth_host.request() as request:
        request.accounts.add_email(eve.id, ANN, verified=True)
        request.accounts.make_primary(eve.id, ANN)
    run_flow.forget()
    assert run_flow("login", identifier=ANN, password=PASSWORD).authenticated
    assert run_flow.social(sub="eve").login.authenticated
    assert not auth_host.account(eve.id).user.has_usable_password
    assert run_flow("logout") is None


def test_commands(command, sign_up, auth_host, run_flow):
    ann = sign_up(ANN)
    assert command("deactivate", ANN).output == f"{ANN} is deactivated\n"
    assert not auth_host.account(ann.id).user.is_active
    assert command("reactivate", ANN).output == f"{ANN} is active\n"
    assert run_flow("login", identifier=ANN, password=PASSWORD).authenticated
    refused = command("delete", ANN)
    assert (refused.exit_code, "--yes" in refused.output) == (2, True)
    assert auth_host.account(ann.id) is not None
    assert command("delete", ANN, "--yes").output == f"{ANN} is deleted\n"
    assert auth_host.account(ann.id) is None


def test_commands_work_for_managed_accounts_only(command, sign_up, auth_host):
    eve = sign_up(EVE)
    for address in (EVE, "nobody@example.org"):
        result = command("delete", address, "--yes")
        assert result.exit_code == 1
        assert "is not the primary address of a managed account" in result.output
    assert auth_host.account(eve.id) is not None


@pytest.mark.parametrize(
    ("email", "expected"), [("zoe@example.com", True), (ANN, False), ("zoe@sub.example.com", False)]
)
def test_the_staff_are_administrators(auth_host, sign_up, email, expected):
    zoe = sign_up(email)
    with auth_host.request() as request:
        assert plugin.is_administrator(request, zoe) is expected
