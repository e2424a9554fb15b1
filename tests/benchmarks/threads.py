"""Logins with argon2id on many threads, against the bare hash."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter
from typing import Any

from common import Options, Report, databases, hasher, insert_users, log_in, make_host, progress
from peers.measure import PASSWORD

THREADS = (1, 2, 4, 8, 16, 32)


def measure(options: Options) -> Report:
    """Logins in a second by threads, each of another user, and bare verifications."""
    total, repeats = options.rounds(256, 64), options.rounds(3, 1)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        progress(f"threads: {database}")
        with databases(server, "threads") as (url,), make_host(url, password_hash_wait=60) as host:
            insert_users(host, total)
            passwords = hasher(host)
            verify, stored = passwords.verify, passwords.hash(PASSWORD)
            work: tuple[Callable[[int], object], ...] = (
                lambda number, host=host: log_in(host, number),  # type: ignore[misc]
                lambda _, verify=verify, stored=stored: verify(PASSWORD, stored),  # type: ignore[misc]
            )
            per_second(work[0], THREADS[-1], THREADS[-1])
            for threads in THREADS:
                rates = [[per_second(each, total, threads) for each in work] for _ in range(repeats)]
                rows.append(
                    {
                        "database": database,
                        "threads": threads,
                        "logins /s": median(logins for logins, _ in rates),
                        "argon2id /s": median(bare for _, bare in rates),
                        "logins / argon2id": median(logins / bare for logins, bare in rates),
                    }
                )
    return Report(
        "Logins with argon2id by threads",
        "Three plugins, the default parameters. The bare hash is passlib's, without authhost's own limit on "
        "hashes at once.",
        rows,
    )


def per_second(work: Callable[[int], object], total: int, threads: int) -> float:
    """How often in a second ``work`` is done, for numbers from 0 to ``total``."""
    with ThreadPoolExecutor(threads) as pool:
        started = perf_counter()
        for _ in pool.map(work, range(total)):
            pass
        return total / (perf_counter() - started)
