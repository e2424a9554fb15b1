"""Plugins that the suite has once judged wrongly."""

from __future__ import annotations

import functools
import json
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

from authhost_hookspecs import PluginTables, Refused, User, hookimpl
from sqlalchemy import Column, MetaData, String, Table, Uuid, delete, insert, select

from conformance.plugins import MIGRATIONS, WithTable, metadata, notes

log = logging.getLogger(__name__)


# Correct.


@dataclass(frozen=True)
class PingSettings:
    url: str = ""


def only_if_configured(method):
    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        request = next(each for each in args if hasattr(each, "plugin_settings"))
        if request.plugin_settings("faulty").url:
            method(*args, **kwargs)

    return wrapper


class DecoratedByCondition:
    """Its decorator calls the method only if a setting is set."""

    @hookimpl
    def register_settings(self):
        return PingSettings

    @hookimpl
    @only_if_configured
    def user_signed_up(self, request, user):
        request.in_background(log.info, "%s", json.dumps({"user": str(user.id)}))


class NarrowsTypes(WithTable):
    """Asserts what the contract guarantees."""

    @hookimpl
    def social_account_added(self, request, sociallogin):
        user_id = sociallogin.account.user_id
        assert user_id is not None
        assert sociallogin.user is not None
        request.db.execute(insert(notes), {"user_id": user_id, "text": sociallogin.account.provider})

    @hookimpl
    def social_account_updated(self, sociallogin):
        assert sociallogin.account.user_id is not None

    @hookimpl
    def social_account_removed(self, socialaccount):
        assert socialaccount.user_id is not None

    @hookimpl
    def user_reauthenticated(self, request):
        assert request.session is not None


class Invoices:
    """Keeps its rows on purpose."""

    @hookimpl
    def register_tables(self):
        return PluginTables(metadata, MIGRATIONS, retained={notes.name: "invoices are kept for ten years"})

    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "paid"})


class ComparesTypes:
    """Compares values of types that match."""

    _names = frozenset({"root", "admin"})

    def _is_reserved(self, user: User) -> bool:
        return user.username in self._names or user.email == "root@example.org"

    @hookimpl
    def before_login(self, request, user):
        if str(user.id) in {"1", "2"} or request.provider == "corp":
            return
        if request.user is not None and request.user.id != user.id:
            return
        if self._is_reserved(user) or request.given.get("invitation") == "root" or "root" in request.given:
            raise Refused("reserved", "This account is reserved.")


@functools.cache
def label(provider):
    return f"with {provider}"


@functools.lru_cache(maxsize=256)
def short(address):
    return address.rpartition(".")[0]


class CachesWithLimit:
    @hookimpl
    def user_logged_in(self, request):
        text = label(request.provider) if request.provider else short(request.ip_address or "") or "unknown"
        request.answer.message("info", text)


class Tally:
    """The refusals of one host, of which there are as many kinds as flows and codes."""

    def __init__(self):
        self._counts = Counter()
        self._lock = threading.Lock()

    def add(self, flow, code):
        with self._lock:
            self._counts[flow, code] += 1


class TalliesRefusals:
    def __init__(self):
        self._tallies = WeakKeyDictionary()
        self._lock = threading.Lock()

    @hookimpl
    def flow_refused(self, request, flow, error):
        request.on_commit(partial(self._add, request.host, flow, str(getattr(error, "code", ""))))

    def _add(self, host, flow, code):
        with self._lock:
            tally = self._tallies.setdefault(host, Tally())
        tally.add(flow, code)


CORRECT = [CachesWithLimit, TalliesRefusals, ComparesTypes, DecoratedByCondition, NarrowsTypes, Invoices]


# Faulty.


def not_called(method):
    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        log.debug("user_signed_up")

    return wrapper


class DecoratedWithoutCall:
    @hookimpl
    @not_called
    def user_signed_up(self, request, user):
        request.on_commit(log.debug)


class DeletesOtherRows(WithTable):
    """Stores addresses, and deletes by the user's id."""

    @hookimpl
    def email_added(self, request, email_address):
        request.insert(notes, {"text": email_address.email})

    @hookimpl
    def user_deleted(self, request, user):
        request.db.execute(delete(notes).where(notes.c.user_id == user.id))


class DeletesAllRows(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "in"})

    @hookimpl
    def user_deleted(self, request):
        request.db.execute(delete(notes))


class KeepsUsernames(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"text": user.username})

    @hookimpl
    def user_deleted(self, request, user):
        request.db.execute(delete(notes).where(notes.c.user_id == user.id))


class DropsRefusalOfHelper:
    """A helper returns the refusal, and nobody raises it."""

    _blocked = frozenset({"blocked.example"})

    def _deny(self, reason):
        return Refused("not_invited", f"You cannot sign up: {reason}.")

    def _check(self, email):
        if email.rpartition("@")[2] in self._blocked:
            self._deny("your domain is blocked")

    @hookimpl
    def before_signup(self, email):
        if email:
            self._check(email)


class DropsAnswer:
    def _allowed(self, email):
        return email.endswith("@example.org")

    @hookimpl
    def before_signup(self, email):
        if email:
            self._allowed(email)


@dataclass(frozen=True)
class SuspendSettings:
    users: str = "018f3b1c-0000-7000-8000-000000000000"

    def ids(self) -> frozenset[str]:
        return frozenset(self.users.split())


class ComparesIdWithText:
    @hookimpl
    def register_settings(self):
        return SuspendSettings

    @hookimpl
    def before_login(self, request, user):
        settings: SuspendSettings = request.plugin_settings("faulty")
        if user.id in settings.ids():
            raise Refused("suspended", "Your account is suspended.")


class ComparesRecordWithText:
    @hookimpl
    def before_change(self, change):
        if change == "delete":
            raise Refused("kept", "Accounts cannot be deleted.")


class TokenOfRequestInCookie:
    @hookimpl
    def user_logged_in(self, request):
        login = request.sociallogin
        if login is not None and login.token is not None:
            request.answer.set_cookie("key", login.token.reveal(), http_only=False)


class LogsRarePassword:
    @hookimpl
    def check_password(self, request, password, user):
        if user is not None and user.username == "root":
            log.debug("weak: %s", {"password": password})


@functools.cache
def network(address):
    return address.rpartition(".")[0]


class CachesAddresses:
    @hookimpl
    def user_logged_in(self, request, user):
        if request.ip_address is not None:
            request.answer.message("info", f"Login from {network(request.ip_address)}.")


class KeepsNameOfSite:
    def __init__(self):
        self._site = "our site"

    @hookimpl
    def host_started(self, host):
        self._site = host.settings.site_name

    @hookimpl
    def user_logged_in(self, request):
        request.answer.message("info", f"Welcome to {self._site}.")


class ForcesChange:
    @hookimpl(wrapper=True)
    def deliver_message(self, request, message):
        if message.kind == "plugin" and message.subject:
            object.__setattr__(message, "subject", f"[site] {message.subject}")
        return (yield)


names = Table(
    "authhost_faulty_name",
    MetaData(),
    Column("user_id", Uuid, primary_key=True),
    Column("name", String(60), unique=True),
)


class LooksBeforeInsert:
    """Two signups at once find the same name free."""

    def _taken(self, request, name):
        return request.db.execute(select(names).where(names.c.name == name)).first() is not None

    @hookimpl
    def account_ready(self, request, user):
        if user.username == "root" and not self._taken(request, user.username):
            request.insert(names, {"user_id": user.id, "name": user.username})


class WritesFileRarely:
    def __init__(self):
        self._path = Path("/nonexistent/vip.log")

    def _append(self, line):
        with self._path.open("a") as file:
            file.write(line)

    @hookimpl
    def user_reactivated(self, user):
        if user.username == "root":
            self._append(str(user.id))


FAULTS = [
    (WritesFileRarely, "code", "user_reactivated: writes a file before the commit"),
    (LooksBeforeInsert, "code", "account_ready: looks for name in authhost_faulty_name"),
    (KeepsNameOfSite, "state", "host_started: stores _site of one host"),
    (ForcesChange, "code", "deliver_message: changes its argument message"),
    (CachesAddresses, "state", "user_logged_in: calls network with values of a request"),
    (TokenOfRequestInCookie, "secrets", "a provider's token is in the cookie key of request.answer"),
    (TokenOfRequestInCookie, "secrets", "user_logged_in: puts a provider's token into a cookie"),
    (LogsRarePassword, "secrets", "check_password: puts a password into a log record"),
    (DropsRefusalOfHelper, "code", "before_signup: creates Refused(…) by self._deny and does not raise it"),
    (DropsAnswer, "code", "before_signup: does not use what self._allowed returns"),
    (ComparesIdWithText, "code", "before_login: compares user.id (UUID) with items of settings.ids() (str)"),
    (ComparesRecordWithText, "code", "before_change: compares change (Change) with 'delete' (str)"),
    (DecoratedWithoutCall, "called", "user_signed_up: its body never ran in"),
    (DeletesOtherRows, "personal", "an address is still in authhost_faulty_note.text"),
    (DeletesAllRows, "personal", "user_deleted: deletes all rows of authhost_faulty_note"),
    (KeepsUsernames, "personal", "the username is still in authhost_faulty_note.text"),
]
