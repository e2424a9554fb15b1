"""The suite reports faults in what a plugin registers."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Health, Metric, PluginTables, hookimpl
from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData, String, Table, Uuid

from authhost.testing.conformance.runner import run_check
from conformance.plugins import MIGRATIONS, ids_of, notes


class ForeignTable:
    metadata = MetaData()
    Table("note", metadata, Column("id", Integer, primary_key=True))

    @hookimpl
    def register_tables(self):
        return PluginTables(self.metadata, MIGRATIONS)


class StaleMigration:
    metadata = MetaData()
    Table(
        notes.name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", Uuid),
        Column("text", String(200)),
        Column("at", DateTime),
        Column("forgotten", String(20)),
    )

    @hookimpl
    def register_tables(self):
        return PluginTables(self.metadata, MIGRATIONS)


class BrokenCommands:
    @hookimpl
    def register_commands(self):
        raise RuntimeError("no such module")


class TakenCommand:
    @hookimpl
    def register_commands(self):
        import click

        return [click.Command("db")]


class HealthOfCounts:
    """A check that works only after something was counted."""

    def __init__(self):
        self.counts = {}

    @hookimpl
    def register_health(self):
        return [lambda host: [Health("logins", "ok", str(self.counts["login"]))]]


class HealthAsText:
    @hookimpl
    def register_health(self):
        return [lambda host: ["ok"]]


class FailedHealth:
    """To report a failure is right."""

    @hookimpl
    def register_health(self):
        return [lambda host: [Health("bell", "failed", "it does not ring")]]


class MetricOfOthers:
    @hookimpl
    def register_metrics(self):
        return [lambda host: [Metric("authhost_logins", 1, "gauge", "Logins.")]]


class FailingMetrics:
    @hookimpl
    def register_metrics(self):
        return [lambda host: 1 / 0]


FAULTS = [
    (HealthOfCounts, "declarations", "register_health: failed: KeyError"),
    (HealthAsText, "declarations", "register_health: returns a str, which is not a Health"),
    (MetricOfOthers, "declarations", "the metric authhost_logins is not reported"),
    (FailingMetrics, "declarations", "register_metrics: failed: ZeroDivisionError"),
    (ForeignTable, "declarations", "the name of table note may belong to another application"),
    (StaleMigration, "declarations", "forgotten"),
    (BrokenCommands, "declarations", "register_commands: failed: RuntimeError: no such module"),
    (TakenCommand, "declarations", "command 'db' is a command of authhost itself"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


def test_a_reported_failure_is_no_fault(new_context):
    assert run_check("declarations", new_context(FailedHealth())).faults == ()


class KeyOfAccount:
    """Its rows are deleted with the account, by the database."""

    metadata = MetaData()
    owner = ForeignKey("authhost_user.id", ondelete="CASCADE")
    Table("authhost_faulty_key", metadata, Column("user_id", Uuid, owner, primary_key=True))

    @hookimpl
    def register_tables(self):
        return PluginTables(self.metadata, "conformance.migrations_of_keys")


@pytest.mark.parametrize("check", ["declarations", "personal"])
def test_a_foreign_key_to_the_account_is_no_fault(new_context, check):
    assert run_check(check, new_context(KeyOfAccount())).outcome == "passed"
