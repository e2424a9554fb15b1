"""Correct plugins with patterns that real plugins have. No check may fail for them."""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter, OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial, wraps
from queue import Empty, Queue
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from authhost_hookspecs import Refused, StopFlow, hookimpl
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from conformance.plugins import WithTable, notes

log = logging.getLogger(__name__)


class BoundedCache:
    """Remembers the networks of users, for at most 100 users."""

    LIMIT = 100

    def __init__(self):
        self._networks: OrderedDict[UUID, str] = OrderedDict()
        self._lock = threading.Lock()

    @hookimpl
    def user_logged_in(self, request, user):
        network = (request.ip_address or "").rpartition(".")[0]
        with self._lock:
            known = self._networks.get(user.id)
            self._networks[user.id] = network
            while len(self._networks) > self.LIMIT:
                self._networks.popitem(last=False)
        if known not in (None, network):
            request.on_commit(partial(log.info, "user %s has a new network", user.id))

    @hookimpl
    def user_deactivated(self, user):
        with self._lock:
            self._networks.pop(user.id, None)


class PassesByRequest(WithTable):
    """Passes what one hook has found to the next, by request."""

    def __init__(self):
        self._found = WeakKeyDictionary()

    @hookimpl
    def before_login(self, request, user):
        self._found[request] = user.last_login is None

    @hookimpl
    def user_logged_in(self, request, user):
        if self._found.pop(request, False):
            request.insert(notes, {"user_id": user.id, "text": "first"})


pending: ContextVar[tuple[UUID, str] | None] = ContextVar("pending", default=None)


class PassesByContext(WithTable):
    @hookimpl
    def pre_social_login(self, request, sociallogin):
        pending.set((request.id, sociallogin.account.provider))

    @hookimpl
    def user_logged_in(self, request, user):
        found = pending.get()
        if found is not None and found[0] == request.id:
            request.insert(notes, {"user_id": user.id, "text": found[1]})


class PoolPerHost:
    """Posts events in threads, one pool for each host."""

    def __init__(self):
        self._pools: dict[Any, ThreadPoolExecutor] = {}
        self._slots = threading.BoundedSemaphore(50)

    @hookimpl
    def host_started(self, host):
        self._pools[host] = ThreadPoolExecutor(2, thread_name_prefix="posts")

    @hookimpl
    def host_stopping(self, host):
        pool = self._pools.pop(host, None)
        if pool is not None:
            pool.shutdown()

    @hookimpl
    def user_signed_up(self, request, user):
        pool = self._pools.get(request.host)
        if pool is not None:
            request.on_commit(partial(self._submit, pool, str(user.id)))

    def _submit(self, pool, text):
        if not self._slots.acquire(blocking=False):
            log.warning("too many events wait")
            return
        try:
            pool.submit(self._post, text).add_done_callback(lambda done: self._slots.release())
        except RuntimeError:
            self._slots.release()

    def _post(self, text):
        with (
            suppress(OSError),
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=5) as connection,
        ):
            connection.sendall(text.encode())


class WorkerPerHost:
    """One thread for each host, which a queue feeds."""

    def __init__(self):
        self._lock = threading.Lock()
        self._workers = {}

    @hookimpl
    def host_started(self, host):
        queue = Queue(1000)
        thread = threading.Thread(target=self._run, args=(queue,), daemon=True)
        thread.start()
        with self._lock:
            self._workers = {**self._workers, host: (queue, thread)}

    @hookimpl
    def host_stopping(self, host):
        with self._lock:
            workers = dict(self._workers)
            queue, thread = workers.pop(host)
            self._workers = workers
        queue.put(None)
        thread.join(5)

    @hookimpl
    def password_changed(self, request, user):
        worker = self._workers.get(request.host)
        if worker is not None:
            request.on_commit(lambda: worker[0].put(user.id))

    def _run(self, queue):
        while True:
            try:
                item = queue.get(timeout=1)
            except Empty:
                continue
            if item is None:
                return
            try:
                log.info("the password of %s was changed", item)
            except Exception:
                log.exception("not reported")


class TimesDeliveries:
    """A wrapper that passes the result on."""

    def __init__(self):
        self._lock, self._recent = threading.Lock(), deque(maxlen=100)

    @hookimpl(wrapper=True)
    def deliver_message(self, request, message):
        started = request.now
        try:
            result = yield
        except Exception as error:
            log.error("delivery of %s failed: %s", message.kind, type(error).__name__)
            raise
        if result:
            request.on_commit(partial(self._add, message.kind, request.now - started))
        return result

    def _add(self, kind, took):
        with self._lock:
            self._recent.append((kind, took))


class FallbackDelivery:
    """Delivers itself what no other plugin has accepted."""

    @hookimpl(wrapper=True, trylast=True)
    def deliver_message(self, request, message):
        result = yield
        if result is None:
            request.on_commit(partial(log.info, "a message of kind %s", message.kind))
            return True
        return result


class WrapsNotifications(WithTable):
    @hookimpl(wrapper=True, tryfirst=True)
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "before"})
        result = yield
        request.insert(notes, {"user_id": user.id, "text": "after"})
        return result


class InsertsOnce(WithTable):
    """A row that may exist already, in a savepoint."""

    @hookimpl
    def user_logged_in(self, request, user):
        row = {"id": user.id.int % 1000003, "user_id": user.id, "text": "seen"}
        try:
            with request.db.begin_nested():
                request.db.execute(insert(notes), row)
        except IntegrityError:
            mine = notes.c.user_id == user.id
            request.db.execute(update(notes).where(mine).values(text="seen again"))


@dataclass(frozen=True)
class QuietSettings:
    url: str = ""
    domains: str = ""
    limit: int = 5


class DoesNothingByDefault:
    """Does something only with settings."""

    @hookimpl
    def register_settings(self):
        return QuietSettings

    @hookimpl
    def user_signed_up(self, request, user):
        settings = request.plugin_settings("faulty")
        if not settings.url:
            return
        request.on_commit(lambda: log.info("posted to %s", settings.url))

    @hookimpl
    def before_signup(self, request, email):
        settings = request.plugin_settings("faulty")
        allowed = frozenset(filter(None, settings.domains.split(",")))
        if allowed and (email is None or email.rpartition("@")[2] not in allowed):
            raise Refused("not_allowed", "Signup is not open to this address.")


class CommandsAndChecks(WithTable):
    @hookimpl
    def register_commands(self):
        import click

        @click.command("notes")
        @click.pass_obj
        def notes_command(get_host):
            try:
                with get_host().reader.connect() as connection:
                    click.echo(connection.execute(select(func.count()).select_from(notes)).scalar_one())
            except KeyboardInterrupt:
                print("interrupted")
                raise SystemExit(130) from None

        return [notes_command]

    @hookimpl
    def register_checks(self):
        return [lambda host: []]


class Throttle:
    """Refuses a login after many failures for one account, with a limit of memory."""

    def __init__(self):
        self._lock = threading.Lock()
        self._failures: OrderedDict[UUID, int] = OrderedDict()

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        if user is None or getattr(error, "code", None) != "invalid_credentials":
            return
        with self._lock:
            self._failures[user.id] = self._failures.get(user.id, 0) + request.repeated
            if len(self._failures) > 1000:
                self._failures.popitem(last=False)

    @hookimpl
    def before_login(self, user):
        with self._lock:
            failures = self._failures.get(user.id, 0)
        if failures >= 100:
            raise Refused("too_many_failures", "Please try again later.")

    @hookimpl
    def password_reset(self, user):
        with self._lock:
            self._failures.pop(user.id, None)


class CountsAfterCommit:
    def __init__(self):
        self._lock, self.counts = threading.Lock(), Counter()

    @hookimpl
    def flow_refused(self, request, flow, error):
        request.on_commit(partial(self._count, f"{flow}: {getattr(error, 'code', 'unknown')}"))

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(partial(self._count, "login"))

    def _count(self, what):
        with self._lock:
            self.counts[what] += 1


def logged(function):
    """A decorator, as plugins have them."""

    @wraps(function)
    def wrapper(*args):
        log.debug("%s", function.__name__)
        return function(*args)

    return wrapper


class Decorated(WithTable):
    @hookimpl
    @logged
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": self._kind(request)})

    @staticmethod
    def _kind(request):
        return "provider" if request.provider is not None else "password"


class Base(WithTable):
    """A base class with a hook for subclasses to replace, and one that they extend."""

    @hookimpl
    def user_logged_in(self, request, user):
        self.record(request, user)

    def record(self, request, user):
        raise NotImplementedError

    @hookimpl
    def user_logged_out(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "out"})


class Extends(Base):
    def record(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "in"})

    @hookimpl
    def user_logged_out(self, request, user):
        super().user_logged_out(request, user)
        request.on_commit(lambda: log.info("out"))


class NewerHooks:
    """Serves newer contracts too."""

    @hookimpl(optionalhook=True)
    def login_steps(self, request, user):
        return []

    @hookimpl(optionalhook=True)
    def register_panels(self):
        return []

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(lambda: log.info("in"))


class LoadsLazily:
    """Loads something on first use: not in each call."""

    def __init__(self):
        self._words = None
        self._lock = threading.Lock()

    @property
    def words(self):
        if self._words is None:
            with self._lock:
                self._words = self._words or frozenset(str(each) for each in range(300_000))
        return self._words

    @hookimpl
    def email_changed(self, user):
        if (user.username or "") in self.words:
            log.info("a number as a username")


@lru_cache(maxsize=64)
def domain_of(email):
    """The domain of an address."""
    return email.rpartition("@")[2]


class Waits(WithTable):
    """Uses aware times, also for those that come from the database without a zone."""

    @hookimpl
    def user_logged_in(self, request, user):
        last = request.db.execute(select(notes.c.at).where(notes.c.user_id == user.id)).scalars().first()
        if last is not None and last.tzinfo is None:
            last = last.replace(tzinfo=UTC)
        if last is not None and request.now - last < timedelta(minutes=5):
            return
        domain = domain_of(user.email) if user.email else None
        request.insert(notes, {"user_id": user.id, "at": request.now, "text": domain})
        request.on_commit(lambda: log.info("at %s", datetime.now(UTC).isoformat()))


class ConnectsVerified:
    @hookimpl
    def pre_social_login(self, request, sociallogin):
        if sociallogin.is_existing or sociallogin.process != "login":
            return
        for each in sociallogin.email_addresses:
            user = request.user_by_email(each.email) if each.verified else None
            if user is not None:
                sociallogin.connect(request, user)
                return
        if any(each.email.endswith("@blocked.example") for each in sociallogin.email_addresses):
            raise StopFlow(response={"code": "blocked"})


class AcquiresWithTimeout:
    """Skips its work if another thread does it already."""

    def __init__(self):
        self._busy, self.runs = threading.Lock(), 0

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(self._clean_up)

    def _clean_up(self):
        if not self._busy.acquire(blocking=False):
            return
        try:
            self.runs += 1
        finally:
            self._busy.release()


CORRECT = [
    BoundedCache,
    PassesByRequest,
    PassesByContext,
    PoolPerHost,
    WorkerPerHost,
    TimesDeliveries,
    FallbackDelivery,
    WrapsNotifications,
    InsertsOnce,
    DoesNothingByDefault,
    CommandsAndChecks,
    Throttle,
    CountsAfterCommit,
    Decorated,
    Extends,
    NewerHooks,
    LoadsLazily,
    Waits,
    ConnectsVerified,
    AcquiresWithTimeout,
]
