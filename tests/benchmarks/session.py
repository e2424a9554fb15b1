"""A session check against its one statement through SQLAlchemy Core, in one run and in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from statistics import median
from time import perf_counter
from typing import Any

from common import (
    Options,
    Report,
    databases,
    insert_users,
    log_in,
    make_host,
    paired_ratio,
    progress,
    undisturbed_ratio,
    verdict,
)
from sqlalchemy import Engine, create_engine, select

from authhost import AuthHost
from authhost.store import statements, tables

GOAL = 1.15
USERS = 100


def measure(options: Options) -> Report:
    """Medians in µs, and the median of the ratios of rounds."""
    rounds, calls = options.rounds(1000, 200), 10
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        progress(f"session check: {database}")
        with databases(server, "sessions") as (url,), make_host(url, background=False) as host:
            insert_users(host, USERS)
            tokens = [log_in(host, number) for number in range(USERS)]
            same, plain = host.reader, _plain(url)
            with same.connect() as connection:
                digests = connection.scalars(select(tables.sessions.c.token_digest)).all()
            work = (
                _calls(_check(host), tokens, calls),
                _calls(_core(same), digests, calls),
                _calls(_core(plain), digests, calls),
            )
            check, core, bare = _in_turn(work, rounds, calls)
            plain.dispose()
        ratio = paired_ratio(check, core)
        rows.append(
            {
                "database": database,
                "check µs": median(check),
                "Core µs": median(core),
                "/ Core": ratio,
                "goal": GOAL,
                "": verdict(ratio, GOAL),
                "undisturbed": undisturbed_ratio(check, core),
                "plain Core µs": median(bare),
                "/ plain": paired_ratio(check, bare),
            }
        )
    return Report(
        "A session check against its statement",
        "'Core' runs SESSION_AND_USER through SQLAlchemy Core and reads its row, on host.reader, the "
        "engine that the check itself uses; 'plain' on one of create_engine alone, in autocommit, without a "
        "ping. "
        f"The median of {rounds} rounds of {calls} calls in turn; 'undisturbed' is the ratio of the first "
        "deciles. Three plugins are loaded.",
        rows,
    )


def _check(host: AuthHost) -> Callable[[str], None]:
    def check(token: str) -> None:
        with host.request(session_token=token) as request:
            assert request.user is not None

    return check


def _core(engine: Engine) -> Callable[[bytes], None]:
    def core(digest: bytes) -> None:
        with engine.connect() as connection:
            assert len(connection.execute(statements.SESSION_AND_USER, {"of_digest": digest}).all()) == 1

    return core


def _plain(url: str) -> Engine:
    engine = create_engine(url)
    return (
        engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")
    )


def _calls(function: Callable[[Any], None], arguments: Sequence[Any], calls: int) -> Callable[[], None]:
    """What calls ``function`` so often, each time for another one of ``arguments``."""
    endless = cycle(arguments)

    def call() -> None:
        for argument in islice(endless, calls):
            function(argument)

    return call


def _in_turn(work: Sequence[Callable[[], None]], rounds: int, calls: int) -> list[list[float]]:
    """The times in µs of one call by round, after some that do not count; the order changes each round."""
    times: list[list[float]] = [[] for _ in work]
    for number in range(-rounds // 10, rounds):
        for index in (number % len(work), (number + 1) % len(work), (number + 2) % len(work)):
            started = perf_counter()
            work[index]()
            if number >= 0:
                times[index].append((perf_counter() - started) / calls * 1e6)
    return times
