"""What the groups share: options, reports, empty databases, hosts and users."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from authhost_hookspecs import Message, hookimpl
from passlib.context import CryptContext
from peers.measure import PASSWORD
from sqlalchemy import URL, create_engine, insert, make_url, text

from authhost import AuthHost, Settings
from authhost.store import tables

PLUGINS = ("analytics", "audit", "email")
CHEAP_HASH: Mapping[str, Any] = {"password_schemes": ("ldap_salted_sha1",), "password_hash_options": {}}
DATABASE = f"authhost_bench_{os.getpid()}"
CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how long."""

    quick: bool = False
    postgresql: str | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    """The Python interpreter of each peer's environment, by the peer's name."""
    statements: bool = False
    """Whether to print the SQL of each round trip, where they are counted."""

    @property
    def servers(self) -> dict[str, str | None]:
        """The kinds of database, with the server's URL; None for SQLite."""
        return {"SQLite": None, **({"PostgreSQL": self.postgresql} if self.postgresql else {})}

    def rounds(self, full: int, quick: int) -> int:
        """How often to measure."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Report:
    """A table; every row has a value or None for each of its columns."""

    title: str
    note: str
    rows: list[dict[str, Any]]


def progress(text: str) -> None:
    """Say on stderr what is being measured."""
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def verdict(value: float | None, goal: float | None) -> str:
    """Whether a value is within its goal; nothing where either is missing."""
    if value is None or goal is None:
        return ""
    return "met" if value <= goal else "missed"


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of what was measured in the same round."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def undisturbed_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The ratio of the first deciles: what else the machine does adds time, and never takes any away."""
    return quantiles(ours, n=10)[0] / quantiles(theirs, n=10)[0]


class Deliverer:
    """Takes every message and drops it."""

    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        return True


@contextmanager
def databases(server: str | None, *names: str) -> Iterator[list[str]]:
    """URLs of empty databases: SQLite files, or schemas of one database that is dropped afterwards."""
    if server is None:
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield [f"sqlite:///{Path(folder) / name}.sqlite3" for name in names]
        return
    url = make_url(server)
    drop = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
    _execute(url, drop, f"CREATE DATABASE {DATABASE}")
    try:
        ours = url.set(database=DATABASE)
        _execute(ours, *(f'CREATE SCHEMA "{name}"' for name in names))
        yield [
            ours.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
            for name in names
        ]
    finally:
        _execute(url, drop)


def _execute(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def make_host(
    url: str,
    *,
    plugins: bool = True,
    extra: Mapping[str, object] | None = None,
    background: bool = True,
    **settings: Any,
) -> AuthHost:
    """A host on an empty database, with the three plugins or with ``extra`` ones alone.

    ``background=False`` starts no thread of a plugin.
    """
    given: dict[str, Any] = {
        "secret_key": "k" * 48,
        "database_url": url,
        "rate_limits": False,
        "plugin_settings": {
            name: values
            for name, values in {"email": {"delivery": "manual"}}.items()
            if plugins or name in (extra or ())
        },
        "plugins": (*PLUGINS, *(extra or ())),
        **settings,
    }
    missing = [f"authhost-{name}" for name in PLUGINS if plugins and find_spec(f"authhost_{name}") is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; `nox -s bench` installs what is needed")
    return AuthHost(
        Settings(**given), plugins=extra, discover=plugins, upgrade_database=True, background=background
    )


def hasher(host: AuthHost) -> CryptContext:
    """passlib by itself with a host's schemes and options, without the limit on hashes at once."""
    settings = host.settings
    return CryptContext(
        schemes=list(settings.password_schemes), deprecated="auto", **settings.password_hash_options
    )


def address(number: int) -> str:
    """The address of a user that `insert_users` stored; it is its own key."""
    return f"user{number}@example.org"


def insert_users(host: AuthHost, count: int) -> None:
    """Store ``count`` accounts that share a password, past the flows."""
    password, now = hasher(host).hash(PASSWORD), host.now
    for start in range(0, count, CHUNK):
        users = [
            {
                "id": host.new_id(),
                "password": password,
                "is_active": True,
                "ready_at": now,
                "date_joined": now,
            }
            for _ in range(start, min(start + CHUNK, count))
        ]
        emails = [
            {
                "id": host.new_id(),
                "user_id": user["id"],
                "email": address(number),
                "email_key": address(number),
                "verified": True,
                "claim_key": address(number),
                "primary_of": user["id"],
            }
            for number, user in enumerate(users, start)
        ]
        with host.engine.begin() as connection:
            connection.execute(insert(tables.users), users)
            connection.execute(insert(tables.addresses), emails)
    with host.engine.begin() as connection:
        connection.execute(text("ANALYZE"))


def log_in(host: AuthHost, number: int) -> str:
    """One login by address, in a unit of its own; return the token of its session."""
    with host.request(ip_address="203.0.113.7", user_agent="benchmark") as request:
        done = host.account.login(request, identifier=address(number), password=PASSWORD)
    assert done.session_token is not None
    return done.session_token
