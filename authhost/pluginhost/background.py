"""Runs functions in the background: on a bounded pool of daemon threads, outside any unit of work.

The threads start with the first job. A job that fails or hangs, a job for which
the queue has no space, and a job that outlives its host are logged with the plugin, the
function, file and line. The arguments may be secret, so they are never logged.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from traceback import walk_stack
from typing import Any, NamedTuple
from uuid import UUID

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.plugin import GuardedPlugin, definition, last_line, package_of, without_partials
from authhost.pluginhost.results import UnusableResult, check_ran
from authhost.settings import Settings
from authhost.store.unit_of_work import BoundToUnit

log = logging.getLogger("authhost.plugins")

IN_BACKGROUND = "in_background"
"""The name under which jobs are counted, like a hook."""
DROPPED_BLOCKED = "was dropped, because the plugin is blocked"
JOIN_SECONDS = 5.0
"""How long `Background.close` waits for a thread that has no job any more."""
MAX_REPLACEMENTS = 1
"""How many threads may replace hanging ones, for each thread of the setting ``background_threads``."""


@dataclass(slots=True, eq=False)
class Job:
    """One call of a function, for `Background.submit`."""

    plugin: GuardedPlugin | None
    """The plugin that it belongs to, or None for the application."""
    function: Callable[..., Any]
    args: tuple[Any, ...]
    request_id: UUID | None = None
    thread: threading.Thread | None = None
    """The thread that runs it."""
    deadline: float = 0.0
    """When it counts as hanging, in seconds of the monotonic clock."""
    hangs: bool = False
    """Whether it was reported as hanging."""
    failed: bool = False
    """Whether it was counted as a failure."""

    @property
    def is_blocked(self) -> bool:
        """Whether the plugin that it belongs to is blocked at run time."""
        return self.plugin is not None and self.plugin.blocked

    def __str__(self) -> str:
        owner = f"of plugin {self.plugin.name}" if self.plugin else "of the application"
        return f"the background job {_name(self.function)} {owner}"


@dataclass(slots=True, eq=False)
class Pool:
    """The threads and jobs of one process. A process that was forked starts with a new one."""

    pid: int = field(default_factory=os.getpid)
    changed: threading.Condition = field(default_factory=threading.Condition)
    queue: deque[Job] = field(default_factory=deque)
    running: list[Job] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    watcher: threading.Thread | None = None
    idle: int = 0
    hanging: int = 0
    """The number of threads whose job was reported as hanging."""
    closed: bool = False

    def is_done(self, *, ignore_hanging: bool) -> bool:
        """Return whether no job waits or runs, except one that runs in the current thread."""
        own = threading.current_thread()
        return not self.queue and all(
            job.thread is own or (ignore_hanging and job.hangs) for job in self.running
        )


class Load(NamedTuple):
    """How many jobs there are in this process."""

    waiting: int
    running: int
    hanging: int
    """How many of the running ones were reported as hanging."""


class Background:
    """The background jobs of one host. ``plugins`` are those to which a job can belong."""

    def __init__(self, settings: Settings, plugins: Sequence[GuardedPlugin]) -> None:
        self._settings, self._plugins = settings, plugins
        self._current = Pool()
        self._fork_lock = threading.Lock()

    def job(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        caller: object = None,
        request_id: UUID | None = None,
    ) -> Job:
        """Return a job of the plugin ``caller``, or of the one whose package defines ``function``.

        Raises ``TypeError`` for something that cannot be called, for an ``async``
        function, and for a request among the arguments, or one level deeper in them.
        """
        if not callable(function):
            raise TypeError(f"in_background needs a function, not a {type(function).__name__}")
        if _is_async(function):
            raise TypeError(f"in_background needs a function without async, and {_name(function)} has it")
        values = (*args, *_bound_values(function))
        if any(_belongs_to_request(each) for value in values for each in (value, *_parts(value))):
            raise TypeError(
                "in_background cannot pass a request or a part of it, which has ended before the job "
                "starts; pass the values that the job needs, such as user.id, and use "
                "host.request() in the job if it writes"
            )
        plugin = next((each for each in self._plugins if each is caller), None)
        return Job(plugin or self._owner(function), function, args, request_id)

    def submit(self, job: Job) -> None:
        """Queue a job. If the queue is full or the host is closed, the job is dropped and reported."""
        if job.is_blocked:
            self._report(job, DROPPED_BLOCKED)
            return
        pool = self._pool()
        with pool.changed:
            closed = pool.closed
            full = len(pool.queue) >= self._settings.background_queue
            if not closed and not full:
                pool.queue.append(job)
                if pool.watcher is None:
                    pool.watcher = _start(self._watch, pool)
                self._start_threads(pool)
                pool.changed.notify_all()
                return
        self._report(
            job,
            "was dropped, because the host is closed"
            if closed
            else f"was dropped, because {self._settings.background_queue} jobs wait already "
            "(setting background_queue)",
        )

    def wait(self, seconds: float, *, ignore_hanging: bool = False) -> bool:
        """Wait until all jobs have ended, for at most ``seconds``; return whether they have."""
        pool = self._pool()
        with pool.changed:
            return pool.changed.wait_for(
                lambda: pool.closed or pool.is_done(ignore_hanging=ignore_hanging), seconds
            )

    def load(self) -> Load:
        """Return how many jobs wait and run."""
        pool = self._pool()
        with pool.changed:
            return Load(len(pool.queue), len(pool.running), pool.hanging)

    def close(self) -> None:
        """Accept no more jobs, report those that have not ended, and end the threads. May be called twice."""
        pool = self._pool()
        with pool.changed:
            pool.closed = True
            waiting, running = list(pool.queue), list(pool.running)
            pool.queue.clear()
            pool.changed.notify_all()
        for job in waiting:
            self._report(job, "was dropped, because the host was closed before it started")
        busy = {job.thread for job in running} | {threading.current_thread()}
        for job in running:
            if job.thread is not threading.current_thread():
                self._report(job, "still runs, although the host is closed", at=_position(job))
        for thread in (*pool.threads, pool.watcher):
            if thread is not None and thread not in busy:
                thread.join(JOIN_SECONDS)

    def _start_threads(self, pool: Pool) -> None:
        """Start a thread if jobs wait for one. A thread whose job hangs is replaced, up to a bound."""
        if len(pool.queue) > pool.idle and len(pool.threads) < self._most_threads(pool):
            pool.threads.append(_start(self._work, pool))

    def _most_threads(self, pool: Pool) -> int:
        usual = self._settings.background_threads
        return usual + min(pool.hanging, usual * MAX_REPLACEMENTS)

    def _pool(self) -> Pool:
        """Return the pool of this process. The parent's threads do not exist in a forked process."""
        if self._current.pid != os.getpid():
            with self._fork_lock:
                if self._current.pid != os.getpid():
                    self._current = Pool(closed=self._current.closed)
        return self._current

    def _owner(self, function: Callable[..., Any]) -> GuardedPlugin | None:
        """Return the plugin that a function belongs to: by its object, else its module, else its package."""
        target = without_partials(function)
        owner, module = _attribute(target, "__self__"), _module(target)
        found: dict[str, GuardedPlugin] = {}
        for plugin in self._plugins:
            for each in plugin.functions.values():
                if owner is not None and getattr(each, "__self__", None) is owner:
                    return plugin
                if _module(each) == module:
                    found.setdefault("module", plugin)
                if package_of(_module(each)) == package_of(module):
                    found.setdefault("package", plugin)
        return found.get("module") or found.get("package")

    def _work(self, pool: Pool) -> None:
        """Run jobs, one after the other, until the pool is closed."""
        while True:
            with pool.changed:
                pool.idle += 1
                pool.changed.wait_for(lambda: pool.queue or pool.closed)
                pool.idle -= 1
                if not pool.queue:
                    return
                job = pool.queue.popleft()
                job.thread = threading.current_thread()
                job.deadline = monotonic() + self._settings.background_timeout
                pool.running.append(job)
                pool.changed.notify_all()
            started = perf_counter_ns()
            try:
                self._run(job)
            finally:
                with pool.changed:
                    pool.running.remove(job)
                    pool.hanging -= job.hangs
                    superfluous = len(pool.threads) > self._most_threads(pool)
                    if superfluous:
                        pool.threads.remove(threading.current_thread())
                    self._count(job, nanoseconds=perf_counter_ns() - started)
                    pool.changed.notify_all()
            if superfluous:
                return
            del job  # its arguments

    def _run(self, job: Job) -> None:
        """Run a job. The thread must go on, whatever the job raises, and whatever its error does."""
        if job.is_blocked:
            self._report(job, DROPPED_BLOCKED)
            return
        try:
            # Each job has a context of its own, so that no variable passes from one job to another.
            check_ran(Context().run(job.function, *job.args))
        except BaseException as error:
            try:
                self._report_error(job, error)
            except BaseException:
                with suppress(BaseException):
                    self._report(job, "failed, and its error cannot be described")

    def _watch(self, pool: Pool) -> None:
        """Report each job that runs too long, once, while it still runs."""
        while True:
            with pool.changed:
                if pool.closed:
                    return
                now = monotonic()
                watched = [job for job in pool.running if not job.hangs]
                late = [job for job in watched if job.deadline <= now]
                for job in late:
                    job.hangs = True
                    pool.hanging += 1
                    self._start_threads(pool)
                if not late:
                    first = min((job.deadline for job in watched), default=None)
                    pool.changed.wait(None if first is None else first - now)
                    continue
                pool.changed.notify_all()
            for job in late:
                seconds = self._settings.background_timeout
                self._report(
                    job, f"still runs after {seconds:g} s (setting background_timeout)", _position(job)
                )

    def _report(self, job: Job, what: str, at: str | None = None) -> None:
        """Log what has happened to a job, and count it as a failure."""
        at = at or definition(job.function)
        log.error("%s %s: %s (request %s)", job, what, at, job.request_id or "-", extra=_fields(job, at))
        self._count(job, failed=True)

    def _report_error(self, job: Job, error: BaseException) -> None:
        """Log the error of a job, without its text, which may contain a secret."""
        kind = _class_name(type(error))
        if type(error) is UnusableResult:
            kind += f" ({error})"
        at = _line_of(job, error)
        fields = {**_fields(job, at), "error": _class_name(type(error))}
        log.error("%s failed: %s at %s (request %s)", job, kind, at, job.request_id or "-", extra=fields)
        self._count(job, failed=True)
        if job.plugin is not None and job.plugin.on_failure is not None:
            job.plugin.on_failure(IN_BACKGROUND, error)

    def _count(self, job: Job, *, nanoseconds: int = 0, failed: bool = False) -> None:
        """Count the end of a job, or its failure, once. A job that was dropped counts as a failed call."""
        if job.plugin is None:
            return
        with self._current.changed:
            stats = job.plugin.stats_of(IN_BACKGROUND)
            stats.failures += failed and not job.failed
            stats.calls += not failed or job.thread is None
            stats.nanoseconds += nanoseconds
            job.failed |= failed


def _fields(job: Job, at: str) -> dict[str, object]:
    """Return what a log record says of a job in fields of its own; see `authhost.telemetry.logs`."""
    plugin = {"plugin": job.plugin.name, "hook": IN_BACKGROUND} if job.plugin is not None else {}
    return {**plugin, "at": at, "request_id": job.request_id or "-"}


def _start(work: Callable[[Pool], None], pool: Pool) -> threading.Thread:
    thread = threading.Thread(target=work, args=(pool,), name="authhost-background", daemon=True)
    thread.start()
    return thread


def _bound_values(function: Callable[..., Any]) -> Sequence[Any]:
    """Return the values bound to a function: arguments of ``functools.partial``, the object of a method."""
    values: list[Any] = []
    while isinstance(function, functools.partial):
        values += [*function.args, *function.keywords.values()]
        function = function.func
    return [*values, _attribute(function, "__self__")]


def _parts(value: Any) -> Iterable[Any]:
    """Return what a container, a dataclass, a method or a ``functools.partial`` consists of."""
    kind = type(value)
    if issubclass(kind, list | tuple | set | frozenset):
        return list(value)
    if issubclass(kind, Mapping):
        return [*value.keys(), *value.values()]
    if dataclasses.is_dataclass(kind):
        return [_attribute(value, each.name) for each in dataclasses.fields(kind)]
    return _bound_values(value) if callable(value) else ()


def _is_async(function: Callable[..., Any]) -> bool:
    try:
        return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    except PLUGIN_FAILURES:  # of its attributes
        return False


def _belongs_to_request(value: Any) -> bool:
    # By the type: isinstance would ask a proxy, such as one of werkzeug, for its object.
    return issubclass(type(value), BoundToUnit)


def _attribute(value: Any, name: str) -> Any:
    """Return an attribute of an object of a plugin, or None if it has none, or fails to return it."""
    try:
        return getattr(value, name, None)
    except PLUGIN_FAILURES:
        return None


def _module(function: Any) -> str:
    module = _attribute(function, "__module__")
    return module if isinstance(module, str) else str(_attribute(type(function), "__module__"))


def _name(function: Callable[..., Any]) -> str:
    target = without_partials(function)
    name = _attribute(target, "__qualname__")
    return name if isinstance(name, str) else _class_name(type(target))


def _class_name(kind: type) -> str:
    """Return the name of a class, also if its metaclass has another ``__name__``."""
    return str(type.__dict__["__name__"].__get__(kind))


def _line_of(job: Job, error: BaseException) -> str:
    """Return file and line of the innermost frame of the job's own package, else of the function."""
    package = package_of(_module(without_partials(job.function)))
    return last_line(package, error) or (
        job.plugin.location(IN_BACKGROUND, error) if job.plugin else definition(job.function)
    )


def _position(job: Job) -> str | None:
    """Return file and line where a job is now: in its own package, if it is there at all."""
    frame = sys._current_frames().get(job.thread.ident or 0) if job.thread else None
    package = package_of(_module(without_partials(job.function)))
    for each, line in walk_stack(frame) if frame is not None else ():
        module = str(each.f_globals.get("__name__", ""))
        if module == package or module.startswith(f"{package}."):
            return f"{each.f_code.co_filename}:{line}"
    return None
