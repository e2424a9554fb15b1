"""What administrators do with accounts, by the size of the table."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, get_args
from uuid import UUID

from authhost_hookspecs import Actor
from common import Options, Report, address, databases, insert_users, make_host, progress, verdict
from peers.measure import Laps

from authhost import AuthHost
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
            insert_users(host, accounts, usernames=True)
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
