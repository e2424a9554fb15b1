"""The commands that read accounts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from authhost.cli.lazy_host import LazyHost
from authhost.cli.users.accounts import (
    actor_option,
    name_of,
    report,
    user_argument,
)
from authhost.cli.users.times import TIME
from authhost.operations.accounts import find_user, operator
from authhost.operations.console import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from authhost.records import User
    from authhost.users.snapshot import Account

HEADERS = {
    "id": "identifier",
    "email": "address",
    "username": "username",
    "state": "state",
    "date_joined": "joined",
    "last_login": "last login",
}
FILTERS = ("active", "deactivated", "verified", "unverified", "guarded", "passwordless")


def row_of(user: User) -> dict[str, Any]:
    """Return what tables and JSON say of an account."""
    return {
        "id": str(user.id),
        "email": user.email,
        "username": user.username,
        "state": _state(user),
        "verified": user.email_verified,
        "active": user.is_active,
        "has_password": user.has_usable_password,
        "date_joined": user.date_joined,
        "last_login": user.last_login,
        "login_guards": list(user.login_guards),
        "deactivated_until": user.deactivated_until,
        "deactivation_reason": user.deactivation_reason,
    }


def _state(user: User) -> str:
    if not user.is_active:
        return "deactivated"
    return "active" if user.email_verified or user.email is None else "unverified"


@click.command("find")
@click.argument("text")
@click.option("-n", "--limit", type=click.IntRange(1, 999), default=20, show_default=True)
@json_option
@click.pass_obj
def find(lazy_host: LazyHost, text: str, limit: int, as_json: bool) -> None:
    """Find accounts by how a name begins.

    TEXT is the beginning of an identifier, an address or a username. Unverified addresses count, too.
    Exits with 1 if there is none.

    Examples:

      authhost users find ann@

      authhost users find 01a2172 --json
    """
    host = lazy_host()
    found = host.users.find(text, limit=limit + 1)
    if not found:
        raise click.ClickException("no identifier, address or username begins so")
    _print(lazy_host, found, limit, as_json)


@click.command("list")
@click.option("--only", multiple=True, type=click.Choice(FILTERS), help="Only these; all must apply.")
@click.option("--since", type=TIME, help="Only those who joined since: a date, or a time ago such as 7d.")
@click.option("--before", metavar="USER", help="Only those who joined before this one: for the next page.")
@click.option("-n", "--limit", type=click.IntRange(1, 999), default=20, show_default=True)
@click.option("--all", "everything", is_flag=True, help="All, not only the newest.")
@json_option
@click.pass_obj
def list_users(
    lazy_host: LazyHost,
    only: tuple[Any, ...],
    since: datetime | None,
    before: str | None,
    limit: int,
    everything: bool,
    as_json: bool,
) -> None:
    """List the newest accounts.

    Examples:

      authhost users list --only deactivated --since 30d

      authhost users list --only unverified --all --json > unverified.jsonl
    """
    host = lazy_host()
    if everything:
        if since is not None or before is not None:
            raise click.UsageError("--all goes with --only alone")
        rows = (row_of(each) for each in host.users.all(*only))
        lazy_host.console.print_rows(
            rows, headers=None if as_json else HEADERS, as_json=as_json, empty="there is no such account"
        )
        return
    last = find_user(host, before).id if before is not None else None
    found = host.users.list(*only, before=last, since=since, limit=limit + 1)
    more = f"--before {found[limit - 1].id}" if len(found) > limit else ""
    _print(lazy_host, found, limit, as_json, more=more)


def _print(lazy_host: LazyHost, found: Iterable[User], limit: int, as_json: bool, *, more: str = "") -> None:
    listed = list(found)
    rows = [row_of(each) for each in listed[:limit]]
    headers = None if as_json else HEADERS
    lazy_host.console.print_rows(rows, headers=headers, as_json=as_json, empty="there is no such account")
    if len(listed) > limit and not as_json:
        lazy_host.console.error(f"there are more: use {more or '--limit'}")


@click.command("show")
@user_argument
@json_option
@click.pass_obj
def show(lazy_host: LazyHost, user: str, as_json: bool) -> None:
    """Show an account.

    With its addresses, connections and sessions; no secret is among them.

    Example: authhost users show ann@example.org
    """
    host = lazy_host()
    account = host.users.read(find_user(host, user).id)
    if account is None:
        raise click.ClickException("the account was deleted meanwhile")
    result = {
        **row_of(account.user),
        "password_reset_required": account.password_reset_required,
        "email_addresses": [
            {"email": each.email, "verified": each.verified, "primary": each.primary}
            for each in account.email_addresses
        ],
        "social_accounts": [
            {"id": str(each.id), "provider": each.provider, "uid": each.uid, "last_login": each.last_login}
            for each in account.social_accounts
        ],
        "sessions": _session_rows(account),
    }
    console = lazy_host.console
    if as_json:
        console.print(json.dumps(result, default=_iso))
        return
    parts = {name: result.pop(name) for name in ("email_addresses", "social_accounts", "sessions")}
    console.print_rows([{"what": name.replace("_", " "), "value": value} for name, value in result.items()])
    for title, rows in parts.items():
        console.print(f"\n{title.replace('_', ' ')}:")
        console.print_rows(rows, empty="  none")


def _session_rows(account: Account) -> list[dict[str, Any]]:
    return [
        {
            "id": str(each.id),
            "created_at": each.created_at,
            "last_seen_at": each.last_seen_at,
            "method": each.method,
            "ip_address": each.ip_address,
            "user_agent": each.user_agent,
        }
        for each in account.sessions
    ]


def _iso(value: Any) -> str:
    return str(value.isoformat())


@click.command("sessions")
@user_argument
@json_option
@click.pass_obj
def sessions(lazy_host: LazyHost, user: str, as_json: bool) -> None:
    """List the sessions of an account.

    Example: authhost users sessions ann@example.org
    """
    host = lazy_host()
    account = host.users.read(find_user(host, user).id)
    rows = _session_rows(account) if account is not None else []
    lazy_host.console.print_rows(rows, as_json=as_json, empty="the account has no session")


@click.command("export")
@user_argument
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@actor_option
@click.pass_obj
def export(lazy_host: LazyHost, user: str, output: Path | None, force: bool, actor: str | None) -> None:
    """Print all data of an account as JSON.

    That is everything that authhost and the plugins store of it, as one document. It has no secrets. A
    file is readable by you alone.

    Example: authhost users export ann@example.org -o ann.json
    """
    host = lazy_host()
    found = find_user(host, user)
    text = json.dumps(host.users.export(found.id, actor=operator(actor)), indent=2, ensure_ascii=False)
    if output is None:
        lazy_host.console.print(text)
        return
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(output, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise click.ClickException(f"{output} exists; use --force to replace it") from None
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    report(lazy_host, f"wrote what is stored of {name_of(found)} to {output}", {}, as_json=False)


@click.command("stats")
@json_option
@click.pass_obj
def stats(lazy_host: LazyHost, as_json: bool) -> None:
    """Count the accounts. It reads all of them, which takes seconds with millions.

    Example: authhost users stats --json
    """
    found = lazy_host().users.stats()
    numbers = {name: getattr(found, name) for name in found.__slots__}
    if as_json:
        lazy_host.console.print_rows([numbers], as_json=True)
        return
    rows = [{"accounts": name.replace("_", " "), "number": number} for name, number in numbers.items()]
    lazy_host.console.print_rows(rows)


COMMANDS = (find, list_users, show, sessions, export, stats)
