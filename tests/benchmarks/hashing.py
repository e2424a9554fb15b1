"""Logins with argon2id against the bare hash: one after the other, and on many threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter
from typing import Any

from common import Options, Report, databases, insert_users, log_in, make_host
from passlib.context import CryptContext
from peers.measure import PASSWORD, Laps

from authhost import AuthHost

THREADS = (1, 2, 4, 8, 16, 32)


def measure(options: Options) -> Report:
    """Medians in ms, a login and a bare verification in turn."""
    rounds, warm_up = options.rounds(200, 30), 5
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        laps = Laps()
        with databases(server, "argon2") as (url,), make_host(url) as host:
            insert_users(host, rounds + warm_up)
            stored = host.passwords.hash(PASSWORD)
            for number in range(rounds + warm_up):
                if number == warm_up:
                    laps.clear()
                with laps.lap("login"):
                    log_in(host, number)
                with laps.lap("hash"):
                    host.passwords.verify(PASSWORD, stored)
        pairs = zip(laps.values("login"), laps.values("hash"), strict=True)
        rows.append(
            {
                "database": database,
                "login ms": laps.median("login"),
                "argon2id ms": laps.median("hash"),
                "login / argon2id": median(login / bare for login, bare in pairs),
            }
        )
    return Report("Login with argon2id", "Three plugins, the default parameters; the median of pairs.", rows)


def measure_threads(options: Options) -> Report:
    """Logins in a second by threads, each of another user, and bare verifications."""
    total, repeats = options.rounds(256, 64), options.rounds(3, 1)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        with databases(server, "threads") as (url,), make_host(url) as host:
            insert_users(host, total)
            verify, stored = _bare(host), host.passwords.hash(PASSWORD)
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


def _bare(host: AuthHost) -> Callable[[str, str], bool]:
    settings = host.settings
    context = CryptContext(
        schemes=list(settings.password_schemes), deprecated="auto", **settings.password_hash_options
    )
    verify: Callable[[str, str], bool] = context.verify
    return verify
