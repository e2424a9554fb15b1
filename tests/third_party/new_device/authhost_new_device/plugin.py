"""Stores the devices of each user, and reports a new one after the commit."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from email.message import EmailMessage

from authhost_hookspecs import Host, PluginTables, Request, User, hookimpl
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from authhost_new_device.mailer import Mailer
from authhost_new_device.tables import device_table, metadata

NAME = "newdevice"
VERSIONS = re.compile(r"\d[\w.]*")

log = logging.getLogger("authhost.newdevice")


@dataclass(frozen=True, eq=False)
class NewDeviceSettings:
    """The SMTP server and the sender. Without ``smtp_host``, a new device is only logged."""

    smtp_host: str = ""
    smtp_port: int = 25
    sender: str = "noreply@localhost"


class NewDevice:
    """Stores one row for each device, and has one mailer for each host."""

    def __init__(self) -> None:
        # The key is the plugin's settings object of the host, which each request of the host has too.
        self._mailers: dict[NewDeviceSettings, Mailer] = {}

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        known = select(device_table.c.device).where(device_table.c.user_id == user.id)
        devices = set(request.db.execute(known).scalars())
        device = request.keyed_hash(f"{NAME} {user.id} {described(request.user_agent)}")
        if device in devices:
            return
        row = {"user_id": user.id, "device": device, "first_seen": request.now}
        try:
            with request.db.begin_nested():
                request.db.execute(insert(device_table), row)
        except IntegrityError:
            return  # another login at the same time stored the device and sends the mail
        # The first device is the one of the signup, so it is not reported.
        if devices:
            self._report(request, user)

    def _report(self, request: Request, user: User) -> None:
        settings: NewDeviceSettings = request.plugin_settings(NAME)
        mailer, user_id = self._mailers.get(settings), user.id
        if mailer is None or user.email is None:
            request.on_commit(lambda: log.info("user %s logged in from a new device", user_id))
            return
        message = notice(request, settings.sender, user.email)
        request.on_commit(lambda: mailer.put(message))

    @hookimpl
    def host_started(self, host: Host) -> None:
        settings: NewDeviceSettings = host.plugin_settings(NAME)
        if settings.smtp_host:
            self._mailers[settings] = Mailer(settings.smtp_host, settings.smtp_port)

    @hookimpl
    def host_stopping(self, host: Host) -> None:
        mailer = self._mailers.pop(host.plugin_settings(NAME), None)
        if mailer is not None:
            mailer.stop()

    @hookimpl
    def register_settings(self) -> type[NewDeviceSettings]:
        return NewDeviceSettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_new_device.migrations")


def described(user_agent: str) -> str:
    """A user agent without version numbers, since an updated browser is not a new device.

    An empty user agent is a device too, so that a client cannot hide by sending none.
    """
    return VERSIONS.sub("", user_agent)


def notice(request: Request, sender: str, recipient: str) -> EmailMessage:
    """The mail. It does not contain the user agent, since an attacker could put text for the user into it."""
    site = request.settings.site_name
    message = EmailMessage()
    message["Subject"] = f"{site}: login from a new device"
    message["From"], message["To"] = sender, recipient
    message["Date"], message["Auto-Submitted"] = request.now, "auto-generated"
    message.set_content(
        f"Somebody logged in to your account at {site} on {request.now:%Y-%m-%d at %H:%M} UTC,\n"
        "from a device that was not used before.\n\n"
        "If that was you, there is nothing to do. If not, log in and change your\n"
        f"password: {request.build_url('login')}\n"
    )
    return message


plugin = NewDevice()
