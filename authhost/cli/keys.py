"""``authhost keys``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from authhost.cli.lazy_host import LazyHost
from authhost.cli.suggestions import suggestion
from authhost.operations.console import json_option

if TYPE_CHECKING:
    from pathlib import Path

    from authhost_hookspecs import ManagedKey

    from authhost.host import AuthHost

PHASES = ("distribute", "activate", "re-encrypt", "close", "remove")
Values = Mapping[str, str | tuple[str, ...]]


@click.group("keys")
def keys() -> None:
    """List the keys, and change them without logging anybody out."""


@keys.command("list")
@json_option
@click.pass_obj
def keys_list(lazy_host: LazyHost, as_json: bool) -> None:
    """List all keys with a fingerprint, and what to do. Keys themselves are never shown.

    VALUES is how many stored values need a key. It is empty where that cannot be counted.

    Examples:

      authhost keys list

      authhost keys list --json
    """
    from authhost.operations.key_changes import all_keys

    host = lazy_host()
    _warn_not_counted(lazy_host, host)
    rows = [
        {
            "name": name,
            "fingerprint": state.fingerprint,
            "status": state.status,
            "created": state.created,
            "values": state.values,
            "used_for": key.used_for,
            "to_do": state.to_do,
        }
        for name, key in all_keys(host).items()
        for state in key.states(host)
    ]
    headers = {"name": "name", "fingerprint": "key", "status": "status", "created": "created"}
    headers |= {"values": "values", "to_do": "what to do"}
    lazy_host.console.print_rows(rows, as_json=as_json, headers=None if as_json else headers)


@keys.command("rotate")
@click.argument("name")
@click.option("--phase", type=click.Choice(PHASES), help="This phase. Default: the next one.")
@click.option("--print", "print_only", is_flag=True, help="Print the new settings instead of writing them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def keys_rotate(
    lazy_host: LazyHost, name: str, phase: str | None, print_only: bool, yes: bool, as_json: bool
) -> None:
    """Make one step of the change of a key, and say what to do next.

    Run it once for each phase, and restart all processes in between. First the new key is accepted by
    all processes (distribute), then it comes first (activate). Then what is stored is encrypted with it
    (re-encrypt), and the former key is removed (remove). Nobody is logged out.

    Settings are changed in the configuration file. Those in the environment are only printed, with
    --print. Exits with 1 if the phase is not possible now, or if a value cannot be decrypted.

    Examples:

      authhost keys rotate secret_key

      authhost keys rotate encryption_keys --phase re-encrypt --yes --json

      authhost keys rotate audit.signing_key --print
    """
    from authhost.operations import key_changes

    file = _read(lazy_host.config)  # before the settings are, so that it is not newer than they are
    host, console = lazy_host(), lazy_host.console
    key = _key(host, name)
    try:
        change = key.change(host, phase)
    except ValueError as error:
        raise click.ClickException(f"{error}") from None
    if change.settings and not print_only:
        _check_writable(lazy_host, name, change.settings)
    if change.question:
        console.confirm(change.question, yes=yes or print_only)
    row: dict[str, Any] = {"name": name, "phase": change.phase}
    unreadable = 0
    if change.phase == key_changes.ENCRYPT:
        _warn_not_counted(lazy_host, host)
        encrypted, unreadable = _encrypt_again(lazy_host, host)
        row |= {"encrypted": encrypted, "unreadable": unreadable}
        done = f"{encrypted:,} values were encrypted with the first key"
    elif print_only:
        row |= {"settings": dict(change.settings)}
        done = "\n".join(_lines(lazy_host, name, change.settings))
    else:
        row |= {"written": str(lazy_host.config)}
        done = f"{change.phase}: {', '.join(change.settings)} changed in {lazy_host.config}"
        _write(lazy_host, name, change.settings, file)
    if as_json:
        console.print_rows([{**row, "next": change.later}], as_json=True)
    else:
        console.print(done)
        # With --print, what is printed can go into a file.
        tell = console.error if print_only else console.print
        if change.later:
            tell(f"next: {change.later}")
    if unreadable:
        console.error(
            f"{unreadable:,} values need a key that is not listed: `authhost keys list` shows their columns"
        )
        sys.exit(1)


def _key(host: AuthHost, name: str) -> ManagedKey:
    from authhost.operations.key_changes import all_keys

    known = all_keys(host)
    if name in known:
        return known[name]
    hint = suggestion(name, known)
    raise click.UsageError(f"there is no key {name!r}.{hint} The keys are: {', '.join(known)}.")


def _encrypt_again(lazy_host: LazyHost, host: AuthHost) -> tuple[int, int]:
    from authhost.operations.sealed_columns import count, encrypt_again

    encrypted = unreadable = 0
    with lazy_host.console.progress(count(host), "values") as bar:
        for batch in encrypt_again(host):
            encrypted += batch.encrypted
            unreadable += batch.unreadable
            bar.advance(batch.rows)
    return encrypted, unreadable


def _warn_not_counted(lazy_host: LazyHost, host: AuthHost) -> None:
    from authhost.operations.key_changes import plugins_not_counted

    for plugin in plugins_not_counted(host):
        lazy_host.console.error(
            f"warning: the plugin {plugin} is not loaded: the encrypted values in its tables are not counted"
        )


def _variable(name: str, setting: str) -> str:
    plugin, dot, _ = name.rpartition(".")
    return f"AUTHHOST_PLUGINS__{plugin.upper()}__{setting.upper()}" if dot else f"AUTHHOST_{setting.upper()}"


def _variable_in_use(name: str, setting: str) -> str | None:
    """Return the variable of the environment that sets it. Those of plugins may have small letters."""
    from authhost.settings.sources import setting_of_table

    plugin, dot, _ = name.rpartition(".")
    if not dot:
        variable = _variable(name, setting)
        return variable if variable in os.environ else None
    wanted = plugin.lower(), setting
    return next((each for each in os.environ if setting_of_table("PLUGINS", each) == wanted), None)


def _used_variables(name: str, settings: Values) -> list[str]:
    """Return the variables of the environment that set the key now, or one of ``settings``."""
    from authhost.operations.key_changes import ENCRYPTION_KEYS, SECRET_KEY

    used = {*settings, *((SECRET_KEY,) if name == ENCRYPTION_KEYS else ())}
    found = (_variable_in_use(name, setting) for setting in sorted(used))
    return [variable for variable in found if variable is not None]


def _check_writable(lazy_host: LazyHost, name: str, settings: Values) -> None:
    """Raise `click.ClickException` if there is no file, or the key comes from the environment."""
    if used := _used_variables(name, settings):
        raise click.ClickException(
            f"{used[0]} is set in the environment, which authhost does not write: "
            "run the command with --print, and set what it prints"
        )
    if lazy_host.config is None:
        raise click.ClickException(
            "there is no configuration file to change: name it with --config, or run the command with --print"
        )


def _table(name: str) -> tuple[str, ...]:
    plugin, dot, _ = name.rpartition(".")
    return ("plugins", plugin) if dot else ()


def _read(file: Path | None) -> bytes:
    """Return the configuration file; empty if it cannot be read, which opening the host reports."""
    try:
        return file.read_bytes() if file is not None else b""
    except OSError:
        return b""


def _write(lazy_host: LazyHost, name: str, settings: Values, former: bytes) -> None:
    from authhost.operations.config_file import write_settings

    assert lazy_host.config is not None
    write_settings(lazy_host.config, _table(name), settings, former=former)


def _lines(lazy_host: LazyHost, name: str, settings: Values) -> list[str]:
    """Return the settings as lines of the environment if one of them is there, else as lines of the file."""
    if lazy_host.config is not None and not _used_variables(name, settings):
        lines = [
            f"{setting} = {json.dumps(value, ensure_ascii=False)}" for setting, value in settings.items()
        ]
        table = ".".join(_table(name))
        return [f"[{table}]", *lines] if table else lines
    for value in settings.values():
        if isinstance(value, tuple) and any("," in each for each in value):
            raise click.ClickException(
                "a key has a comma, which a list in the environment cannot have: set the list in the "
                "configuration file"
            )
    return [
        f"{_variable(name, setting)}={value if isinstance(value, str) else ','.join(value)}"
        for setting, value in settings.items()
    ]
