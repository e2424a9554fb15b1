"""Plugins with one fault each, planted, beside one that has none."""

from __future__ import annotations

import logging
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import pluggy
from authhost_hookspecs import Message, PluginTables, Refused, Request, SocialLogin, User, hookimpl
from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Uuid
from sqlalchemy.exc import OperationalError

log = logging.getLogger(__name__)
metadata = MetaData()
notes = Table(
    "authhost_faulty_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", Uuid),
    Column("text", String(200)),
    Column("at", DateTime),
)


class Tabled:
    """With a table to write to."""

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "conformance.faulty_migrations")


class Good(Tabled):
    """Keeps all that is asked."""

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


# Refused by the host.


class UnknownHook:
    @hookimpl
    def user_loged_in(self, user): ...


class WrongArgument:
    @hookimpl
    def user_logged_in(self, request, account): ...


class Asynchronous:
    @hookimpl
    async def user_logged_in(self, user): ...


class Defaulted:
    @hookimpl
    def user_logged_in(self, user=None): ...


class Undecorated:
    def user_logged_out(self, user): ...

    @hookimpl
    def user_logged_in(self, user): ...


class OthersMarker:
    @pluggy.HookimplMarker("pytest")
    def user_logged_out(self, user): ...

    @hookimpl
    def user_logged_in(self, user): ...


class GeneratorVeto:
    @hookimpl
    def before_login(self, user):
        raise Refused("no", "No.")
        yield


def decorated(function):
    @wraps(function)
    def inner(*arguments):
        return function(*arguments)

    return inner


class DecoratedAsynchronous:
    @hookimpl
    @decorated
    async def before_login(self, user):
        raise Refused("no", "No.")


class StaticVeto:
    @staticmethod
    @hookimpl(specname="before_login")
    def gate(user):
        raise KeyError("planted")


class VetoWrapper:
    @hookimpl(wrapper=True)
    def before_login(self, user):
        return (yield)


@dataclass(frozen=True)
class NeedsSettings:
    token: str


class UnusableSettings:
    @hookimpl
    def register_settings(self):
        return NeedsSettings

    @hookimpl
    def user_logged_in(self, user): ...


# What it brings.


class ForeignTable:
    metadata = MetaData()
    Table("note", metadata, Column("id", Integer, primary_key=True))

    @hookimpl
    def register_tables(self):
        return PluginTables(self.metadata, "conformance.faulty_migrations")


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
        return PluginTables(self.metadata, "conformance.faulty_migrations")


class BrokenCommands:
    @hookimpl
    def register_commands(self):
        raise RuntimeError("no such module")


class TakenCommand:
    @hookimpl
    def register_commands(self):
        import click

        return [click.Command("db")]


# What it does to the flows.


class Raises:
    @hookimpl
    def email_changed(self, user):
        raise ZeroDivisionError("planted")


class Exits:
    @hookimpl
    def user_logged_in(self, user):
        raise SystemExit(1)


class FailsLater:
    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(lambda: 1 / 0)


class BadRow(Tabled):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"no_such_column": 1})


class Vetoes:
    """By accident: anything but `Refused` is a failure that refuses."""

    @hookimpl
    def before_login(self, user):
        raise KeyError(user.username)


class KeepsMessages:
    @hookimpl
    def deliver_message(self, message):
        raise RuntimeError("no server")


class NeedsEmail:
    @hookimpl
    def user_logged_in(self, user):
        user.email.lower()


class NeedsUser:
    @hookimpl
    def flow_refused(self, request, user):
        if user is None and request.ip_address is None:
            user.id  # noqa: B018


class ChangesUser:
    @hookimpl
    def user_logged_in(self, user):
        object.__setattr__(user, "email", user.email.upper())


class ChangesRequest:
    @hookimpl
    def user_signed_up(self, request):
        request.user_agent = "mine"


class Slow:
    @hookimpl
    def user_logged_in(self, user):
        until = time.perf_counter() + 0.12
        while time.perf_counter() < until:
            pass


# What it does to the unit of work.


class OwnConnection(Tabled):
    @hookimpl
    def host_started(self, host):
        self.host = host

    @hookimpl
    def before_login(self, user):
        with suppress(OperationalError), self.host.engine.begin() as connection:
            connection.execute(notes.insert().values(text="before"))


class LockedOut(OwnConnection):
    @hookimpl
    def user_signed_up(self, user):
        with self.host.engine.begin() as connection:
            connection.execute(notes.insert().values(text="within"))


class HandsOver(Tabled):
    """To a queue in memory, before the commit."""

    def __init__(self):
        self.waiting = []

    @hookimpl
    def password_changed(self, user):
        self.waiting.append(user.id)

    @hookimpl
    def host_stopping(self, host):
        with host.engine.begin() as connection:
            for each in self.waiting:
                connection.execute(notes.insert().values(user_id=each))
        self.waiting.clear()


class CountsEarly:
    def __init__(self):
        self.logins = 0

    @hookimpl
    def user_logged_in(self, user):
        self.logins += 1


class Connects:
    @hookimpl
    def user_logged_in(self, user):
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()


class Writes:
    @hookimpl
    def user_logged_in(self, user):
        with open(Path(tempfile.gettempdir()) / "authhost-faulty.txt", "a") as file:
            file.write("in")


class Starts:
    @hookimpl
    def user_logged_in(self, user):
        subprocess.run(["true"], check=False)


class OneHost(Tabled):
    """Takes the newest host for the only one."""

    @hookimpl
    def host_started(self, host):
        self.host = host

    @hookimpl
    def user_logged_in(self, request, user):
        host = self.host

        def later():
            with host.engine.begin() as connection:
                connection.execute(notes.insert().values(user_id=user.id))

        request.on_commit(later)


# Threads.


class GlobalLock(Tabled):
    lock = threading.Lock()

    @hookimpl
    def user_logged_in(self, request, user):
        with self.lock:
            request.insert(notes, {"user_id": user.id})


class LeavesLocked:
    def __init__(self):
        self.lock = threading.Lock()

    @hookimpl
    def email_changed(self, user):
        self.lock.acquire()


class Hangs:
    @hookimpl
    def user_logged_in(self, user):
        threading.Event().wait()  # never: who wakes later disturbs another test


class KeepsRequest(Tabled):
    @hookimpl
    def user_logged_in(self, request, user):
        self.request = request
        self._write(user)

    def _write(self, user):
        self.request.insert(notes, {"user_id": user.id})


class UsesThread(Tabled):
    @hookimpl
    def user_logged_in(self, request, user):
        threading.Thread(target=lambda: request.insert(notes, {"user_id": user.id})).start()


# Secrets.


class StoresToken(Tabled):
    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        assert sociallogin.token is not None
        request.insert(notes, {"text": sociallogin.token.reveal()[:200]})


class StoresSession(Tabled):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": request.session_token})


class LogsKey:
    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        log.info("sending %s", message.link)
        return True


class PrintsKey:
    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        print(message.key)
        return True


class Decides:
    """On purpose: no fault."""

    @hookimpl
    def before_signup(self, email: str | None) -> None:
        if email is not None and not email.endswith("@members.example.org"):
            raise Refused("not_invited", "Signup is for our members.")
