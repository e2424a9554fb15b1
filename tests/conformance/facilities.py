"""Plugins that use what contract 1.1 adds: some correct, some faulty."""

from __future__ import annotations

import json
import logging
import smtplib
import threading
import urllib.request
from functools import partial

from authhost_hookspecs import FlowError, Message, PluginTables, Refused, hookimpl
from sqlalchemy import delete, insert, text

from conformance.plugins import MIGRATIONS, WithTable, metadata, notes

log = logging.getLogger(__name__)


# Correct.


class Invitations(WithTable):
    """Puts invited people in a team. Keeps a digest of the invitation only."""

    @hookimpl
    def before_signup(self, request, email):
        code = request.given.get("invitation")
        if code is not None and not code.isalnum():
            raise Refused("bad_invitation", "This invitation is not valid.")

    @hookimpl
    def account_ready(self, request, user):
        code = request.given.get("invitation")
        if code:
            request.insert(notes, {"user_id": user.id, "text": request.keyed_hash(code)})


class Welcome:
    """Sends a mail of its own after the signup, and shows a message."""

    @hookimpl
    def account_ready(self, request, user):
        request.answer.message("success", "Welcome!")
        if user.email is None:
            return
        text = f"Welcome to {request.settings.site_name}."
        try:
            request.send(Message(kind="plugin", recipient=user.email, subject="Welcome", text=text))
        except FlowError as error:
            log.warning("no welcome mail: %s", error.code)


class LanguageCookie:
    @hookimpl
    def user_logged_in(self, request):
        language = (request.language or "en")[:2]
        request.answer.set_cookie("language", language, max_age=86400 * 365, http_only=False)

    @hookimpl
    def user_logged_out(self, request):
        request.answer.delete_cookie("language")


def tell_crm(host, user_id):
    """Runs in the background."""
    with host.request() as request:
        account = request.account(user_id)
        log.info("crm: %s with %d addresses", user_id, len(account.email_addresses) if account else 0)


class Crm:
    @hookimpl
    def account_ready(self, request, user):
        request.in_background(tell_crm, request.host, user.id)

    @hookimpl
    def email_changed(self, request, user, to_email_address):
        user_id, email = user.id, to_email_address.email
        request.in_background(lambda: log.debug("crm: %s %s", user_id, len(email)))


class Funnel(WithTable):
    """Passes a value from one hook to the next in the request's own dict."""

    @hookimpl
    def user_signed_up(self, request):
        request.local("faulty")["signed_up"] = True

    @hookimpl
    def user_logged_in(self, request, user):
        kind = "signup" if request.local("faulty").get("signed_up") else "login"
        request.insert(notes, {"user_id": user.id, "text": kind})


class SealedTokens(WithTable):
    """Keeps the provider's token, encrypted."""

    @hookimpl
    def social_account_added(self, request, sociallogin):
        if sociallogin.token is None or sociallogin.account.user_id is None:
            return
        row = {"user_id": sociallogin.account.user_id, "at": request.now}
        request.insert(notes, row | {"text": request.seal(sociallogin.token.reveal()[:20], "faulty")[:200]})


class Managed(WithTable):
    """Managed accounts may not be deleted by others."""

    @hookimpl
    def before_change(self, request, user, change):
        if request.provider == "managed":
            raise Refused("managed", "This account is managed elsewhere.")

    @hookimpl
    def email_confirmed(self, request, email_address):
        account = request.account(email_address.user_id)
        if account is None or email_address.primary or len(account.email_addresses) < 3:
            return
        request.accounts.make_primary(email_address.user_id, email_address.email)


class SentCounter:
    """Counts by host, with a lock for each."""

    def __init__(self):
        self._by_host = {}
        self._lock = threading.Lock()

    @hookimpl
    def host_started(self, host):
        with self._lock:
            self._by_host[host] = 0

    @hookimpl
    def host_stopping(self, host):
        with self._lock:
            log.info("%d messages", self._by_host.pop(host, 0))

    @hookimpl(wrapper=True)
    def deliver_message(self, request, message):
        result = yield
        if result is True:
            request.on_commit(partial(self._count, request.host))
        return result

    def _count(self, host):
        with self._lock:
            if host in self._by_host:
                self._by_host[host] += 1


class Outbox(WithTable):
    """Delivers by a row that a worker sends later. What the row needs is sealed."""

    @hookimpl
    def deliver_message(self, request, message):
        if message.kind == "plugin":
            return None
        body = json.dumps({"to": message.recipient, "link": message.link})
        sealed = request.seal(body, "faulty outbox")
        request.insert(notes, {"user_id": message.user_id, "text": sealed[:200], "at": request.now})
        return True


class SessionData(WithTable):
    """Rows for each session, which end with it."""

    @hookimpl
    def user_logged_in(self, request, user):
        if request.session is not None:
            request.insert(notes, {"user_id": user.id, "text": f"session {request.session.id}"})

    @hookimpl
    def session_ended(self, request, session, reason):
        request.db.execute(delete(notes).where(notes.c.text == f"session {session.id}"))
        if reason == "replaced":
            request.on_commit(partial(log.info, "session %s was replaced", session.id))


CORRECT = [
    Invitations,
    Welcome,
    LanguageCookie,
    Crm,
    Funnel,
    SealedTokens,
    Managed,
    SentCounter,
    Outbox,
    SessionData,
]


# Faulty.


class KeepsDeletedUsers:
    @hookimpl
    def register_tables(self):
        return PluginTables(metadata, MIGRATIONS)

    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": "in"})


class TokenInCookie:
    @hookimpl
    def user_logged_in(self, request):
        if request.session_token:
            request.answer.set_cookie("remember", request.session_token)


class TokenInMessage:
    @hookimpl
    def social_account_added(self, request, sociallogin):
        request.answer.message("info", f"Your token is {sociallogin.token.reveal()}")


class TokenInGiven:
    @hookimpl
    def social_account_added(self, request, sociallogin):
        host, token = request.host, sociallogin.token.reveal()
        request.on_commit(lambda: self._later(host, token))

    def _later(self, host, token):
        with host.request(given={"token": token[:500]}):
            pass


class JobUsesRequest:
    @hookimpl
    def user_logged_in(self, request, user):
        request.in_background(lambda: request.user_by_email(user.email))


class JobOfHost:
    @hookimpl
    def user_signed_up(self, request, user):
        request.host.in_background(log.info, "welcome %s", user.id)


class JobFails:
    @hookimpl
    def user_logged_in(self, request, user):
        request.in_background(self._post, user.id)

    def _post(self, user_id):
        raise RuntimeError("the server does not answer")


class PostsBeforeCommit:
    @hookimpl
    def password_changed(self, request, user):
        if user.username == "root":
            urllib.request.urlopen("https://hooks.example.org/")


class MailsBeforeCommit:
    @hookimpl
    def email_changed(self, request, user, to_email_address):
        if to_email_address.email.endswith("@corp.example"):
            self._mail(to_email_address.email)

    def _mail(self, address):
        with smtplib.SMTP("localhost", 25) as server:
            server.sendmail("a@example.org", address, "hello")


class StateInDict(WithTable):
    """Keeps by address what another hook uses."""

    def __init__(self):
        self._codes = {}

    @hookimpl
    def before_signup(self, request, email):
        self._codes[email] = request.ip_address

    @hookimpl
    def user_signed_up(self, request, user):
        request.insert(notes, {"user_id": user.id, "text": self._codes.pop(user.email, None)})


class StoresSignup(WithTable):
    """Loses track of a signup that is refused."""

    def __init__(self):
        self.started = {}

    @hookimpl
    def before_login(self, request):
        self.started[request.id] = request.now

    @hookimpl
    def user_logged_in(self, request, user):
        began = self.started.pop(request.id, None)
        text = str(request.now - began) if began else None
        request.insert(notes, {"user_id": user.id, "text": text})


class RegistersFirstRow(WithTable):
    """Inserts the same row at each start."""

    @hookimpl
    def host_started(self, host):
        with host.engine.begin() as connection:
            connection.execute(insert(notes), {"id": 1, "text": "first"})


class CreatesTableAtStart:
    """Makes its table itself instead of by a migration."""

    @hookimpl
    def host_started(self, host):
        with host.engine.begin() as connection:
            connection.execute(text("CREATE TABLE authhost_faulty_extra (id INTEGER)"))


FAULTS = [
    (KeepsDeletedUsers, "personal", "the user's id is still in authhost_faulty_note.user_id"),
    (TokenInCookie, "secrets", "a session token is in the cookie remember of request.answer"),
    (TokenInMessage, "secrets", "a provider's token is in the message 1 of request.answer"),
    (TokenInGiven, "secrets", "a provider's token is passed on in `given`"),
    (JobUsesRequest, "code", "user_logged_in: uses the request in a job"),
    (JobOfHost, "code", "user_signed_up: starts a job before the commit"),
    (JobFails, "failures", "failed: RuntimeError"),
    (PostsBeforeCommit, "code", "password_changed: uses the network before the commit"),
    (MailsBeforeCommit, "code", "email_changed: uses the network before the commit"),
    (StateInDict, "state", "before_signup: stores _codes of one request"),
    (StoresSignup, "state", "started grows with every flow"),
    (RegistersFirstRow, "hosts", "host_started: fails when the host starts again"),
    (CreatesTableAtStart, "hosts", "host_started: fails when the host starts again"),
]
