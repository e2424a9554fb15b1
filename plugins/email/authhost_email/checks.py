"""Findings of ``authhost check`` about e-mail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from authhost_hookspecs import Finding, Host
from sqlalchemy import func, select

from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table
from authhost_email.transports import BUILT_IN, TRANSPORTS, is_known

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OVERDUE_AFTER = timedelta(minutes=10)
START_WORKER = "start `authhost email worker` as a service, or run `authhost email deliver` each minute"


def check_settings(host: Host) -> Iterator[Finding]:
    """Yield settings that keep messages from being delivered, or that let others read them."""
    settings: EmailSettings = host.plugin_settings("email")
    if not is_known(settings.transport):
        yield Finding(
            "error",
            f"there is no transport {settings.transport!r}, so no message is sent",
            f"set transport under [plugins.email] to one of {', '.join(BUILT_IN)}, or install the package "
            f"that provides it (entry point group {TRANSPORTS})",
        )
    elif settings.transport == "file":
        folder = Path(settings.directory).absolute()
        yield Finding(
            "warning",
            f"messages are written to the folder {folder} and not sent",
            "set transport under [plugins.email] to smtp or sendmail",
        )
    elif settings.transport == "console":
        yield Finding(
            "warning",
            "messages with their links are written to standard error and not sent",
            "set transport under [plugins.email] to smtp or sendmail",
        )
    if settings.from_address.rpartition("@")[2] in ("localhost", "localhost.localdomain"):
        yield Finding(
            "warning",
            f"the sender is {settings.from_address}, which other mail servers refuse",
            "set from_address under [plugins.email] to an address in your domain",
        )
    if settings.transport == "smtp":
        yield from _smtp(settings)
    if settings.transport == "sendmail" and shutil.which(settings.sendmail) is None:
        yield Finding(
            "error",
            f"the program {settings.sendmail} does not exist",
            "set sendmail under [plugins.email] to the path of the program",
        )
    if settings.templates and not Path(settings.templates).is_dir():
        yield Finding(
            "error",
            f"the folder {Path(settings.templates).absolute()} does not exist, so its templates are not used",
            "set templates under [plugins.email] to the folder that contains the folder `messages`",
        )
    if settings.delivery == "inline":
        yield Finding(
            "hint",
            "each request waits until its messages are sent (delivery is inline)",
            "set delivery under [plugins.email] to background or manual",
        )


def _smtp(settings: EmailSettings) -> Iterator[Finding]:
    if settings.smtp_tls != "none" or settings.smtp_host in LOOPBACK:
        return
    server = f"{settings.smtp_host}:{settings.smtp_port}"
    if settings.smtp_password is not None:
        yield Finding(
            "error",
            f"the password for {server} is sent without encryption (smtp_tls is none)",
            "set smtp_tls under [plugins.email] to starttls (usually port 587) or tls (port 465)",
        )
    else:
        yield Finding(
            "warning",
            f"messages with their links are sent to {server} without encryption (smtp_tls is none)",
            "set smtp_tls under [plugins.email] to starttls or tls",
        )


def check_outbox(host: Host) -> Iterator[Finding]:
    """Yield problems in the outbox: messages that nobody delivers, and messages that were given up."""
    settings: EmailSettings = host.plugin_settings("email")
    table = outbox_table.c
    if settings.delivery == "manual":
        yield Finding(
            "hint", "the application does not send messages itself (delivery is manual)", START_WORKER
        )
    count = select(func.count()).select_from(outbox_table)
    overdue = count.where(table.status == "pending", table.next_attempt_at < host.now - OVERDUE_AFTER)
    with host.reader.connect() as connection:
        late = connection.execute(overdue).scalar_one()
        dead = connection.execute(count.where(table.status == "dead")).scalar_one()
    if late:
        remedy = START_WORKER
        if settings.delivery != "manual":
            remedy = f"check that the application is running, or {START_WORKER}"
        yield Finding("warning", f"{late} messages have been due for more than 10 minutes", remedy)
    if dead:
        yield Finding(
            "hint",
            f"{dead} messages could not be delivered and were given up",
            "see `authhost email outbox --status dead`",
        )
