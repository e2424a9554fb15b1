"""Plugins that several test files use: some without a fault, bases for others, and some that are faulty."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from authhost_hookspecs import Host, PluginTables, Request, User, hookimpl
from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Uuid, delete, select

CONTRACT = "authhost-hookspecs>=1.0,<2"
MIGRATIONS = "conformance.migrations"

metadata = MetaData()
notes = Table(
    "authhost_faulty_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", Uuid),
    Column("text", String(200)),
    Column("at", DateTime),
)


def ids_of(faults: Sequence[tuple[type, str, str]]) -> list[str]:
    """Test ids for a table of plugins, checks and messages."""
    return [f"{plugin.__name__}-{check}" for plugin, check, _ in faults]


class WithTable:
    """Has a table to write to, and deletes the rows of deleted users."""

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, MIGRATIONS)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        request.db.execute(delete(notes).where(notes.c.user_id == user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> dict[str, Any]:
        mine = select(notes.c.text).where(notes.c.user_id == user.id)
        return {"notes": list(request.db.execute(mine).scalars())}


class WithHost(WithTable):
    """Knows the newest host."""

    host: Host

    @hookimpl
    def host_started(self, host: Host) -> None:
        self.host = host


class FaultlessPlugin(WithTable):
    """Does what the contract asks."""

    def __init__(self):
        self.count, self._lock = 0, threading.Lock()

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        request.insert(notes, {"user_id": user.id, "text": "in"})
        request.on_commit(self._counted)

    @hookimpl
    def flow_refused(self, request: Request, flow: str, user: User | None) -> None:
        request.insert(notes, {"user_id": user.id if user else None, "text": flow})

    def _counted(self) -> None:
        with self._lock:
            self.count += 1


class FaultlessWrapper:
    """Does what the contract asks, with wrappers."""

    @hookimpl(wrapper=True)
    def user_logged_in(self, request, user):
        request.on_commit(user.id.hex.lower)
        return (yield)

    @hookimpl(wrapper=True)
    def pre_social_login(self, sociallogin):
        return (yield)


class FailsInVeto:
    """Refuses by accident: the host takes any exception of a veto for a refusal."""

    @hookimpl
    def before_login(self, user):
        raise KeyError(user.username)


class UnknownHook:
    """The host does not accept it."""

    @hookimpl
    def user_loged_in(self, user): ...


class NeverReturns:
    @hookimpl
    def user_logged_in(self, user):
        threading.Event().wait()  # forever: a thread that continued would disturb another test


class NeverStarts:
    @hookimpl
    def host_started(self, host):
        threading.Event().wait()
