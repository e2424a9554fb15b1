"""Stores the devices of each user, and sends a notice about a new one."""

from __future__ import annotations

import logging
import re
from typing import Any

from authhost_hookspecs import FlowError, Message, PluginTables, Request, User, hookimpl, utc
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from authhost_new_device.tables import device_table, metadata

NAME = "newdevice"
VERSIONS = re.compile(r"\d[\w.]*")

log = logging.getLogger("authhost.newdevice")


class NewDevice:
    """Stores one row for each device."""

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
            return  # another login at the same time stored the device and sends the notice
        # The first device is the one of the signup, so it is not reported.
        if devices and user.email is not None:
            self._report(request, user, user.email)

    def _report(self, request: Request, user: User, email: str) -> None:
        try:
            request.send(notice(request, user, email))
        except FlowError as error:  # the device stays stored, so that each one is reported once
            log.warning("user %s got no notice of a new device: %s", user.id, error.code)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        request.db.execute(delete(device_table).where(device_table.c.user_id == user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> dict[str, Any]:
        known = select(device_table.c.first_seen).where(device_table.c.user_id == user.id)
        return {
            "devices": [{"first_seen": utc(each).isoformat()} for each in request.db.execute(known).scalars()]
        }

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_new_device.migrations")


def described(user_agent: str) -> str:
    """A user agent without version numbers, since an updated browser is not a new device.

    An empty user agent is a device too, so that a client cannot hide by sending none.
    """
    return VERSIONS.sub("", user_agent)


def notice(request: Request, user: User, email: str) -> Message:
    """The message. It has no user agent, since an attacker could put text for the user into it."""
    site = request.settings.site_name
    return Message(
        "plugin",
        email,
        user_id=user.id,
        subject=f"{site}: login from a new device",
        text=(
            f"Somebody logged in to your account at {site} on {request.now:%Y-%m-%d at %H:%M} UTC,\n"
            "from a device that was not used before.\n\n"
            "If that was you, there is nothing to do. If not, log in and change your\n"
            f"password: {request.build_url('login')}\n"
        ),
    )


plugin = NewDevice()
