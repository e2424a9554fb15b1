"""Deletes what plugins store of a deleted account, and repeats deletions that have failed.

A plugin gets a row in `authhost.store.tables.plugin_deletions` if it fails in `user_deleted`, is
blocked, or deletes after the commit (``request.on_commit``). The row is stored with the deletion, and removed
when the plugin is done. So neither an error nor the end of the process leaves data of a deleted
person behind.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from authhost.errors import AuthError, RequiredPluginFailed
from authhost.records import User
from authhost.request import Request
from authhost.security.encryption import Undecipherable
from authhost.services import Services
from authhost.store import statements
from authhost.store.unit_of_work import Callback

log = logging.getLogger("authhost")

HOOK = "user_deleted"
TIMES = ("date_joined", "last_login", "deactivated_until")
PAGE = 500


class Repeated(NamedTuple):
    """One repeated deletion."""

    plugin: str
    user_id: UUID
    done: bool


def delete_data_of_plugins(request: Request, user: User) -> tuple[str, ...]:
    """Call `user_deleted`; return the plugins that failed or are blocked, for `repeat_deletions`."""
    before, callbacks = len(request.failed_calls), len(request.callbacks)
    request.services.hooks.user_deleted(request, user)
    blocked = request.services.hooks.blocked_plugins(HOOK)
    failed = tuple(dict.fromkeys((*_failed_plugins(request, before), *blocked)))
    for plugin in failed:
        _store(request, user, plugin)
    for plugin in _plugins_after_commit(request, callbacks):
        deletion_id = _store(request, user, plugin)
        _finish_after_commit(request, plugin, callbacks, deletion_id)
    return failed


def repeat_deletions(services: Services) -> Iterator[Repeated]:
    """Call `user_deleted` of each plugin that has data of a deleted account, each in its own transaction."""
    last: UUID | None = None
    while page := _page(services, last):
        for last, plugin, user_id in page:
            try:
                done = _repeat(services, last, plugin, user_id)
            except (AuthError, RequiredPluginFailed, DBAPIError) as error:  # of the commit
                _log_failure(plugin, user_id, error)
                done = False
            if done is not None:
                yield Repeated(plugin, user_id, done)


def waiting_deletions(services: Services) -> Counter[str]:
    """Return how many deletions wait, by plugin."""
    with services.database.reader.connect() as connection:
        rows = connection.execute(statements.PLUGIN_DELETION_COUNTS).all()
    return Counter({row.plugin: int(row[1]) for row in rows})


def _page(services: Services, after: UUID | None) -> list[tuple[UUID, str, UUID]]:
    with services.database.reader.connect() as connection:
        values = {"of_id": after or UUID(int=0), "page_size": PAGE}
        rows = connection.execute(statements.PLUGIN_DELETIONS, values)
        return [(row.id, row.plugin, row.user_id) for row in rows]


def _repeat(services: Services, deletion_id: UUID, plugin: str, user_id: UUID) -> bool | None:
    """Repeat one deletion; return whether it is done, also what the plugin does after the commit.

    None if another process has done so, or the plugin is blocked.
    """
    of_id = {"of_id": deletion_id}
    with Request(services) as request:
        if plugin in request.services.blocked:
            return None
        # It counts as failed until its row is deleted. This also lets other processes wait.
        if not request.write(statements.COUNT_PLUGIN_DELETION, of_id):
            return None
        try:
            with request.atomic():
                ((sealed,),) = request.read(statements.PLUGIN_DELETION, of_id)
                _call(request, plugin, _without_new_owner(request, _open(services, sealed)), deletion_id)
        except (AuthError, RequiredPluginFailed, DBAPIError, Undecipherable) as error:
            _log_failure(plugin, user_id, error)
    return not services.database.read(statements.PLUGIN_DELETION, of_id)


def _call(request: Request, plugin: str, user: User, deletion_id: UUID) -> None:
    before, callbacks = len(request.failed_calls), len(request.callbacks)
    if not request.services.hooks.user_deleted_of(plugin, request, user):
        return
    if plugin in _failed_plugins(request, before):
        return
    if plugin in _plugins_after_commit(request, callbacks):
        _finish_after_commit(request, plugin, callbacks, deletion_id)
    else:
        request.send_statement(statements.DELETE_PLUGIN_DELETION, {"of_id": deletion_id})


def _without_new_owner(request: Request, user: User) -> User:
    """Return the deleted user, without the address if it is that of another account by now.

    What plugins store under the address is that account's then.
    """
    if user.email is None or request.user_by_email(user.email) is None:
        return user
    return replace(user, email=None, email_verified=False)


def _log_failure(plugin: str, user_id: UUID, error: Exception) -> None:
    log.error("plugin %s: data of %s not deleted: %s", plugin, user_id, type(error).__name__)


def _failed_plugins(request: Request, before: int) -> Iterator[str]:
    return (plugin for plugin, hook in request.failed_calls[before:] if hook == HOOK)


def _plugins_after_commit(request: Request, before: int) -> list[str]:
    names = (each.writer.name for each in request.callbacks[before:] if each.writer is not None)
    return list(dict.fromkeys(names))


def _store(request: Request, user: User, plugin: str) -> UUID:
    deletion_id = request.new_id()
    values = {
        "id": deletion_id,
        "user_id": user.id,
        "plugin": plugin,
        "sealed": request.services.encryption.seal(_as_json(user)),
        "since": request.now,
        "attempts": 1,
    }
    request.send_statement(statements.INSERT_PLUGIN_DELETION, values)
    return deletion_id


def _finish_after_commit(request: Request, plugin: str, before: int, deletion_id: UUID) -> None:
    """Remove the row when all callbacks that the plugin has registered since ``before`` are done."""
    mine = [
        number
        for number, each in enumerate(request.callbacks[before:], before)
        if each.writer is not None and each.writer.name == plugin
    ]
    left, services = len(mine), request.services

    def wrapped(run: Callable[[], object]) -> Callable[[], None]:
        def run_and_count() -> None:
            nonlocal left
            run()
            left -= 1
            if not left:
                with services.database.engine.begin() as connection:
                    connection.execute(statements.DELETE_PLUGIN_DELETION, {"of_id": deletion_id})

        return run_and_count

    for number in mine:
        callback = request.callbacks[number]
        request.callbacks[number] = Callback(callback.writer, wrapped(callback.run))


def _as_json(user: User) -> dict[str, Any]:
    values = asdict(user)
    times = {name: values[name].isoformat() if values[name] is not None else None for name in TIMES}
    return {**values, **times, "id": str(user.id)}


def _open(services: Services, sealed: bytes) -> User:
    """Return the stored account. Fields that only a later version has are left out."""
    known = {each.name for each in fields(User)}
    values = {name: value for name, value in services.encryption.open(sealed).items() if name in known}
    times = {name: datetime.fromisoformat(values[name]) if values[name] else None for name in TIMES}
    guards = tuple(values["login_guards"])
    return User(**{**values, **times, "id": UUID(values["id"]), "login_guards": guards})
