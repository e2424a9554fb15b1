"""The daily work of a host and its plugins: ``authhost maintain``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from authhost_hookspecs import Host

from authhost.errors import PLUGIN_FAILURES
from authhost.host import AuthHost
from authhost.pluginhost.results import function_name
from authhost.users.plugin_deletions import repeat_deletions

DELETE_EXPIRED, REPEAT_DELETIONS = "authhost.delete_expired", "authhost.repeat_deletions"


class TaskFailed(Exception):
    """A task of the host has failed; the text is its detail."""


class TaskResult(NamedTuple):
    """One task, and how it ended. The detail of a failure is its class: its text may contain secrets."""

    task: str
    result: str
    """``done``, ``failed``, or ``skipped`` for a plugin that is blocked at run time."""
    detail: str


def task_names(host: AuthHost) -> list[str]:
    """Return the names of all tasks, in the order in which they run."""
    return [*CORE_TASKS, *(name for name, _ in _plugin_tasks(host))]


def maintain(host: AuthHost, only: Collection[str] = ()) -> Iterator[TaskResult]:
    """Run all tasks, or those whose name or plugin is in ``only``, and yield each result when it is known.

    A task that fails does not keep the others from running.
    """
    for name, task in (*CORE_TASKS.items(), *_plugin_tasks(host)):
        if _is_chosen(name, only):
            yield _run(name, task, host)
    for plugin, kind in host.registry.maintenance()[1].items():
        if not only or plugin in only:
            yield TaskResult(plugin, "failed", f"its tasks cannot be loaded: {kind}")
    for plugin in skipped_plugins(host):
        if not only or plugin in only:
            yield TaskResult(plugin, "skipped", str(host.services.blocked[plugin]))


def skipped_plugins(host: AuthHost) -> list[str]:
    """Return the names of the plugins whose tasks do not run, because they are blocked at run time."""
    return host.services.hooks.blocked_plugins("register_maintenance")


def _plugin_tasks(host: AuthHost) -> list[tuple[str, Callable[[Host], str]]]:
    registered, _ = host.registry.maintenance()
    return [
        (f"{plugin}.{function_name(each)}", each) for plugin, tasks in registered.items() for each in tasks
    ]


def _is_chosen(name: str, only: Collection[str]) -> bool:
    return not only or name in only or name.partition(".")[0] in only


def _run(name: str, task: Callable[[Host], str], host: AuthHost) -> TaskResult:
    try:
        detail = task(host)
    except TaskFailed as error:
        return TaskResult(name, "failed", str(error))
    except PLUGIN_FAILURES as error:
        return TaskResult(name, "failed", type(error).__name__)
    if not isinstance(detail, str):
        return TaskResult(name, "failed", f"it returned a {type(detail).__name__}; correct the plugin")
    return TaskResult(name, "done", detail)


def _delete_expired(host: Host) -> str:
    assert isinstance(host, AuthHost)
    deleted = {table: count for table, count in host.delete_expired().items() if count}
    return ", ".join(f"{count} of {table}" for table, count in deleted.items()) or "nothing had expired"


def _repeat_deletions(host: Host) -> str:
    assert isinstance(host, AuthHost)
    repeated = list(repeat_deletions(host.services))
    if failed := sorted({each.plugin for each in repeated if not each.done}):
        number, plugins = sum(not each.done for each in repeated), ", ".join(failed)
        raise TaskFailed(f"{number} of {len(repeated)} deletions failed again: {plugins}; see the log")
    return f"{len(repeated)} deletions of plugins were repeated" if repeated else "no deletion has failed"


CORE_TASKS: dict[str, Callable[[Host], str]] = {
    DELETE_EXPIRED: _delete_expired,
    REPEAT_DELETIONS: _repeat_deletions,
}
"""The tasks of the host by name, in the order in which they run."""
