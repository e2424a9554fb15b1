"""What administrators do with accounts, by the size of the table."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, get_args
from uuid import UUID

from authhost_hookspecs import Actor
from common import Options, Report, address, databases, hasher, make_host, progress, verdict
from peers.measure import PASSWORD, Laps
from sqlalchemy import bindparam, text

from authhost import AuthHost
from authhost.store.tables import UtcDateTime
from authhost.users.directory import UserFilter

GOAL = 1_000
"""Milliseconds that the slowest call may take."""
OPERATOR = Actor("operator", name="benchmark")


def measure(options: Options) -> Report:
    """Medians and maxima in ms of the calls of ``host.users`` for random accounts."""
    accounts, rounds = options.rounds(10_000_000, 100_000), options.rounds(20, 5)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        with databases(server, "accounts") as urls, make_host(urls[0], background=False) as host:
            progress(f"accounts: storing {accounts:,} accounts in {database}")
            _store(host, accounts)
            progress(f"accounts: measuring {database}")
            for name, call in _calls(host).items():
                laps = Laps()
                for number in random.Random(0).sample(range(accounts), rounds):
                    user_id = host.users.get(address(number)).id
                    with laps.lap(name):
                        call(number, user_id)
                times = laps.values(name)
                rows.append(
                    {
                        "database": database,
                        "call": name,
                        "median ms": laps.median(name),
                        "slowest ms": max(times),
                        "under 1 s": verdict(max(times), GOAL),
                    }
                )
    return Report(f"Administration of {accounts:,} accounts", "No account is deactivated or guarded.", rows)


NUMBERS = {
    "sqlite": (
        "WITH RECURSIVE numbers(n) AS "
        "(SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :accounts) ",
        "numbers",
        "printf('%08x', n) || '000000000000000000000000'",
    ),
    "postgresql": (
        "",
        "generate_series(0, :accounts - 1) AS numbers(n)",
        "rpad(lpad(to_hex(n), 8, '0'), 32, '0')::uuid",
    ),
}
"""How each database counts, and makes an identifier of a number."""
ADDRESS = "'user' || n || '@example.org'"


def _store(host: AuthHost, accounts: int) -> None:
    """Store accounts that share a password, by two statements: row by row takes an hour for millions."""
    counting, numbers, identifier = NUMBERS[host.engine.dialect.name]
    users = (
        "INSERT INTO authhost_user (id, username, username_key, password, is_active, ready_at, date_joined) "
        f"{counting}SELECT {identifier}, 'name' || n, 'name' || n, :password, true, :now, :now FROM {numbers}"
    )
    addresses = (
        "INSERT INTO authhost_email_address (id, user_id, email, email_key, verified, claim_key, primary_of) "
        f"{counting}SELECT {identifier}, {identifier}, {ADDRESS}, {ADDRESS}, true, {ADDRESS}, {identifier} "
        f"FROM {numbers}"
    )
    values = {"accounts": accounts, "password": hasher(host).hash(PASSWORD), "now": host.now}
    with host.engine.begin() as connection:
        connection.execute(text(users).bindparams(bindparam("now", type_=UtcDateTime())), values)
        connection.execute(text(addresses), {"accounts": accounts})
    with host.engine.begin() as connection:
        connection.execute(text("ANALYZE"))


def _calls(host: AuthHost) -> dict[str, Callable[[int, UUID], object]]:
    users = host.users
    filters = {
        f"list, only {name}": lambda number, user_id, name=name: users.list(name)
        for name in get_args(UserFilter)
    }
    return {
        "find the beginning of an address": lambda number, user_id: users.find(address(number)[:6]),
        "find the beginning of a username": lambda number, user_id: users.find(f"name{number}"[:7]),
        "find a whole address": lambda number, user_id: users.find(address(number)),
        "find nothing": lambda number, user_id: users.find("nobody at all"),
        "show by address": lambda number, user_id: users.read(users.get(address(number)).id),
        "show by username": lambda number, user_id: users.read(users.get(f"name{number}").id),
        "show by 12 digits": lambda number, user_id: users.find(user_id.hex[:12]),
        "list, first page": lambda number, user_id: users.list(),
        "list, a page in the middle": lambda number, user_id: users.list(before=user_id),
        **filters,
        "deactivate": lambda number, user_id: users.deactivate(user_id, actor=OPERATOR),
        "export": lambda number, user_id: users.export(user_id, actor=OPERATOR),
        "delete": lambda number, user_id: users.delete(user_id, actor=OPERATOR),
    }
