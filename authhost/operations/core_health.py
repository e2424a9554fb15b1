"""The health checks of authhost itself."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from authhost_hookspecs import Health
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from authhost.errors import ConfigurationError
from authhost.host import AuthHost
from authhost.store import migrate
from authhost.users.plugin_deletions import waiting_deletions

SLOW_SECONDS = 1.0
"""The time of the simplest statement after which the database is ``degraded``."""
FULL = 0.5
"""The part of a queue that is in use when it is ``degraded``."""


def database(host: AuthHost) -> Iterator[Health]:
    """Yield whether the database answers."""
    started = perf_counter()
    try:
        with host.reader.connect() as connection:
            connection.execute(select(1))
    except ConfigurationError as error:
        yield Health("database", "failed", str(error))
    except DBAPIError as error:
        yield Health("database", "failed", f"it cannot be used: {type(error.orig).__name__}")
    else:
        seconds = perf_counter() - started
        detail = f"it answers in {seconds * 1000:.1f} ms"
        yield Health("database", "degraded" if seconds > SLOW_SECONDS else "ok", detail)


def database_and_migrations(host: AuthHost) -> Iterator[Health]:
    """Yield whether the database answers, and if so, whether it is up to date."""
    for each in database(host):
        yield each
        if each.status == "failed":
            return
    try:
        histories = migrate.current(host.reader, host.migrations)
    except ConfigurationError as error:
        yield Health("migrations", "failed", str(error))
        return
    if outdated := [name for name, state in histories.items() if not state.current]:
        detail = f"not up to date: {', '.join(outdated)}; run `authhost db upgrade`"
        yield Health("migrations", "failed", detail)
    else:
        yield Health("migrations", "ok")


def rate_limits(host: AuthHost) -> Iterator[Health]:
    """Yield whether the storage of the rate limits answers."""
    if host.settings.rate_limits is False:
        yield Health("rate_limits", "ok", "there are none")
    elif host.settings.redis_url is None:
        yield Health("rate_limits", "ok", "each process counts for itself")
    elif host.services.limits.reachable():
        yield Health("rate_limits", "ok", "Redis answers")
    else:
        detail = "Redis does not answer, so nobody can log in; start it, or correct redis_url"
        yield Health("rate_limits", "failed", detail)


def passwords(host: AuthHost) -> Iterator[Health]:
    """Yield whether passwords can be hashed, and how many threads of this process wait for it."""
    hashes = host.services.passwords
    if hashes.failing:
        schemes = ", ".join(hashes.failing)
        detail = f"the hash library fails for {schemes}; `authhost check` says what to do"
        yield Health("passwords", "failed", detail)
        return
    waiting, most = hashes.waiting, host.settings.password_hash_queue
    full = waiting > 0 and waiting >= most * FULL
    detail = f"{waiting} threads wait for a password hash"
    yield Health("passwords", "degraded" if full else "ok", detail)


def background(host: AuthHost) -> Iterator[Health]:
    """Yield whether the background jobs of this process run."""
    load = host.services.background.load()
    full = load.waiting >= host.settings.background_queue * FULL
    detail = f"{load.waiting} jobs wait, {load.running} run"
    if load.hanging:
        detail += f", {load.hanging} of them too long"
    yield Health("background", "degraded" if full or load.hanging else "ok", detail)


def plugins(host: AuthHost) -> Iterator[Health]:
    """Yield whether all plugins were accepted that the settings do not block."""
    refused = [each.name for each in host.registry.records if each.status == "refused"]
    if refused:
        detail = f"refused: {', '.join(refused)}; `authhost plugins list` says why"
        yield Health("plugins", "degraded", detail)
    else:
        yield Health("plugins", "ok", f"{len(list(host.registry.active()))} are loaded")


def deletions(host: AuthHost) -> Iterator[Health]:
    """Yield whether plugins still have data of deleted accounts."""
    try:
        waiting = waiting_deletions(host.services)
    except (ConfigurationError, DBAPIError):  # the check of the database says so
        return
    if waiting:
        counts = ", ".join(f"{number} of {plugin}" for plugin, number in sorted(waiting.items()))
        yield Health("deletions", "degraded", f"not done: {counts}; `authhost maintain` repeats them")
    else:
        yield Health("deletions", "ok")


ALL = (database_and_migrations, rate_limits, passwords, background, plugins, deletions)
REQUIRED = (database, rate_limits, passwords)
"""What a process needs to answer requests. The host does not start with another state of the migrations;
later, a new version may upgrade the database while processes of the former version go on.
"""
