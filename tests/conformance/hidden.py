"""Plugins with one fault each, of those that hide: in a wrapper, behind the guard, before the first flow."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import threading
from pathlib import Path

from authhost_hookspecs import hookimpl

from conformance.faulty import Tabled, notes


class WrapperRaises:
    @hookimpl(wrapper=True)
    def user_logged_in(self):
        yield
        raise ZeroDivisionError("planted")


class WrapperWrites:
    @hookimpl(wrapper=True)
    def user_logged_in(self):
        yield
        (Path(tempfile.gettempdir()) / f"authhost-hidden-{os.getpid()}.txt").write_text("in")


class WrapperChanges:
    @hookimpl(wrapper=True)
    def user_logged_in(self, user):
        object.__setattr__(user, "email", "other@example.org")
        return (yield)


class WrapsWell:
    """No fault."""

    @hookimpl(wrapper=True)
    def user_logged_in(self, request, user):
        request.on_commit(user.id.hex.lower)
        return (yield)

    @hookimpl(wrapper=True)
    def pre_social_login(self, sociallogin):
        return (yield)


class EndsTransaction:
    @hookimpl
    def user_logged_in(self, request):
        request.db.connection().commit()


class Cancels:
    """Raises what is no `Exception`."""

    @hookimpl
    def user_logged_in(self, user):
        raise asyncio.CancelledError


class OpensByNumber:
    @hookimpl
    def user_logged_in(self, user):
        path = Path(tempfile.gettempdir()) / f"authhost-hidden-{os.getpid()}.txt"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


class FirstHost(Tabled):
    """Takes the first host for the only one."""

    host = None

    @hookimpl
    def host_started(self, host):
        self.host = self.host or host

    @hookimpl
    def user_logged_in(self, request, user):
        def later():
            with self.host.engine.begin() as connection:
                connection.execute(notes.insert().values(user_id=user.id))

        request.on_commit(later)


class PrintsAtStart:
    @hookimpl
    def host_started(self, host):
        print(host.settings.secret_key)


class TellsInError:
    @hookimpl
    def user_logged_in(self, request):
        raise ValueError(f"no such session: {request.session_token}")


class HangsAtStart:
    @hookimpl
    def host_started(self, host):
        threading.Event().wait()


class WritesLate(Tabled):
    """By a thread and a connection of its own, whatever becomes of the flow."""

    @hookimpl
    def host_started(self, host):
        self.host = host

    @hookimpl
    def password_changed(self, user):
        host, user_id = self.host, user.id

        def write():
            threading.Event().wait(0.05)
            with host.engine.begin() as connection:
                connection.execute(notes.insert().values(user_id=user_id))

        threading.Thread(target=write).start()


class Encodes(Tabled):
    """A token is as good as base64."""

    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"text": base64.b64encode(request.session_token.encode()).decode()})


class CountsInClass:
    logins = 0

    @hookimpl
    def user_logged_in(self, user):
        type(self).logins += 1
