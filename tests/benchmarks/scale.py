"""The same login with few and with many users in the table."""

from __future__ import annotations

import random
from typing import Any

from common import CHEAP_HASH, Options, Report, databases, insert_users, log_in, make_host, progress
from peers.measure import Laps

FEW = 1_000


def measure(options: Options) -> Report:
    """Medians in ms of logins of random users; the two databases take turns."""
    many, rounds = options.rounds(1_000_000, 100_000), options.rounds(400, 100)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        progress(f"scale: {database}, {many:,} users")
        laps = Laps()
        with (
            databases(server, "few", "many") as urls,
            make_host(urls[0], **CHEAP_HASH) as few_host,
            make_host(urls[1], **CHEAP_HASH) as many_host,
        ):
            sizes = {FEW: few_host, many: many_host}
            for size, host in sizes.items():
                insert_users(host, size)
            users = {size: random.Random(0).sample(range(size), rounds + FEW // 10) for size in sizes}
            for turn in range(rounds + FEW // 10):
                if turn == FEW // 10:
                    laps.clear()
                for size, host in sizes.items():
                    with laps.lap(str(size)):
                        log_in(host, users[size][turn])
        few_ms, many_ms = laps.median(str(FEW)), laps.median(str(many))
        assert few_ms is not None
        assert many_ms is not None
        rows.append(
            {
                "database": database,
                f"{FEW:,} users ms": few_ms,
                f"{many:,} users ms": many_ms,
                "many / few": many_ms / few_ms,
            }
        )
    return Report("Login by the size of the table", "Three plugins, a cheap hash, random users.", rows)
