"""The commands that change accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from authhost.cli.lazy_host import LazyHost
from authhost.cli.users.accounts import (
    actor_option,
    exists,
    name_of,
    report,
    user_argument,
    yes_option,
)
from authhost.cli.users.reading import row_of
from authhost.cli.users.times import FUTURE_TIME
from authhost.operations.accounts import find_user, operator
from authhost.operations.console import json_option, printable

if TYPE_CHECKING:
    from datetime import datetime


@click.command("create")
@click.argument("address", required=False)
@click.option("--username", help="The username.")
@click.option("--verified", is_flag=True, help="You know that the address is theirs.")
@click.option(
    "--invite/--no-invite",
    default=None,
    help="Send a link to set a password.",
)
@actor_option
@json_option
@click.pass_obj
def create(
    lazy_host: LazyHost,
    address: str | None,
    username: str | None,
    verified: bool,
    invite: bool | None,
    actor: str | None,
    as_json: bool,
) -> None:
    """Create an account.

    It has no password: its owner gets a link to set one. Nobody but the owner ever knows the password.

    Examples:

      authhost users create ann@example.org

      authhost users create ann@example.org --username ann --verified --no-invite
    """
    sends = address is not None if invite is None else invite
    user = lazy_host().users.create(
        address, username=username, verified=verified, invite=sends, actor=operator(actor)
    )
    invited = f"; an invitation goes to {printable(user.email or '')}" if sends else ""
    text = f"created {name_of(user)}{invited}"
    report(lazy_host, text, {**row_of(user), "invited": sends}, as_json=as_json)


@click.command("invite")
@click.argument("user")
@actor_option
@json_option
@click.pass_obj
def invite(lazy_host: LazyHost, user: str, actor: str | None, as_json: bool) -> None:
    """Invite somebody to set a password.

    Creates the account if USER is a new address. An account that has a password needs no invitation:
    use send-reset.

    Example: authhost users invite ann@example.org
    """
    host = lazy_host()
    is_new = "@" in user and not exists(host, user)
    if is_new:
        created = host.users.create(user, invite=True, actor=operator(actor))
        text = f"created {name_of(created)}; an invitation goes to {printable(user)}"
        report(lazy_host, text, {**row_of(created), "invited": True}, as_json=as_json)
        return
    found = find_user(host, user)
    if found.has_usable_password:
        raise click.ClickException(f"{name_of(found)} has a password; use `authhost users send-reset`")
    host.users.invite(found.id, actor=operator(actor))
    text = f"an invitation goes to {printable(found.email or '')}"
    report(lazy_host, text, {**row_of(found), "invited": True}, as_json=as_json)


@click.command("verify")
@user_argument
@click.argument("address", required=False)
@actor_option
@json_option
@click.pass_obj
def verify(lazy_host: LazyHost, user: str, address: str | None, actor: str | None, as_json: bool) -> None:
    """Verify an address.

    By default it is the primary one. Anybody can sign up with any address: verify only what you know to
    be theirs.

    Example: authhost users verify ann@example.org
    """
    host = lazy_host()
    found = find_user(host, user)
    email = address or found.email
    if email is None:
        raise click.ClickException(f"{name_of(found)} has no address")
    verified = host.users.verify_email(found.id, email, actor=operator(actor))
    report(
        lazy_host,
        f"{printable(verified.email)} of {name_of(found)} is verified",
        {"id": str(found.id), "email": verified.email, "primary": verified.primary},
        as_json=as_json,
    )


@click.command("deactivate")
@user_argument
@click.option("--until", type=FUTURE_TIME, help="When it ends by itself: a date, or a duration such as 7d.")
@click.option("--reason", help="Why, for the records. The user is not told.")
@actor_option
@yes_option
@json_option
@click.pass_obj
def deactivate(
    lazy_host: LazyHost,
    user: str,
    until: datetime | None,
    reason: str | None,
    actor: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Deactivate an account.

    Nobody can log in to it, and all its sessions end.

    Example: authhost users deactivate ann@example.org --until 7d --reason "Sends spam."
    """
    host = lazy_host()
    found = find_user(host, user)
    end = f" until {until:%Y-%m-%dT%H:%M:%SZ}" if until is not None else ""
    lazy_host.console.confirm(f"Deactivate {name_of(found)}{end}?", yes=yes)
    host.users.deactivate(found.id, until=until, reason=reason, actor=operator(actor))
    stored = host.users.get(str(found.id))
    until, reason = stored.deactivated_until, stored.deactivation_reason
    result = {"id": str(found.id), "active": False, "deactivated_until": until, "deactivation_reason": reason}
    report(lazy_host, f"deactivated {name_of(found)}{end}", result, as_json=as_json)


@click.command("reactivate")
@user_argument
@actor_option
@json_option
@click.pass_obj
def reactivate(lazy_host: LazyHost, user: str, actor: str | None, as_json: bool) -> None:
    """Make an account active again. Its former sessions stay ended.

    Example: authhost users reactivate ann@example.org
    """
    host = lazy_host()
    found = find_user(host, user)
    host.users.reactivate(found.id, actor=operator(actor))
    report(lazy_host, f"reactivated {name_of(found)}", {"id": str(found.id), "active": True}, as_json=as_json)


@click.command("end-sessions")
@user_argument
@click.argument("session", type=click.UUID, required=False)
@actor_option
@yes_option
@json_option
@click.pass_obj
def end_sessions(
    lazy_host: LazyHost, user: str, session: UUID | None, actor: str | None, yes: bool, as_json: bool
) -> None:
    """End sessions of an account.

    All of them, or one by its identifier; `authhost users sessions` lists them.

    Example: authhost users end-sessions ann@example.org
    """
    host = lazy_host()
    found = find_user(host, user)
    what = "all sessions" if session is None else f"session {session}"
    lazy_host.console.confirm(f"End {what} of {name_of(found)}?", yes=yes)
    ended = 1
    if session is None:
        ended = host.users.end_sessions(found.id, actor=operator(actor))
    else:
        host.users.end_session(found.id, session, actor=operator(actor))
    word = "session" if ended == 1 else "sessions"
    text = f"ended {ended} {word} of {name_of(found)}"
    report(lazy_host, text, {"id": str(found.id), "ended": ended}, as_json=as_json)


@click.command("require-reset")
@user_argument
@click.option("--send/--no-send", default=True, show_default=True, help="Send the link of a reset, too.")
@actor_option
@yes_option
@json_option
@click.pass_obj
def require_reset(
    lazy_host: LazyHost, user: str, send: bool, actor: str | None, yes: bool, as_json: bool
) -> None:
    """Require a new password.

    The present one is accepted no more, all sessions end, and a link to set a new one is sent.

    Example: authhost users require-reset ann@example.org
    """
    host = lazy_host()
    found = find_user(host, user)
    lazy_host.console.confirm(f"Require a new password of {name_of(found)} and end its sessions?", yes=yes)
    sends = send and found.is_active and found.email is not None
    host.users.require_reset(found.id, actor=operator(actor))
    if sends:
        host.users.send_reset(found.id, actor=operator(actor))
    sent = f"; a link goes to {printable(found.email or '')}" if sends else "; no link was sent"
    what = "needs a new password" if found.has_usable_password else "has no password, and its sessions ended"
    text = f"{name_of(found)} {what}{sent}"
    report(lazy_host, text, {"id": str(found.id), "sent": sends}, as_json=as_json)


@click.command("send-reset")
@user_argument
@click.option("--email", help="Another address of the account.")
@actor_option
@json_option
@click.pass_obj
def send_reset(lazy_host: LazyHost, user: str, email: str | None, actor: str | None, as_json: bool) -> None:
    """Send a link to set a password. The present one stays until it is used.

    Example: authhost users send-reset ann@example.org
    """
    host = lazy_host()
    found = find_user(host, user)
    host.users.send_reset(found.id, email, actor=operator(actor))
    to = email or found.email or ""
    report(lazy_host, f"a link goes to {printable(to)}", {"id": str(found.id), "email": to}, as_json=as_json)


@click.command("disconnect")
@user_argument
@click.argument("connection")
@actor_option
@yes_option
@json_option
@click.pass_obj
def disconnect(
    lazy_host: LazyHost, user: str, connection: str, actor: str | None, yes: bool, as_json: bool
) -> None:
    """Disconnect an account at a provider.

    CONNECTION is the provider's name, or the identifier of the connection.

    Example: authhost users disconnect ann@example.org github
    """
    host = lazy_host()
    found = find_user(host, user)
    account = host.users.read(found.id)
    connections = account.social_accounts if account is not None else ()
    matches = [each for each in connections if connection in (each.provider, str(each.id))]
    if len(matches) != 1:
        names = ", ".join(f"{each.provider} ({each.id})" for each in connections) or "none"
        why = "several connections" if matches else "no connection"
        raise click.ClickException(f"{name_of(found)} has {why} {printable(connection)}; it has: {names}")
    [chosen] = matches
    assert chosen.id is not None
    lazy_host.console.confirm(f"Disconnect {chosen.provider} from {name_of(found)}?", yes=yes)
    host.users.disconnect(found.id, chosen.id, actor=operator(actor))
    result: dict[str, Any] = {"id": str(found.id), "provider": chosen.provider, "uid": chosen.uid}
    report(lazy_host, f"disconnected {chosen.provider} from {name_of(found)}", result, as_json=as_json)


@click.command("remove-factors")
@user_argument
@click.option("--reason", required=True, help="Why, for the audit trail. The user is told, but not why.")
@actor_option
@yes_option
@json_option
@click.pass_obj
def remove_factors(
    lazy_host: LazyHost, user: str, reason: str, actor: str | None, yes: bool, as_json: bool
) -> None:
    """Remove second factors and passkeys that a user has lost.

    Check first that it is the user who asks: the next login needs its first proof alone, such as the
    password. Who had only a passkey needs send-reset. Sessions stay, and the user gets an e-mail.

    Example: authhost users remove-factors ann@example.org --reason "lost phone, passport checked"
    """
    host = lazy_host()
    found = find_user(host, user)
    lazy_host.console.confirm(f"Remove all second factors of {name_of(found)}?", yes=yes)
    removed = host.users.remove_factors(found.id, reason=reason, actor=operator(actor))
    word = "factor" if removed == 1 else "factors"
    text = f"removed {removed} {word} of {name_of(found)}"
    report(lazy_host, text, {"id": str(found.id), "removed": removed}, as_json=as_json)


@click.command("impersonate")
@user_argument
@click.option("--reason", required=True, help="Why, for the records. The user is told that, but not why.")
@actor_option
@json_option
@click.pass_obj
def impersonate(lazy_host: LazyHost, user: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Work in an account, to see what its user sees.

    Prints a link that works once, within five minutes. Open it in a private window: who is logged in
    in that browser is logged out. It lasts an hour at most, and the user gets an e-mail.

    Example: authhost users impersonate ann@example.org --reason "Ticket 4711"
    """
    host = lazy_host()
    found = find_user(host, user)
    url = host.users.impersonation_link(found.id, reason=reason, actor=operator(actor))
    report(lazy_host, url, {"id": str(found.id), "url": url}, as_json=as_json)


@click.command("delete")
@user_argument
@actor_option
@yes_option
@json_option
@click.pass_obj
def delete(lazy_host: LazyHost, user: str, actor: str | None, yes: bool, as_json: bool) -> None:
    """Delete an account and all its data.

    That is everything that authhost and the plugins store of it. It cannot be undone. `authhost users
    export` saves the data before.

    Example: authhost users delete ann@example.org
    """
    host = lazy_host()
    found = find_user(host, user)
    lazy_host.console.confirm(f"Delete {name_of(found)} and all its data? It cannot be undone.", yes=yes)
    failed = host.users.delete(found.id, actor=operator(actor))
    done = f"deleted {name_of(found)}"
    if failed:
        done += f", but not the data of {', '.join(failed)}: `authhost maintain` tries again"
    answer = {"id": str(found.id), "deleted": True, "failed_plugins": list(failed)}
    report(lazy_host, done, answer, as_json=as_json)


COMMANDS = (
    create,
    invite,
    verify,
    deactivate,
    reactivate,
    end_sessions,
    require_reset,
    send_reset,
    disconnect,
    remove_factors,
    impersonate,
    delete,
)
