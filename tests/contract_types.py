"""For the type checker alone: what the host hands over is what the contract promises."""

from __future__ import annotations

import authhost_hookspecs as contract

from authhost import AuthHost, records
from authhost.cli.lazy_host import LazyHost
from authhost.operations.console import Terminal
from authhost.request import Request
from authhost.settings import Settings
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.testing.commands import CommandContext
from authhost.users.changes import Changes
from authhost.users.snapshot import Account


def promised(
    host: AuthHost,
    request: Request,
    settings: Settings,
    user: records.User,
    address: records.EmailAddress,
    confirmation: records.EmailConfirmation,
    session: records.Session,
    authentication: records.Authentication,
    account: Account,
    changes: Changes,
    social_account: records.SocialAccount,
    social_login: SocialLogin,
) -> tuple[
    contract.Host,
    contract.Request,
    contract.Settings,
    contract.User,
    contract.EmailAddress,
    contract.EmailConfirmation,
    contract.Session,
    contract.Authentication,
    contract.Account,
    contract.AccountChanges,
    contract.SocialAccount,
    contract.SocialLogin,
]:
    return (
        host,
        request,
        settings,
        user,
        address,
        confirmation,
        session,
        authentication,
        account,
        changes,
        social_account,
        social_login,
    )


def promised_to_commands(
    lazy_host: LazyHost, terminal: Terminal, kit: CommandContext
) -> tuple[contract.CommandContext, contract.Console, contract.CommandContext]:
    return lazy_host, terminal, kit
