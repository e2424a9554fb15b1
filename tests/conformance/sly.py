"""Plugins with one fault each, of those that reach beyond the flow: to the process, a file, another unit."""

from __future__ import annotations

import base64
import logging
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from authhost_hookspecs import hookimpl
from sqlalchemy import text

from conformance.faulty import Tabled, notes

log = logging.getLogger(__name__)
FILE = Path(tempfile.gettempdir()) / f"authhost-sly-{os.getpid()}.txt"


# The process.


class SetsVariable:
    @hookimpl
    def user_logged_in(self, user):
        os.environ["AUTHHOST_SLY"] = str(user.id)


class ChangesFolder:
    @hookimpl
    def user_logged_in(self, user):
        os.chdir(tempfile.gettempdir())


class SetsLevel:
    @hookimpl
    def host_started(self, host):
        logging.getLogger().setLevel(logging.DEBUG)


class Silences:
    @hookimpl
    def user_logged_in(self, user):
        logging.getLogger("authhost.plugins").disabled = True


class Patches:
    @hookimpl
    def host_started(self, host):
        kind = type(host)
        if "request" not in vars(kind):
            request = kind.request
            kind.request = lambda host, **given: request(host, **given)


class EndsProcess:
    @hookimpl
    def email_changed(self, user):
        os._exit(0)


class LeavesThread:
    @hookimpl
    def host_started(self, host):
        stop = threading.Event()
        threading.Thread(target=stop.wait, args=(20,), daemon=True).start()


# The flows.


class LateAndSlow:
    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(lambda: time.sleep(0.12))


class FailsLateForNobody:
    @hookimpl
    def flow_refused(self, request, user):
        if request.ip_address is None:
            request.on_commit(lambda: user.id)


class ReturnsVeto:
    @hookimpl
    def before_login(self, user):
        return False


class ReturnsCoroutine:
    @hookimpl
    def user_logged_in(self, user):
        async def later(): ...

        return later()


class MarksRequest:
    @hookimpl
    def user_logged_in(self, request):
        request.seen = True


class WritesToHost:
    @hookimpl
    def user_logged_in(self, request):
        request.db.execute(text("UPDATE authhost_user SET last_login = NULL"))


class BelievesAddress:
    @hookimpl
    def pre_social_login(self, request, sociallogin):
        for each in sociallogin.email_addresses if not sociallogin.is_existing else ():
            user = request.user_by_email(each.email)
            if user is not None and sociallogin.process == "login":
                sociallogin.connect(request, user)
                return


# Units of work and hosts.


class ChangesOutside(Tabled):
    """By a connection of its own, and no row more or less."""

    @hookimpl
    def host_started(self, host):
        self.engine = host.engine
        with self.engine.begin() as connection:
            connection.execute(notes.insert().values(text="nobody"))

    @hookimpl
    def before_signup(self, request, email):
        if request.clean:
            with self.engine.begin() as connection:
                connection.execute(notes.update().values(text=email))


class ReadsOtherHost(Tabled):
    @hookimpl
    def host_started(self, host):
        self.host = host

    @hookimpl
    def user_signed_up(self, request):
        with self.host.reader.connect() as connection:
            connection.execute(notes.select()).all()


# Threads.


class LocksInOneLine(Tabled):
    lock = threading.Lock()

    @hookimpl
    def user_logged_in(self, request):
        with self.lock: request.insert(notes, {"text": "in"})  # fmt: skip # noqa: E701


class LosesCounts:
    def __init__(self):
        self.logins = 0

    @hookimpl
    def user_logged_in(self, user):
        logins = self.logins
        self.logins = logins + 1


class Iterates:
    def __init__(self):
        self.seen = {}

    @hookimpl
    def user_logged_in(self, request):
        self.seen[request.id] = 1
        for each in self.seen:
            each.hex  # noqa: B018


class KeepsUser:
    @hookimpl
    def before_login(self, user):
        self.current = user


class KeepsNumbers:
    def __init__(self):
        self.begun = {}

    @hookimpl
    def before_login(self, request):
        self.begun[id(request)] = request.now


# Secrets.


class WritesToken:
    @hookimpl
    def social_account_added(self, request, sociallogin):
        token = sociallogin.token.reveal()
        request.on_commit(lambda: FILE.write_text(token))


class MailsToFile:
    """For those who develop: a note."""

    @hookimpl
    def deliver_message(self, request, message):
        request.on_commit(lambda: FILE.write_text(str(message.key)))


class StoresLink(Tabled):
    @hookimpl
    def deliver_message(self, request, message):
        request.insert(notes, {"user_id": None, "text": str(message.link)})


class SealsLink(Tabled):
    @hookimpl
    def deliver_message(self, request, message):
        request.insert(notes, {"user_id": None, "text": request.seal(str(message.link), "sly")})


class LogsPart:
    @hookimpl
    def deliver_message(self, message):
        if message.key:
            log.info("the key begins with %s", message.key[:12])


class LogsExtra:
    @hookimpl
    def social_account_added(self, sociallogin):
        log.info("connected", extra={"token": sociallogin.token.reveal()})


class EncodesWithin(Tabled):
    @hookimpl
    def user_logged_in(self, request):
        encoded = base64.b64encode(f"token={request.session_token};".encode())
        request.on_commit(lambda: print(encoded, file=sys.stderr))
