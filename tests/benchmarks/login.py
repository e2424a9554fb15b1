"""A login against its own verification of the password, and against one without plugins."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from common import (
    CHEAP_HASH,
    Deliverer,
    Options,
    Report,
    databases,
    hasher,
    insert_users,
    log_in,
    make_host,
    paired_ratio,
    progress,
    undisturbed_ratio,
    verdict,
)
from peers.measure import PASSWORD, Laps
from sqlalchemy import text

TO_HASH = 1.05
SHARE = 1.10
HASHES: Mapping[str, Mapping[str, Any]] = {"argon2id": {}, "a cheap hash": CHEAP_HASH}
NONE, ALL, HASH, COMMIT = "no plugin", "three plugins", "hash", "commit"


def measure(options: Options) -> Report:
    """Medians in ms, and medians of the ratios of logins that took turns."""
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        for name, settings in HASHES.items():
            progress(f"login: {database}, {name}")
            laps = _logins(server, settings, options.rounds(300, 60))
            default = name == "argon2id"
            full, none, bare, commit = (laps.values(each) for each in (ALL, NONE, HASH, COMMIT))
            less_commit = [one - other for one, other in zip(full, commit, strict=True)]
            to_hash, share = paired_ratio(full, bare), paired_ratio(full, none)
            rows.append(
                {
                    "database": database,
                    "login with": name,
                    "hash ms": laps.median(HASH),
                    "no plugin ms": laps.median(NONE),
                    "three plugins ms": laps.median(ALL),
                    "commit ms": laps.median(COMMIT),
                    "/ hash": to_hash,
                    "goal": TO_HASH if default else None,
                    "": verdict(to_hash, TO_HASH if default else None),
                    "undisturbed": undisturbed_ratio(full, bare),
                    "less commit / hash": paired_ratio(less_commit, bare),
                    "/ no plugin": share,
                    "goal ": SHARE if default else None,
                    " ": verdict(share, SHARE if default else None),
                }
            )
    return Report(
        "Login",
        "'hash' is one verification by passlib with the host's parameters. Each round has one of each, "
        "in an order that changes; 'undisturbed' is the ratio of the first deciles. 'commit' inserts "
        "one row in a transaction of its own: on a server most of it is the disk. "
        "'a cheap hash' shows the plugins' share of all else: it has no goal.",
        rows,
    )


def _logins(server: str | None, settings: Mapping[str, Any], rounds: int) -> Laps:
    laps, warm_up = Laps(), 20
    with ExitStack() as stack:
        urls = stack.enter_context(databases(server, "none", "all"))
        bare = make_host(urls[0], plugins=False, extra={"deliverer": Deliverer()}, **settings)
        hosts = {NONE: stack.enter_context(bare), ALL: stack.enter_context(make_host(urls[1], **settings))}
        for host in hosts.values():
            insert_users(host, rounds + warm_up)
        passwords = hasher(bare)
        verify = partial(passwords.verify, PASSWORD, passwords.hash(PASSWORD))
        engine = hosts[NONE].engine
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE bench_commit (a INTEGER)"))
        names = (NONE, HASH, ALL, COMMIT)
        for number in range(rounds + warm_up):
            if number == warm_up:
                laps.clear()
            for name in (*names[number % 4 :], *names[: number % 4]):
                with laps.lap(name):
                    if name == HASH:
                        verify()
                    elif name == COMMIT:
                        with engine.begin() as connection:
                            connection.execute(text("INSERT INTO bench_commit VALUES (1)"))
                    else:
                        log_in(hosts[name], number)
    return laps
