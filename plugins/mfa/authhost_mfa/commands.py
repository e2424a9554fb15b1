"""The commands ``authhost mfa``."""

from __future__ import annotations

import click
from authhost_hookspecs import CommandContext, Host

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
HEADERS = {
    "kind": "kind",
    "name": "name",
    "second_factor": "required at login",
    "created_at": "added",
    "last_used_at": "last used",
    "remaining": "left",
}


@click.group()
def mfa() -> None:
    """List and reset second factors."""


@mfa.command("list")
@click.argument("user", required=False)
@click.option("--blocked", is_flag=True, help="List the users with too many wrong codes instead.")
@json_option
@click.pass_obj
def list_authenticators(context: CommandContext, /, user: str | None, blocked: bool, as_json: bool) -> None:
    """List the authenticators of a user: an identifier, its beginning, an address or a username.

    Example: authhost mfa list ann@example.org
    """
    from authhost_mfa import authenticators, recovery_codes, trusted_browsers

    host = context()
    if blocked:
        _list_blocked(context, host, as_json)
        return
    if user is None:
        raise click.UsageError("name a user, or use --blocked")
    found = context.find_user(user)
    with host.request() as request:
        listed = authenticators.of_user(request, found.id)
        codes = recovery_codes.of_user(request, found.id)
        browsers = len(trusted_browsers.of_user(request, found.id))
    rows = [
        {name: getattr(each, name) for name in HEADERS}
        for each in (*listed, *([codes] if codes is not None else []))
    ]
    context.console.print_rows(rows, headers=HEADERS, as_json=as_json, empty="the user has no authenticator")
    if browsers and not as_json:
        context.console.print(f"trusted browsers: {browsers}")


def _list_blocked(context: CommandContext, host: Host, as_json: bool) -> None:
    from sqlalchemy import select

    from authhost_mfa.attempts import LIMIT
    from authhost_mfa.tables import account_table

    table = account_table.c
    with host.reader.connect() as connection:
        found = connection.execute(select(table.user_id, table.failures).where(table.failures >= LIMIT)).all()
    rows = [{"user": str(row.user_id), "failures": row.failures} for row in found]
    context.console.print_rows(rows, as_json=as_json, empty="no user is blocked")


@mfa.command()
@click.argument("user")
@click.option("--reason", required=True, help="Why, for the audit trail. The user is told, but not why.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@click.pass_obj
def reset(context: CommandContext, /, user: str, reason: str, yes: bool, as_json: bool) -> None:
    """Remove all second factors of a user who has lost them, as `authhost users remove-factors` does.

    USER is an identifier, the beginning of one, an address or a username.
    Check first that it is the user who asks: the next login needs its first proof alone.

    Example: authhost mfa reset ann@example.org --reason "lost phone, passport checked"
    """
    from authhost_mfa.monitoring import counted

    host = context()
    found = context.find_user(user)
    name = found.email or found.username or str(found.id)
    context.console.confirm(f"Remove all second factors of {name}?", yes=yes)
    with host.request(actor=context.operator()) as request:
        count = request.accounts.remove_factors(found.id, reason=reason)
    if as_json:
        context.console.print_rows([{"user": str(found.id), "removed": count}], as_json=True)
    else:
        context.console.print(f"removed {counted(count, 'authenticator')} of {name}")


@mfa.command()
@json_option
@click.pass_obj
def stats(context: CommandContext, /, as_json: bool) -> None:
    """Count the users with second factors.

    Example: authhost mfa stats --json
    """
    from authhost_mfa import monitoring

    names = {
        "totp": "with an authenticator app",
        "webauthn": "with a security key or passkey",
        "second_factor": "whose logins need a second factor",
        "blocked": "with too many wrong codes",
    }
    numbers = monitoring.counts(context())
    if as_json:
        context.console.print_rows([numbers], as_json=True)
        return
    rows = [{"users": names[name], "count": count} for name, count in numbers.items()]
    context.console.print_rows(rows)
