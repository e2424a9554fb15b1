"""``authhost plugins block`` and ``unblock``: switch plugins off and on in all processes, at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from authhost.base_errors import ConfigurationError, PluginNotBlockable
from authhost.cli.completion import plugin_names
from authhost.cli.lazy_host import LazyHost
from authhost.cli.suggestions import suggestion
from authhost.cli.users.accounts import actor_option, report
from authhost.operations.accounts import operator
from authhost.operations.console import json_option, printable

if TYPE_CHECKING:
    from authhost.host import AuthHost
    from authhost.pluginhost.blocks import Block


@click.command("block")
@click.argument("name", shell_complete=plugin_names)
@click.option("--reason", required=True, help="Why, for the records: at most 500 characters.")
@click.option("--not-installed", is_flag=True, help="The application passes this plugin to its host itself.")
@actor_option
@json_option
@click.pass_obj
def block(
    lazy_host: LazyHost, name: str, reason: str, not_installed: bool, actor: str | None, as_json: bool
) -> None:
    """Block a plugin in all processes, without a restart.

    The processes follow within some seconds (blocked_plugins_refresh). None of the plugin's hooks is
    called then, and its pages do not exist. Accounts that it guards, such as by a second factor, cannot be
    logged in to. A required plugin cannot be blocked.

    Example: authhost plugins block analytics --reason "it hangs"
    """
    host = lazy_host()
    try:
        found = host.plugins.block(name, reason=reason, actor=operator(actor), installed=not not_installed)
    except PluginNotBlockable as error:
        raise click.ClickException(printable(str(error))) from None
    effects = list(_effects(host, name))
    row = {"name": name, "since": found.since.isoformat(), "by": found.by, "reason": found.reason}
    text = "\n".join([f"{printable(name)} is {printable(str(found))}", *effects])
    report(lazy_host, text, {**row, "effects": effects}, as_json=as_json)


@click.command("unblock")
@click.argument("name", shell_complete=plugin_names)
@actor_option
@json_option
@click.pass_obj
def unblock(lazy_host: LazyHost, name: str, actor: str | None, as_json: bool) -> None:
    """Use a plugin again that `authhost plugins block` has blocked.

    Example: authhost plugins unblock analytics
    """
    host = lazy_host()
    found = host.plugins.unblock(name, actor=operator(actor))
    if not found:
        raise click.ClickException(_not_blocked(host, name))
    text = f"{printable(name)} is not blocked any more"
    report(lazy_host, text, {"name": name, "blocked": False}, as_json=as_json)


def known_blocks(lazy_host: LazyHost) -> Mapping[str, Block]:
    """Return the blocked plugins, as far as the database can be read. Otherwise a warning is printed."""
    from sqlalchemy.exc import SQLAlchemyError

    from authhost.pluginhost.blocks import read_blocks
    from authhost.store.database import Database

    try:
        database = Database(lazy_host.settings(any_secret=True).database_url)
    except ConfigurationError:
        return {}
    try:
        return read_blocks(database)
    except ConfigurationError:  # there is no file
        return {}
    except SQLAlchemyError:
        what = "which plugins are blocked at run time"
        click.echo(f"Warning: the database cannot be read, so it is not known {what}", err=True)
        return {}
    finally:
        database.close()


def _not_blocked(host: AuthHost, name: str) -> str:
    record = next((each for each in host.registry.records if each.name == name), None)
    if record is not None and record.status == "blocked":
        return f"the settings block {name}: remove it from blocked_plugins, or add it to plugins, and restart"
    hint = suggestion(name, host.plugins.blocked())
    return f"plugin {printable(name)!r} is not blocked at run time.{hint} See `authhost plugins list`."


def _effects(host: AuthHost, name: str) -> Iterator[str]:
    """Yield what an operator has to know of the effects of a block."""
    from authhost.cli.checks.guards import guarded_accounts
    from authhost.pluginhost.hooks import VETOES

    record = next((each for each in host.registry.loaded() if each.name == name), None)
    hooks = frozenset(record.hooks) if record is not None else frozenset()
    accounts = guarded_accounts(host)[name]
    if accounts and name in host.settings.login_without_plugins:
        yield f"{accounts} accounts are open without it: login_without_plugins names it"
    elif accounts:
        yield f"nobody can log in to {accounts} accounts that need it, until it is unblocked"
    if vetoes := sorted(hooks & VETOES):
        yield f"it refuses nothing any more ({', '.join(vetoes)})"
    if "is_administrator" in hooks:
        yield "who is an administrator by it is none, and nobody can work in the account of somebody else"
    if {"account_recovered", "login_steps"} <= hooks:
        yield "nobody can take over an account with an address that was never verified, such as by a reset"
    if "deliver_message" in hooks and not any(
        "deliver_message" in each.hooks for each in host.registry.active()
    ):
        yield "no plugin delivers e-mail now: flows that send a message are refused"
    if "user_deleted" in hooks:
        yield "what it stores of deleted accounts stays until it is unblocked and `authhost maintain` runs"
    if "remove_factors" in hooks:
        yield "no lost factors can be removed, since the plugin's would stay"
    if "export_user" in hooks:
        yield "no account can be exported, since the plugin's data would be missing"
