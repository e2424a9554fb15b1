"""The suite reports faults in what a plugin registers."""

from __future__ import annotations

import pytest
from authhost_hookspecs import PluginTables, hookimpl
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


FAULTS = [
    (ForeignTable, "declarations", "the name of table note may belong to another application"),
    (StaleMigration, "declarations", "forgotten"),
    (BrokenCommands, "declarations", "register_commands: failed: RuntimeError: no such module"),
    (TakenCommand, "declarations", "command 'db' is a command of authhost itself"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


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
