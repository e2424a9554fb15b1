"""Check of what a plugin registers: commands, providers, checks, health, metrics, tables and migrations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import authhost_hookspecs as contract

from authhost.errors import PLUGIN_FAILURES
from authhost.operations.monitoring import metric_prefix
from authhost.store.tables import metadata as host_metadata
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.report import Fault

HOST_COMMANDS = frozenset(
    {
        "check",
        "db",
        "hooks",
        "init",
        "keys",
        "maintain",
        "metrics",
        "plugins",
        "providers",
        "serve",
        "status",
        "tour",
        "users",
    }
)
"""The commands of authhost itself. A test compares them with the command line."""

REPORTS = {
    "register_checks": contract.Finding,
    "register_health": contract.Health,
    "register_metrics": contract.Metric,
}
"""The hooks whose functions report something to operators, and what they yield."""


def declarations(context: CheckContext) -> Iterator[Fault]:
    """Its commands, providers, checks, health, metrics, tables and migrations have the right types."""
    checked = context.checked
    with silenced(), context.host({checked.name: checked.plugin}) as (host, _):
        (record,) = (each for each in host.registry.loaded() if each.name == checked.name)
        hooks = checked.implementations
        if "register_commands" in record.hooks:
            yield from _commands(hooks["register_commands"])
        if "register_providers" in record.hooks:
            yield from _providers(hooks["register_providers"])
        for hook, kind in REPORTS.items():
            if hook in record.hooks:
                yield from _reports(hook, hooks[hook], host, kind, checked.name)
        if record.tables is not None:
            yield from _tables(host, record.tables, checked.name)


def _commands(register: Any) -> Iterator[Fault]:
    import click

    try:
        commands = register()
    except PLUGIN_FAILURES as error:
        yield _failed(error, "register_commands")
        return
    if not isinstance(commands, list | tuple):
        yield Fault(f"must return a list of commands, not a {type(commands).__name__}", "register_commands")
        return
    for command in commands:
        if not isinstance(command, click.Command):
            kind = type(command).__name__
            yield Fault(f"returns a {kind}, which is not a click.Command", "register_commands")
        elif command.name in HOST_COMMANDS:
            yield Fault(
                f"command {command.name!r} is a command of authhost itself; rename it", "register_commands"
            )


def _providers(register: Any) -> Iterator[Fault]:
    try:
        providers = list(register())
    except PLUGIN_FAILURES as error:
        yield _failed(error, "register_providers")
        return
    for each in providers:
        if not isinstance(each, contract.Provider):
            yield Fault(
                f"returns a {type(each).__name__}, which is not a provider declaration", "register_providers"
            )


def _reports(hook: str, register: Any, host: Any, kind: type, plugin: str) -> Iterator[Fault]:
    """Call the functions of ``hook`` on a host on which nothing has happened yet."""
    prefix = metric_prefix(plugin)
    try:
        for function in list(register()):
            for each in function(host):
                if not isinstance(each, kind):
                    wrong = type(each).__name__
                    yield Fault(f"returns a {wrong}, which is not a {kind.__name__}", hook)
                elif isinstance(each, contract.Metric) and not each.name.startswith(prefix):
                    yield Fault(f"the metric {each.name} is not reported; begin its name with {prefix}", hook)
    except PLUGIN_FAILURES as error:
        yield _failed(error, hook)


def _failed(error: BaseException, hook: str) -> Fault:
    return Fault(f"failed: {type(error).__name__}: {error}", hook)


def _tables(host: Any, tables: contract.PluginTables, name: str) -> Iterator[Fault]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    metadata: Any = tables.metadata
    prefix = f"authhost_{name}"
    for table in metadata.tables:
        if not table.startswith(prefix):
            yield Fault(
                f"the name of table {table} may belong to another application; begin it with {prefix}_"
            )

    def is_own(item: Any, label: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or label in metadata.tables

    with host.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_own})
        for change in compare_metadata(context, _with_host_tables(metadata)):
            yield Fault(
                f"the migrations and the metadata differ: {_summary(change)}; add a migration",
                "register_tables",
            )


def _with_host_tables(metadata: Any) -> Any:
    """Return a copy of the metadata in which foreign keys to the host's own tables can be resolved."""
    from sqlalchemy import MetaData

    combined = MetaData(naming_convention=metadata.naming_convention)
    for table in (*metadata.tables.values(), *host_metadata.tables.values()):
        if table.key not in combined.tables:
            table.to_metadata(combined)
    return combined


def _summary(change: Any) -> str:
    if isinstance(change, list):
        change = change[0]
    words = [getattr(part, "name", part) for part in change if isinstance(part, str) or hasattr(part, "name")]
    return " ".join(map(str, words))
