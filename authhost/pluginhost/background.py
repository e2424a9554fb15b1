"""Runs functions in the background: on a bounded pool of daemon threads, outside any unit of work.

The threads start with the first job. A job that fails or hangs, a job for which
the queue has no space, and a job that outlives its host are logged with the plugin, the
function, file and line. The arguments may be secret, so they are never logged.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic, perf_counter_ns
from typing import Any, NamedTuple
from uuid import UUID

from authhost.pluginhost.jobs import IN_BACKGROUND, Job, check_job, class_name, owner_of
from authhost.pluginhost.plugin import GuardedPlugin, definition
from authhost.pluginhost.results import UnusableResult, check_ran
from authhost.settings import Settings

log = logging.getLogger("authhost.plugins")

DROPPED_BLOCKED = "was dropped, because the plugin is blocked"
JOIN_SECONDS = 5.0
"""How long `Background.close` waits for a thread that has no job any more."""
MAX_REPLACEMENTS = 1
"""How many threads may replace hanging ones, for each thread of the setting ``background_threads``."""


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

        Raises the ``TypeError`` of `check_job`.
        """
        check_job(function, args)
        plugin = next((each for each in self._plugins if each is caller), None)
        return Job(plugin or owner_of(function, self._plugins), function, args, request_id)

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
                self._report(job, "still runs, although the host is closed", at=job.position())
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
                    job, f"still runs after {seconds:g} s (setting background_timeout)", job.position()
                )

    def _report(self, job: Job, what: str, at: str | None = None) -> None:
        """Log what has happened to a job, and count it as a failure."""
        at = at or definition(job.function)
        log.error("%s %s: %s (request %s)", job, what, at, job.request_id or "-", extra=job.fields(at))
        self._count(job, failed=True)

    def _report_error(self, job: Job, error: BaseException) -> None:
        """Log the error of a job, without its text, which may contain a secret."""
        kind = class_name(type(error))
        if type(error) is UnusableResult:
            kind += f" ({error})"
        at = job.line_of(error)
        fields = {**job.fields(at), "error": class_name(type(error))}
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


def _start(work: Callable[[Pool], None], pool: Pool) -> threading.Thread:
    thread = threading.Thread(target=work, args=(pool,), name="authhost-background", daemon=True)
    thread.start()
    return thread
