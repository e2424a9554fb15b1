"""What the checks look at: lives with the plugin and without, and what was left behind."""

from __future__ import annotations

import io
import logging
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, MetaData, Table, event, inspect, select

from authhost.host import AuthHost
from authhost.request import Request
from authhost.store.tables import metadata as core
from authhost.testing.conformance.process import state
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.subject import Subject
from authhost.testing.conformance.watching import Call, Watched, executed, files_of
from authhost.testing.life import SETTINGS, Life, Step
from authhost.testing.openid import LocalProvider
from authhost.testing.recording import MAILBOX, Mailbox
from authhost.testing.stage import Clock, open_host

OWN = frozenset(core.tables)
LONGEST = 10_000_000
"""Bytes of a file that are looked at, from its end."""
Rows = dict[str, list[dict[str, Any]]]


@dataclass(slots=True)
class Lived:
    """A life and its traces."""

    steps: list[Step]
    ended_by: Step | None
    calls: list[Call]
    secrets: dict[str, str]
    rows: Rows
    logged: list[logging.LogRecord]
    printed: str
    files: dict[str, tuple[str, str]]
    """Where in the code each file was written, and what is in it."""
    kept: dict[str, str]
    """What the plugin still has of requests that have ended, by the names of its own."""
    of_call: list[str]
    """In which step each call was."""


class Trial:
    """One examination of a plugin, in a folder of its own."""

    def __init__(self, subject: Subject, folder: Path, provider: LocalProvider) -> None:
        self.subject, self.folder, self.provider = subject, folder, provider
        self.process = state()
        self.known: dict[str, tuple[Fault, ...]] = {}
        """Faults that several checks ask for."""
        self.hangs = False
        """Whether a check did not come back."""
        self.hosts: list[AuthHost] = []
        """All that were opened, in order."""
        self._without: list[Step] | None = None
        self._within: Lived | None = None

    @contextmanager
    def host(
        self, plugins: Mapping[str, object], *, hours: float = 0, **settings: Any
    ) -> Iterator[tuple[AuthHost, Mailbox]]:
        """A host of its own with some plugins, on a fresh SQLite file, ``hours`` from now."""
        mailbox, name = Mailbox(), self.subject.name
        clock = Clock()
        clock.forward(hours=hours)
        given = {
            **SETTINGS,
            "providers": self.provider.settings,
            "plugin_settings": {name: self.subject.settings} if name in plugins else {},
            **settings,
        }
        url = f"sqlite:///{self.folder / f'{len(self.hosts) + 1}.sqlite3'}"
        with open_host(url, {MAILBOX: mailbox, **plugins}, clock=clock, **given) as host:
            self.hosts.append(host)
            _impatient(host.engine)
            yield host, mailbox

    @contextmanager
    def watched(self, **settings: Any) -> Iterator[tuple[AuthHost, Mailbox, Watched]]:
        """A host with the plugin under observation."""
        watched = Watched(self.subject)
        with self.host({self.subject.name: watched.view}, **settings) as (host, mailbox):
            for engine in {host.engine, host.reader}:
                event.listen(engine, "before_cursor_execute", lambda *given: executed(host, given[2]))
            yield host, mailbox, watched

    # Not `functools.cached_property`: before Python 3.12 it locks all instances while one looks.

    @property
    def without(self) -> list[Step]:
        """How every flow ends without the plugin."""
        if self._without is None:
            self._without = self._live_without()
        return self._without

    @property
    def lived(self) -> Lived | None:
        """The life with the plugin, where it was lived to its end."""
        return self._within

    @property
    def within(self) -> Lived:
        """The same with the plugin, in all detail."""
        if self._within is None:
            self._within = self._live_within()
        return self._within

    def _live_without(self) -> list[Step]:
        with self.host({}) as (host, mailbox), quiet():
            life = Life(host, mailbox, self.provider)
            life.live()
        assert life.ended_by is None, f"the kit itself stops after {life.ended_by}"
        return life.steps

    def _live_within(self) -> Lived:
        of_call: list[str] = []
        # First the ears: a plugin may speak up while its host starts.
        with (
            listened() as logged,
            printed() as text,
            files_of(self.subject) as files,
            self.watched() as (host, mailbox, watched),
        ):
            told = len(watched.calls)

            def after(step: Step) -> None:
                of_call.extend([step.title] * (len(watched.calls) - told - len(of_call)))
                for call in watched.calls:
                    token = getattr(call.arguments.get("sociallogin"), "token", None)
                    if token is not None:
                        life.secrets[token.reveal()] = "a provider's token"

            of_call.extend(["start"] * told)
            told = 0
            life = Life(host, mailbox, self.provider, after=after)
            life.live()
            host.close()
            of_call.extend(["stop"] * (len(watched.calls) - len(of_call)))
            life.secrets |= dict.fromkeys(host.settings.secret_keys, "the secret key")
            return Lived(
                life.steps,
                life.ended_by,
                watched.calls,
                life.secrets,
                rows_of(host),
                logged,
                text.getvalue(),
                {path: (place, _text_of(Path(path))) for path, place in files.items()},
                _kept(self.subject, watched.calls),
                of_call,
            )


def _impatient(engine: Engine) -> None:
    """Who waits for a lock of this host itself would wait for ever: say so soon."""
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=300"))
    engine.dispose()


def _kept(subject: Subject, calls: list[Call]) -> dict[str, str]:
    """Requests, or what stands for one, in what the plugin has in memory."""
    requests = [call.arguments["request"] for call in calls if "request" in call.arguments]
    numbers, found = {id(each) for each in requests}, {}
    for name, value in subject.memory().items():
        items = [*value, *(value.values() if isinstance(value, dict) else ())] if _holds(value) else [value]
        if any(isinstance(each, Request) for each in items):
            found[name] = "requests"
        elif any(type(each) is int and each in numbers for each in items):
            found[name] = "id(request), which may be that of another request by now"
    return found


def _holds(value: Any) -> bool:
    return isinstance(value, list | dict | set | frozenset | tuple | deque)


def _text_of(path: Path) -> str:
    """What is in a file, if it is there and is one."""
    return path.read_bytes()[-LONGEST:].decode("latin-1") if path.is_file() else ""


def rows_of(host: AuthHost) -> Rows:
    """All rows of all tables that are not the host's own."""
    tables = _tables_of(host)
    with host.engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in tables
        }


_reflected: WeakKeyDictionary[AuthHost, MetaData] = WeakKeyDictionary()


def _tables_of(host: AuthHost) -> list[Table]:
    names = {
        each
        for each in inspect(host.engine).get_table_names()
        if each not in OWN and not each.endswith("_version")
    }
    metadata = _reflected.get(host)
    if metadata is None or not names <= metadata.tables.keys():  # a plugin may make one by itself
        _reflected[host] = metadata = MetaData()
        metadata.reflect(host.engine, only=sorted(names))
    return [table for table in metadata.sorted_tables if table.name in names]


@dataclass
class _Ear(logging.Handler):
    heard: list[logging.LogRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)

    __hash__ = object.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)


@contextmanager
def listened() -> Iterator[list[logging.LogRecord]]:
    """All that is logged, at every level; it goes nowhere else meanwhile."""
    root, ear = logging.getLogger(), _Ear()
    handlers, level = root.handlers, root.level
    database = logging.getLogger("sqlalchemy")
    of_database = database.level
    root.handlers = [ear]
    root.setLevel(1)  # everything, and not a level that a plugin would set
    database.setLevel(logging.WARNING)  # else it prints every statement
    try:
        yield ear.heard
    finally:
        database.setLevel(of_database)
        root.handlers = handlers
        root.setLevel(level)


@contextmanager
def printed() -> Iterator[io.StringIO]:
    """All that is printed."""
    text = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(text))
        stack.enter_context(redirect_stderr(text))
        yield text


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged or printed."""
    with listened(), printed():
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Afterwards it is logged and printed where it was before, though somebody who listens hangs."""
    root, database = logging.getLogger(), logging.getLogger("sqlalchemy")
    before = sys.stdout, sys.stderr, root.handlers, root.level, database.level
    try:
        yield
    finally:
        sys.stdout, sys.stderr, root.handlers = before[:3]
        root.setLevel(before[3])
        database.setLevel(before[4])
