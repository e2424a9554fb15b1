"""Faulty plugins, many of whose faults show in no flow. Each has the check that finds it."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import date, datetime
from functools import wraps

import authhost_hookspecs
from authhost_hookspecs import Refused, hookimpl

from conformance.plugins import WithTable, notes

log = logging.getLogger(__name__)


# Implementations that never run.


class DefinedTwice(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "first"})

    @hookimpl
    def user_logged_in(self, request, user):  # noqa: F811
        request.insert(notes, {"user_id": user.id, "text": "second"})


class HiddenByAttribute(WithTable):
    def __init__(self):
        self.user_logged_out = 0

    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": "in"})

    @hookimpl
    def user_logged_out(self, request):
        request.insert(notes, {"text": "out"})


class Logins(WithTable):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": "login"})


class Alarms(WithTable):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": "alarm"})


class HiddenByOtherBase(Logins, Alarms):
    pass


class InInnerClass(WithTable):
    class Hooks:
        @hookimpl
        def user_logged_out(self, request):
            request.insert(notes, {"text": "out"})

    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": "in"})


class InMethod(WithTable):
    @hookimpl
    def host_started(self, host):
        @hookimpl
        def user_logged_in(request):
            request.insert(notes, {"text": "in"})


class MistypedOptionalHook(WithTable):
    @hookimpl(optionalhook=True)
    def user_loged_in(self, request):
        request.insert(notes, {"text": "in"})

    @hookimpl
    def user_logged_out(self, request):
        request.insert(notes, {"text": "out"})


class MistypedWithoutMarker(WithTable):
    def user_sigend_up(self, request, user):
        request.insert(notes, {"text": "up"})

    @hookimpl
    def user_logged_out(self, request):
        request.insert(notes, {"text": "out"})


class WrongConstant(WithTable):
    @hookimpl
    def pre_social_login(self, request, sociallogin):
        if sociallogin.process == "signup":
            request.insert(notes, {"text": "signup"})


class WrongCode(WithTable):
    @hookimpl
    def flow_refused(self, request, error):
        code = getattr(error, "code", None)
        if code == "invalid_credential":
            request.insert(notes, {"text": "wrong password"})


class ConditionNeverHolds(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        if user is not None and user.is_active:
            return
        request.insert(notes, {"user_id": user.id, "text": "in"})


class NobodyIsLoggedIn(WithTable):
    @hookimpl
    def password_reset(self, request, user):
        if request.user is not None and request.session is not None and not user.is_active:
            request.insert(notes, {"user_id": user.id, "text": "reset"})


def disabled(function):
    @wraps(function)
    def wrapper(*args):
        return None

    return wrapper


class DecoratorDoesNotCall(WithTable):
    @hookimpl
    @disabled
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "in"})


# Vetoes that refuse nothing.


class ReturnsRefused:
    @hookimpl
    def before_signup(self, email):
        if email and email.endswith("@spam.example"):
            return Refused("spam", "No.")
        return None


class ReturnsFalseLater:
    @hookimpl
    def before_login(self, user):
        return self._check(user)

    def _check(self, user):
        if user.username == "root":
            return False
        return None


class DoesNotRaise:
    @hookimpl
    def before_login(self, user):
        if user.username == "root":
            Refused("root", "Not here.")


class CatchesOwnRefusal:
    @hookimpl
    def before_signup(self, email):
        try:
            if email and email.endswith("@spam.example"):
                raise Refused("spam", "No.")
        except Exception:
            log.exception("the check failed")


class RefusesTooLate:
    @hookimpl
    def user_logged_in(self, user):
        if user.username == "root":
            raise Refused("root", "Not here.")


# Wrappers of deliver_message.


class LosesResult:
    @hookimpl(wrapper=True)
    def deliver_message(self, message):
        yield
        log.info("delivered %s", message.kind)


class LosesResultOfResets:
    @hookimpl(wrapper=True)
    def deliver_message(self, message):
        result = yield
        if message.kind == "password_reset":
            return None
        return result


class AlwaysDelivered:
    @hookimpl(wrapper=True)
    def deliver_message(self, message):
        with suppress(Exception):
            yield
        return True


# A check in one hook that another one uses.


class PassesFlagOnSelf(WithTable):
    def __init__(self):
        self.is_first = False

    @hookimpl
    def before_login(self, user):
        self.is_first = user.last_login is None

    @hookimpl
    def user_logged_in(self, request, user):
        if self.is_first:
            request.insert(notes, {"user_id": user.id, "text": "first"})


class PassesByUser(WithTable):
    def __init__(self):
        self.suspicious = {}

    @hookimpl
    def before_login(self, request, user):
        self.suspicious[user.id] = request.ip_address is None

    @hookimpl
    def user_logged_in(self, request, user):
        if self.suspicious.pop(user.id, False):
            request.insert(notes, {"user_id": user.id, "text": "suspicious"})


local = threading.local()


class PassesByThread(WithTable):
    @hookimpl
    def pre_social_login(self, sociallogin):
        local.provider = sociallogin.account.provider

    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": getattr(local, "provider", None)})


# Locks.


class NotReleasedOnRefusal:
    def __init__(self):
        self.lock = threading.Lock()

    @hookimpl
    def before_login(self, user):
        self.lock.acquire()
        if user.username == "root":
            raise Refused("root", "Not here.")
        self.lock.release()


class HeldUntilNextHook:
    def __init__(self):
        self.lock = threading.RLock()

    @hookimpl
    def before_login(self):
        self.lock.acquire()

    @hookimpl
    def user_logged_in(self):
        self.lock.release()


# Memory, processes, clocks and settings.


class GrowsWithEachLogin:
    def __init__(self):
        self.seen = []

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(lambda: self.seen.append(request.id))


class CatchesInterrupts:
    @hookimpl
    def user_logged_in(self, request):
        try:
            log.info("%s", request.id)
        except BaseException:
            log.exception("failed")


class ExitsIfUnsure:
    @hookimpl
    def before_signup(self, email):
        if email == "root@example.org":
            sys.exit(1)


class Prints:
    @hookimpl
    def user_logged_in(self, request):
        print("somebody logged in")


class PatchesAtStart:
    @hookimpl
    def user_signed_up(self, request):
        if request.user_agent == "old":
            authhost_hookspecs.Message.__repr__ = lambda self: "message"
            socket.socket.connect = lambda *args: None


class NaiveClock(WithTable):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"at": datetime.utcnow(), "text": date.today().isoformat()})


class SleepsAtNight:
    @hookimpl
    def user_logged_in(self, request):
        if request.user_agent == "bot":
            time.sleep(2)


class NewestPoolOnly:
    """The second host replaces the thread of the first one."""

    @hookimpl
    def host_started(self, host):
        self.stop = threading.Event()
        self.queue = [host]

    @hookimpl
    def host_stopping(self, host):
        self.stop.set()


DEBUG = os.environ.get("FAULTY_DEBUG") == "1"


class ReadsEnvironmentAtImport:
    @hookimpl
    def user_logged_in(self, request):
        if DEBUG:
            log.debug("in")


FAULTS = [
    (DefinedTwice, "called", "user_logged_in: is never called, since line"),
    (HiddenByAttribute, "called", "user_logged_out: is never called, since an attribute of the object"),
    (HiddenByOtherBase, "called", "user_logged_in: is never called, since the one in faulty_plugins.py:"),
    (InInnerClass, "called", "user_logged_out: is never called, since no plugin object has the class Hooks"),
    (InMethod, "called", "user_logged_in: is never called, since it is defined inside of the function"),
    (MistypedOptionalHook, "called", "did you mean 'user_logged_in'?"),
    (MistypedWithoutMarker, "called", "did you mean 'user_signed_up'?"),
    (WrongConstant, "called", "compares sociallogin.process with 'signup', which it never is"),
    (WrongCode, "called", "did you mean 'invalid_credentials'?"),
    (ConditionNeverHolds, "called", "user_logged_in: never does anything"),
    (NobodyIsLoggedIn, "called", "password_reset: never does anything"),
    (DecoratorDoesNotCall, "called", "its body never ran"),
    (ReturnsRefused, "code", "before_signup: returns Refused(…)"),
    (ReturnsFalseLater, "code", "before_login: returns the result of self._check, which returns False"),
    (DoesNotRaise, "code", "before_login: creates Refused(…) and does not raise it"),
    (CatchesOwnRefusal, "code", "before_signup: catches its own refusal"),
    (RefusesTooLate, "code", "user_logged_in: raises Refused, which stops nothing here"),
    (LosesResult, "outcomes", "deliver_message: loses the result"),
    (LosesResultOfResets, "outcomes", "deliver_message: loses the result"),
    (AlwaysDelivered, "outcomes", "deliver_message: invents a result"),
    (PassesFlagOnSelf, "state", "before_login: stores is_first of one request, and user_logged_in uses it"),
    (PassesByUser, "state", "before_login: stores suspicious of one request"),
    (PassesByThread, "state", "pre_social_login: stores local.provider of one request"),
    (NotReleasedOnRefusal, "code", "before_login: acquires self.lock and does not release it in `finally`"),
    (HeldUntilNextHook, "state", "lock is still locked after a login that another plugin has refused"),
    (GrowsWithEachLogin, "state", "seen grows with every flow"),
    (CatchesInterrupts, "code", "user_logged_in: catches BaseException"),
    (ExitsIfUnsure, "code", "before_signup: ends the process"),
    (Prints, "code", "user_logged_in: prints"),
    (PatchesAtStart, "code", "user_signed_up: changes socket.socket.connect of the whole process"),
    (NaiveClock, "code", "user_logged_in: takes a time without a zone"),
    (SleepsAtNight, "code", "user_logged_in: sleeps before the commit"),
    (NewestPoolOnly, "hosts", "host_started: replaces stop of another host"),
    (ReadsEnvironmentAtImport, "code", "reads a setting from the environment"),
]
