"""Faults that blind examinations planted and the suite did not find, and plugins that look alike."""

from __future__ import annotations

import functools
import logging
import smtplib
import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC
from functools import cached_property, partial
from secrets import token_hex, token_urlsafe
from urllib.parse import quote
from urllib.request import urlopen
from weakref import WeakKeyDictionary

import click
from authhost_hookspecs import Finding, FlowError, Health, Metric, Refused, hookimpl, utc
from sqlalchemy import delete, select

from conformance.plugins import WithTable, notes

log = logging.getLogger(__name__)


# Correct.


class NotesTheOwner(WithTable):
    """Who has confirmed an address may differ from its owner."""

    @hookimpl
    def email_confirmed(self, request, email_address):
        if request.user is not None and request.user.id != email_address.user_id:
            return
        request.insert(notes, {"user_id": email_address.user_id, "text": "confirmed"})

    @hookimpl
    def session_ended(self, request, session):
        actor = request.user.id if request.user else None
        request.on_commit(partial(log.info, "session %s was ended by %s", session.id, actor))

    @hookimpl
    def user_deactivated(self, request, user):
        actor = request.user.id if request.user else None
        request.on_commit(partial(log.info, "%s was deactivated by %s", user.id, actor))


def ping(url):
    with suppress(OSError), urlopen(url, timeout=1) as answer:
        answer.read(10)


def mail(host):
    with suppress(OSError), smtplib.SMTP(host, timeout=1) as server:
        server.noop()


class LimitsItsTime:
    @hookimpl
    def user_logged_in(self, request):
        request.in_background(ping, "http://127.0.0.1:9/")
        request.in_background(mail, "127.0.0.1")


@dataclass(frozen=True)
class TokenSettings:
    token: str = field(default="", repr=False)
    limit: int = 5

    def __post_init__(self):
        if self.token and len(self.token) < 20:
            raise ValueError(f"token has {len(self.token)} characters; it needs 20")
        if self.limit < 1:
            raise ValueError(f"limit must be positive, not {self.limit}")


class CountsAndChecks:
    """Counts after the commit, with a lock around nothing else, and fixed values of the contract."""

    def __init__(self):
        self._lock, self._counts = threading.Lock(), Counter()

    @hookimpl
    def register_settings(self):
        return TokenSettings

    @hookimpl(wrapper=True)
    def user_logged_in(self, request):
        result = yield
        request.on_commit(partial(self._add, "login"))
        return result

    def _add(self, name):
        with self._lock:
            self._counts[name] += 1

    @hookimpl
    def register_health(self):
        return [self._health]

    def _health(self, host):
        status = "ok"
        status = status if self._counts["login"] < 1000 else "degraded"
        yield Health("logins", status, f"{self._counts['login']} logins")

    @hookimpl
    def register_metrics(self):
        return [self._metrics]

    def _metrics(self, host):
        yield Metric(
            "authhost_faulty_logins", self._counts["login"], "counter", "Logins.", {"event": "login"}
        )


class ReadsByConnection(WithTable):
    """A statement that is built in steps, in a connection of its own."""

    @hookimpl
    def register_metrics(self):
        return [self._metrics]

    def _metrics(self, host):
        statement = select(notes.c.text)
        statement = statement.where(notes.c.text != "old")
        with host.reader.connect() as connection, host.engine.connect() as other:
            count = len(connection.execute(statement).all()) + len(other.execute(statement).all())
        yield Metric("authhost_faulty_notes", count, "gauge", "Notes.")


class PassesInOneUnit:
    """The login follows the signup in the same unit of work, or there is nothing to say."""

    @hookimpl
    def before_login(self, request, user):
        request.local("faulty")["name"] = user.username

    @hookimpl
    def user_logged_in(self, request):
        name = request.local("faulty").get("name")
        if name is not None:
            request.answer.message("info", f"Welcome, {name}!")


class QueuesFailures(WithTable):
    """Keeps what could not be delivered, and sends it later."""

    @hookimpl(wrapper=True)
    def deliver_message(self, request, message):
        try:
            return (yield)
        except FlowError:
            request.insert(notes, {"text": request.seal(message.text or message.kind)})
            return True


class StoresDigest(WithTable):
    """A token in a cookie, and its digest in the table. Short codes are no secrets."""

    @hookimpl
    def user_logged_in(self, request, user):
        token = token_urlsafe(24)
        request.insert(notes, {"user_id": user.id, "text": request.keyed_hash(token)[:50]})
        request.insert(notes, {"user_id": user.id, "text": token_hex(4)})
        request.answer.set_cookie("faulty", token)


class EncodesCookie:
    @hookimpl
    def user_logged_in(self, request, user):
        request.answer.set_cookie("faulty", quote(f"{request.language or 'en'} {user.username}"[:100]))


class NotesActors(WithTable):
    """The person, and beside it who has done it."""

    @hookimpl
    def email_added(self, request, email_address):
        by = request.user.id if request.user else None
        request.on_commit(partial(log.info, "%s was added by %s", email_address.user_id, by))

    @hookimpl
    def email_confirmed(self, request, email_address):
        by = request.user.id if request.user else None
        request.insert(notes, {"user_id": email_address.user_id, "text": f"confirmed by {by}"})


@dataclass(frozen=True)
class LifetimeSettings:
    token_lifetime: int = 60
    token_url: str = "https://example.org"

    def __post_init__(self):
        if self.token_lifetime < 1 or not self.token_url.startswith("https:"):
            raise ValueError(f"token_lifetime is {self.token_lifetime}, token_url is {self.token_url}")


class ApiError(Exception):
    code = "card_declined"


class Client:
    base_url = "https://api.example.org"

    def charge(self):
        raise ApiError


class AsksAnApi(WithTable):
    """Errors, addresses and connections of others than the host."""

    def __init__(self):
        self._client, self._used, self._sites = Client(), None, {}

    @hookimpl
    def register_settings(self):
        return LifetimeSettings

    @hookimpl
    def host_started(self, host):
        self._sites[host] = "started"

    @hookimpl
    def host_stopping(self, host):
        self._sites.pop(host, None)

    @hookimpl
    def user_logged_in(self, request, user):
        request.on_commit(partial(self._charge, user.id))

    def _charge(self, user_id):
        self._used = self._client.base_url
        try:
            self._client.charge()
        except ApiError as error:
            if error.code == "card_declined":
                log.info("%s: %s declined", self._used, user_id)

    @hookimpl
    def register_commands(self):
        @click.command()
        @click.pass_obj
        def faulty(context):
            """Delete old notes."""
            self.prune(context())

        return [faulty]

    def prune(self, host):
        if host not in self._sites:
            self._sites[host] = "command"
        log.info("%s", self._sites[host])
        with host.engine.connect() as connection:
            old = connection.execute(select(notes.c.id)).scalars().all()
        with host.request() as request:
            request.db.execute(delete(notes).where(notes.c.id.in_(old)))


class FallsBack(WithTable):
    """The unit of work has the campaign, or else the table."""

    @hookimpl
    def user_signed_up(self, request, user):
        request.local("faulty")["campaign"] = "spring"
        request.insert(notes, {"user_id": user.id, "text": "spring"})

    @hookimpl
    def account_ready(self, request, user):
        campaign = request.local("faulty").get("campaign")
        if campaign is None:
            campaign = request.db.scalar(select(notes.c.text).where(notes.c.user_id == user.id))
        request.on_commit(partial(log.info, "came by %s", campaign))


class ConvertsAwareTime(WithTable):
    @hookimpl
    def user_reactivated(self, request, user):
        since = request.db.scalar(select(notes.c.at).where(notes.c.user_id == user.id))
        if since is not None:
            at = utc(request.db.scalar(select(notes.c.at).where(notes.c.user_id == user.id)))
            request.on_commit(partial(log.info, "away since %s", at.astimezone(UTC)))


CORRECT = [
    AsksAnApi,
    ConvertsAwareTime,
    FallsBack,
    NotesActors,
    StoresDigest,
    EncodesCookie,
    NotesTheOwner,
    LimitsItsTime,
    CountsAndChecks,
    PassesInOneUnit,
    ReadsByConnection,
    QueuesFailures,
]


# Faulty.


class NotesTheLoggedInUser(WithTable):
    @hookimpl
    def email_confirmed(self, request, email_address):
        if request.user is not None:
            request.insert(notes, {"user_id": request.user.id, "text": email_address.email})


class PrefersTheLoggedInUser(WithTable):
    @hookimpl
    def email_confirmed(self, request, email_address):
        owner = request.user.id if request.user is not None else email_address.user_id
        request.insert(notes, {"user_id": owner, "text": "confirmed"})


class GreetsNobody:
    @hookimpl
    def user_signed_up(self, request):
        user = request.user
        if user is not None:
            request.on_commit(partial(log.info, "welcome, %s", user.id))


def ping_forever(url):
    with suppress(OSError), urlopen(url) as answer:
        answer.read(10)


class WaitsForEver:
    @hookimpl
    def user_deactivated(self, request):
        request.in_background(ping_forever, "http://127.0.0.1:9/")


class ForgetsTheCommit(WithTable):
    @hookimpl
    def register_commands(self):
        @click.command()
        @click.pass_obj
        def faulty(context):
            """Delete old notes."""
            self.prune(context())

        return [faulty]

    def prune(self, host):
        statement = delete(notes).where(notes.c.text == "old")
        with host.engine.connect() as connection:
            connection.execute(statement)


class UnknownStatus:
    @hookimpl
    def register_health(self):
        return [self._health]

    def _health(self, host):
        status = "ok" if host.settings.site_name else "warning"
        yield Health("name", status, "the site has a name")


class UnknownLevel:
    @hookimpl
    def register_checks(self):
        return [lambda host: [Finding("note", "no-name", "the site has no name")] if not host else []]


@dataclass(frozen=True, eq=False)
class BanSettings:
    accounts: str = "018f3b1c-0000-7000-8000-000000000000"

    @cached_property
    def banned(self) -> frozenset[str]:
        return frozenset(self.accounts.split())


class ComparesWithCachedText:
    @hookimpl
    def register_settings(self):
        return BanSettings

    @hookimpl
    def before_login(self, request, user):
        settings: BanSettings = request.plugin_settings("faulty")
        if user.id in settings.banned:
            raise Refused("banned", "This account is closed.")


class CountsDeepInside:
    """The number is an entry of a counter of an object of a dict."""

    def __init__(self):
        self._tallies = {"site": Counter()}

    @hookimpl
    def user_logged_in(self, request):
        self._tallies["site"]["login"] += 1


class LocksOtherPlugins:
    def __init__(self):
        self._lock = threading.Lock()

    @hookimpl(wrapper=True)
    def user_logged_in(self, request):
        with self._lock:
            return (yield)


class LogsInCallback:
    @hookimpl(wrapper=True)
    def deliver_message(self, request, message):
        result = yield
        request.on_commit(partial(log.info, "sent %s", asdict(message)))
        return result


class ConvertsNaiveTime(WithTable):
    @hookimpl
    def user_reactivated(self, request, user):
        since = request.db.execute(select(notes.c.text).where(notes.c.user_id == user.id)).scalar()
        if since is not None:
            request.on_commit(partial(log.info, "away since %s", since.astimezone(UTC)))


class OnlyCountsFailures:
    def __init__(self):
        self.failures = 0

    def _add(self):
        self.failures += 1

    @hookimpl(wrapper=True)
    def deliver_message(self, request, message):
        try:
            return (yield)
        except Exception as error:
            request.on_commit(self._add)
            request.on_commit(partial(log.error, "%s: %s", message.kind, type(error).__name__))
            return True


@dataclass(frozen=True)
class ShowingSettings:
    token: str = field(default="", repr=False)

    def __post_init__(self):
        if self.token and not self.token.isalnum():
            raise ValueError(f"token must have letters and digits, not {self.token!r}")


class ShowsToken:
    @hookimpl
    def register_settings(self):
        return ShowingSettings

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(log.debug)


class CommandNeedsStartedHost:
    def __init__(self):
        self._clients = {}

    @hookimpl
    def host_started(self, host):
        self._clients[host] = object()

    @hookimpl
    def host_stopping(self, host):
        self._clients.pop(host, None)

    @hookimpl
    def register_commands(self):
        @click.command()
        @click.pass_obj
        def faulty(context):
            """Show the client."""
            click.echo(self.client_of(context()))

        return [faulty]

    def client_of(self, host):
        return self._clients[host]


class LabelsUsers:
    def __init__(self):
        self._seen = {}

    @hookimpl
    def host_started(self, host):
        self._seen[host] = set()

    @hookimpl
    def host_stopping(self, host):
        self._seen.pop(host, None)

    @hookimpl
    def user_logged_in(self, request, user):
        request.on_commit(partial(self._seen[request.host].add, str(user.id)))

    @hookimpl
    def register_metrics(self):
        return [self._metrics]

    def _metrics(self, host):
        for each in self._seen[host]:
            yield Metric("authhost_faulty_logins", 1, "gauge", "Logins.", {"account": each})


class ExpectsOtherUnit(WithTable):
    @hookimpl
    def user_signed_up(self, request):
        request.local("faulty")["campaign"] = request.given.get("campaign", "none")

    @hookimpl
    def account_ready(self, request, user):
        campaign = request.local("faulty").pop("campaign", None)
        if campaign is not None:
            request.insert(notes, {"user_id": user.id, "text": campaign})


class StoresToken(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        token = token_urlsafe(24)
        request.insert(notes, {"user_id": user.id, "text": token})
        request.answer.set_cookie("faulty", token)


class LanguageInCookie:
    @hookimpl
    def user_logged_in(self, request):
        request.answer.set_cookie("faulty", request.language or "en")


class NameInCookie:
    @hookimpl
    def user_logged_in(self, request, user):
        request.answer.set_cookie("faulty", user.username or "")


class LongText(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": request.user_agent})


class KeepsSettings:
    """The first host's site name, for all hosts."""

    def __init__(self):
        self._text = None

    def _greeting(self, request):
        if self._text is None:
            settings = request.settings
            self._text = f"Welcome to {settings.site_name}!"
        return self._text

    @hookimpl
    def user_logged_in(self, request):
        request.answer.message("info", self._greeting(request))


class LeaksSockets:
    def __init__(self):
        self._sockets = WeakKeyDictionary()
        self._kept = []

    @hookimpl
    def host_started(self, host):
        self._sockets[host] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._kept.append(self._sockets[host])


class LeaksHosts:
    def __init__(self):
        self._sites = {}

    @hookimpl
    def host_started(self, host):
        self._sites[host] = host.settings.site_name

    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(partial(log.info, "%s", self._sites.get(request.host)))


WATCHED = frozenset({"wrong_password", "too_many_attempts"})


class WatchesUnknownCodes:
    @hookimpl
    def flow_refused(self, request, flow, error):
        code = getattr(error, "code", "")
        if flow == "login" and code in WATCHED:
            request.on_commit(partial(log.warning, "refused from %s", request.ip_address))


@functools.lru_cache(maxsize=100)
def is_weak(password):
    return password.isalpha()


class CachesPasswords:
    @hookimpl
    def check_password(self, password):
        if is_weak(password) and len(password) < 4:
            raise Refused("weak", "Please choose another password.")


class RefusesUnknownChange:
    @hookimpl
    def before_change(self, change):
        if change.kind == "email_added":
            raise Refused("managed", "The school manages your addresses.")


class RevealsAccounts:
    @hookimpl
    def before_signup(self, request, email):
        if email and request.user_by_email(email) is not None:
            raise Refused("customer", "You are a customer already.")


FAULTS = [
    (CachesPasswords, "state", "check_password: calls is_weak with the password"),
    (RefusesUnknownChange, "called", "before_change: compares change.kind with 'email_added'"),
    (RevealsAccounts, "code", "before_signup: asks request.user_by_email before it refuses"),
    (KeepsSettings, "state", "user_logged_in: keeps _text, a value of one host, for all hosts"),
    (LeaksSockets, "process", "host_started: leaves a socket"),
    (LeaksHosts, "process", "host_started: _sites still has a host that has closed"),
    (StoresToken, "secrets", "user_logged_in: a random token that people get is stored as it is"),
    (LanguageInCookie, "edges", "user_logged_in: raised ValueError"),
    (NameInCookie, "edges", "user_logged_in: raised ValueError"),
    (LongText, "edges", "a text of 512 characters (of at most 200) is in authhost_faulty_note.text"),
    (WatchesUnknownCodes, "called", "flow_refused: compares code with 'too_many_attempts'"),
    (NotesTheLoggedInUser, "code", "email_confirmed: uses request.user"),
    (PrefersTheLoggedInUser, "code", "email_confirmed: uses request.user"),
    (GreetsNobody, "code", "user_signed_up: uses request.user"),
    (WaitsForEver, "code", "user_deactivated: calls urlopen without a timeout"),
    (ForgetsTheCommit, "code", "register_commands: changes the database with connection.execute and never"),
    (UnknownStatus, "code", "register_health: passes 'warning' to Health as status"),
    (UnknownLevel, "code", "register_checks: passes 'note' to Finding as level"),
    (ComparesWithCachedText, "code", "before_login: compares user.id (UUID) with items of settings.banned"),
    (CountsDeepInside, "rollback", "user_logged_in: counts in memory what was rolled back"),
    (LocksOtherPlugins, "code", "user_logged_in: holds self._lock over its `yield`"),
    (LogsInCallback, "secrets", "the key of a message is logged"),
    (
        ConvertsNaiveTime,
        "code",
        "user_reactivated: converts since, which the database returns",
    ),
    (OnlyCountsFailures, "outcomes", "deliver_message: hides the failure of another plugin"),
    (ShowsToken, "code", "register_settings: its error contains the value of token"),
    (CommandNeedsStartedHost, "code", "register_commands: a command uses _clients"),
    (
        LabelsUsers,
        "personal",
        "the user's id is in the label authhost_faulty_logins{account}",
    ),
    (ExpectsOtherUnit, "code", "account_ready: reads campaign of request.local"),
]
