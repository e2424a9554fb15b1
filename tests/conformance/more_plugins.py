"""More plugins with patterns of real ones: some correct, some faulty."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import hashlib
import logging
import random
import threading
import weakref
from collections import OrderedDict, defaultdict, deque
from typing import ClassVar

from authhost_hookspecs import Finding, Refused, StopFlow, hookimpl
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from conformance.plugins import WithTable, notes

log = logging.getLogger(__name__)


# ---- correct
class Seats(WithTable):
    """Seats: counted in the database."""

    @hookimpl
    def before_signup(self, request, email):
        used = request.db.execute(select(func.count()).select_from(notes)).scalar_one()
        if used >= 10_000:
            raise Refused("full", "No seats are left.")

    @hookimpl
    def user_signed_up(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "seat", "at": request.now})


class TokenBucket:
    def __init__(self, rate=5.0, limit=1024):
        self._lock = threading.Lock()
        self._tokens = OrderedDict()
        self.rate, self.limit = rate, limit

    def allow(self, key, now):
        with self._lock:
            tokens, last = self._tokens.pop(key, (self.rate, now))
            tokens = min(self.rate * 1000, tokens + (now - last).total_seconds())
            ok = tokens >= 1
            self._tokens[key] = (tokens - 1 if ok else tokens, now)
            while len(self._tokens) > self.limit:
                self._tokens.popitem(last=False)
            return ok


class LimitsByAddress:
    def __init__(self):
        self._buckets = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def _bucket(self, host):
        with self._lock:
            bucket = self._buckets.get(host)
            if bucket is None:
                bucket = self._buckets[host] = TokenBucket(1000)
            return bucket

    @hookimpl
    def before_login(self, request, user):
        if not self._bucket(request.host).allow(request.ip_address or "", request.now):
            raise Refused("slow_down", "Please wait a moment.")


class Metrics:
    """Metrics, health."""

    def __init__(self):
        self._lock = threading.Lock()
        self._seconds = defaultdict(float)
        self._last = None

    @hookimpl
    def user_logged_in(self, request):
        method = request.authentication[0].method if request.authentication else "unknown"
        now = request.now

        def count():
            with self._lock:
                self._seconds[method] += 1
                self._last = now

        request.on_commit(count)

    @hookimpl
    def register_checks(self):
        return [self._check]

    def _check(self, host):
        if not host.settings.base_url.startswith("https://"):
            yield Finding("hint", "base_url is not https", "set base_url")


class Digest(WithTable):
    """Digest mail via worker thread per host with DB."""

    def __init__(self):
        self._stops = {}

    @hookimpl
    def host_started(self, host):
        stop = threading.Event()
        t = threading.Thread(target=self._work, args=(host, stop), daemon=True, name="digest")
        self._stops[host] = (stop, t)
        t.start()

    @hookimpl
    def host_stopping(self, host):
        stop, t = self._stops.pop(host)
        stop.set()
        t.join(10)

    def _work(self, host, stop):
        while not stop.wait(0.2):
            try:
                with host.reader.connect() as c:
                    c.execute(select(notes.c.id).limit(1)).first()
            except Exception as e:
                log.warning("digest: %s", type(e).__name__)

    @hookimpl
    def user_logged_out(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "out"})


class Organisations:
    """Stops a social login for unknown organisations, sets cookie of the last provider."""

    @hookimpl(tryfirst=True)
    def pre_social_login(self, request, sociallogin):
        org = sociallogin.account.extra_data.get("org")
        if org is not None and org not in ("acme", "umbrella"):
            request.answer.message("error", "Please use the account of your company.")
            raise StopFlow(response={"code": "wrong_org"})

    @hookimpl
    def user_logged_in(self, request):
        if request.sociallogin is not None:
            request.answer.set_cookie("last_provider", request.sociallogin.account.provider, max_age=86400)


class FirstLogin(WithTable):
    """Upsert with savepoint; retries once."""

    @hookimpl
    def user_logged_in(self, request, user):
        for attempt in range(2):
            known = request.db.execute(select(notes.c.id).where(notes.c.user_id == user.id)).first()
            if known:
                return
            try:
                with request.db.begin_nested():
                    request.db.execute(insert(notes).values(user_id=user.id, text="seen", at=request.now))
                return
            except IntegrityError:
                log.debug("again %d", attempt)


class AsyncJob:
    """asyncio job in background, exceptions handled, memory bounded."""

    def __init__(self):
        self._recent = deque(maxlen=50)

    @hookimpl
    def password_changed(self, request, user):
        request.in_background(self._notify, str(user.id))

    def _notify(self, user_id):
        async def run():
            await asyncio.sleep(0)
            self._recent.append(user_id)

        asyncio.run(run())


def once_per_host(function):
    @functools.wraps(function)
    def wrapper(self, host):
        with self.lock:
            if host in self.seen:
                return None
            self.seen.add(host)
        return function(self, host)

    return wrapper


class DecoratedStart:
    def __init__(self):
        self.lock = threading.RLock()
        self.seen = weakref.WeakSet()

    @hookimpl
    @once_per_host
    def host_started(self, host):
        log.info("started %s", host.settings.site_name)

    @hookimpl
    def email_confirmed(self, request, email_address):
        primary = email_address.primary
        request.on_commit(lambda: log.info("confirmed, primary: %s", primary))


class Matches(WithTable):
    """Tests its state with match, comprehension and try/else; refuses deactivation of managers."""

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        match getattr(error, "code", ""):
            case "invalid_credentials" | "rate_limited":
                text = "attack?"
            case "vetoed":
                text = "veto"
            case _:
                return
        request.insert(notes, {"user_id": user.id if user else None, "text": text, "at": request.now})


class PasswordPolicy(WithTable):
    """Password policy plus breach set."""

    WORDS = frozenset(hashlib.sha1(w.encode()).hexdigest() for w in ("password", "hunter2"))

    @hookimpl
    def check_password(self, password, user):
        if hashlib.sha1(password.encode()).hexdigest() in self.WORDS:
            raise Refused("breached", "This password is known to attackers.")
        if (
            user is not None
            and user.username
            and user.username.lower() in password.lower()
            and len(user.username) > 4
        ):
            raise Refused("contains_name", "The password must not contain your name.")


CORRECT = [
    Seats,
    LimitsByAddress,
    Metrics,
    Digest,
    Organisations,
    FirstLogin,
    AsyncJob,
    DecoratedStart,
    Matches,
    PasswordPolicy,
]


# ---- faulty
class LogsPassword:
    """check_password logs the password at debug"""

    @hookimpl
    def check_password(self, password):
        log.debug("checking %s", password)


class StoresHash(WithTable):
    """stores fast hash of password"""

    @hookimpl
    def check_password(self, request, password, user):
        request.insert(notes, {"text": hashlib.sha256(password.encode()).hexdigest()})


class ReturnsText:
    @hookimpl
    def before_change(self, user, change):
        if change.kind == "delete" and user.username == "root":
            return "not allowed"


class PassesByGlobal(WithTable):
    """flag at module level"""

    @hookimpl
    def pre_social_login(self, request, sociallogin):
        global current_provider
        current_provider = sociallogin.account.provider

    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": current_provider})


current_provider = None


class LocksInDict:
    """semaphore like lock in helper class"""

    def __init__(self):
        self.locks = {}

    @hookimpl
    def before_login(self, user):
        lock = self.locks.setdefault("all", threading.Lock())
        lock.acquire()
        try:
            if user.username == "zed":
                raise Refused("zed", "no")
        except Refused:
            raise
        lock.release()


class ImpossibleNone(WithTable):
    """email never None in condition inverted"""

    @hookimpl
    def email_changed(self, request, user, from_email_address, to_email_address):
        if to_email_address is None:
            request.insert(notes, {"user_id": user.id, "text": "changed"})


class ReturnsKind:
    """wrapper returns message"""

    @hookimpl(wrapper=True)
    def deliver_message(self, message):
        result = yield
        log.info("sent %s", message.kind)
        return message.kind if result else None


class CachesSessions(WithTable):
    """session cache grows"""

    cache: ClassVar = {}

    @hookimpl
    def user_logged_in(self, request, user):
        if request.session:
            CachesSessions.cache[request.session.id] = user.username


class BareExcept:
    @hookimpl
    def user_signed_up(self, request, user):
        try:
            self._sync(user)
        except:  # noqa: E722
            log.error("sync failed")

    def _sync(self, user):
        log.info("sync %s", user.id)


class WrongReasons(WithTable):
    @hookimpl
    def session_ended(self, request, session, reason):
        if reason in ("logged_out", "signed_out"):
            request.insert(notes, {"user_id": session.user_id, "text": "bye"})


class RegistersAtExit:
    """signal handler + atexit"""

    @hookimpl
    def host_started(self, host):
        atexit.register(log.debug, "bye")


class SeedsRandom:
    """random seed"""

    @hookimpl
    def user_logged_in(self, request):
        random.seed(1)


class ThreadWithRequest:
    """on_commit network? no; uses request.user from a thread"""

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(
            lambda: threading.Thread(target=lambda: log.info("%s", request.user_by_email("a@b.c"))).start()
        )


class ChangesExtraData:
    """mutates extra_data"""

    @hookimpl
    def pre_social_login(self, sociallogin):
        sociallogin.account.extra_data["seen"] = True


class SuppressesRefusal(WithTable):
    @hookimpl
    def before_signup(self, request, email):
        with contextlib.suppress(Exception):
            self._check(email)

    def _check(self, email):
        if email and email.startswith("bot"):
            raise Refused("bot", "No bots.")


FAULTS = [
    (LogsPassword, "secrets", "a password is logged"),
    (StoresHash, "secrets", "a password is stored in authhost_faulty_note.text"),
    (ReturnsText, "code", "before_change: returns 'not allowed'"),
    (PassesByGlobal, "state", "pre_social_login: stores current_provider of one request"),
    (LocksInDict, "code", "before_login: acquires lock and does not release it"),
    (ImpossibleNone, "called", "email_changed: never does anything"),
    (ReturnsKind, "outcomes", "deliver_message: loses the result"),
    (CachesSessions, "state", "cache grows with every flow"),
    (BareExcept, "code", "user_signed_up: catches BaseException"),
    (WrongReasons, "called", "did you mean 'logout'?"),
    (RegistersAtExit, "code", "host_started: changes the whole process (atexit.register)"),
    (SeedsRandom, "code", "user_logged_in: changes the whole process (random.seed)"),
    (ThreadWithRequest, "code", "user_logged_in: passes the request to another thread"),
    (ChangesExtraData, "failures", "pre_social_login: raised TypeError: 'mappingproxy' object"),
    (SuppressesRefusal, "code", "before_signup: catches its own refusal"),
]
