"""What ``authhost check`` says about mail."""

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
LATE = timedelta(minutes=10)


def check_settings(host: Host) -> Iterator[Finding]:
    """Yield what keeps mails from arriving, or lets others read them, as far as the settings tell."""
    settings: EmailSettings = host.plugin_settings("email")
    if not is_known(settings.transport):
        yield Finding(
            "error",
            f"there is no transport {settings.transport!r}, so no mail is sent",
            f"set transport of [plugins.email] to {', '.join(BUILT_IN)}, or install the package "
            f"that brings it (entry points in group {TRANSPORTS})",
        )
    elif settings.transport == "file":
        folder = Path(settings.directory).absolute()
        yield Finding(
            "warning",
            f"mails are written to the folder {folder}, and nobody gets them",
            "set transport of [plugins.email] to smtp or sendmail",
        )
    elif settings.transport == "console":
        yield Finding(
            "warning",
            "mails with their links are written to standard error, and nobody gets them",
            "set transport of [plugins.email] to smtp or sendmail",
        )
    if settings.from_address.rpartition("@")[2] in ("localhost", "localhost.localdomain"):
        yield Finding(
            "warning",
            f"mails come from {settings.from_address}, which other servers refuse",
            "set from_address of [plugins.email] to an address of the site's domain",
        )
    if settings.transport == "smtp":
        yield from _smtp(settings)
    if settings.transport == "sendmail" and shutil.which(settings.sendmail) is None:
        yield Finding(
            "error", f"there is no program {settings.sendmail}", "set sendmail of [plugins.email] to its path"
        )
    if settings.templates and not Path(settings.templates).is_dir():
        yield Finding(
            "error",
            f"there is no folder {Path(settings.templates).absolute()}, so your own messages are not used",
            "set templates of [plugins.email] to the folder that holds the folder messages",
        )
    if settings.delivery == "inline":
        yield Finding(
            "hint",
            "each request waits until its mails are sent (delivery is inline)",
            "set delivery of [plugins.email] to background or manual",
        )


def _smtp(settings: EmailSettings) -> Iterator[Finding]:
    if settings.smtp_tls != "none" or settings.smtp_host in LOOPBACK:
        return
    server = f"{settings.smtp_host}:{settings.smtp_port}"
    if settings.smtp_password is not None:
        yield Finding(
            "error",
            f"the password for {server} is sent without encryption (smtp_tls is none)",
            "set smtp_tls of [plugins.email] to starttls (mostly port 587) or tls (465)",
        )
    else:
        yield Finding(
            "warning",
            f"mails with their links go to {server} without encryption (smtp_tls is none)",
            "set smtp_tls of [plugins.email] to starttls or tls",
        )


def check_outbox(host: Host) -> Iterator[Finding]:
    """Yield what the outbox tells: that nobody delivers, and what was given up."""
    settings: EmailSettings = host.plugin_settings("email")
    table = outbox_table.c
    start = "start `authhost email worker` as a service, or run `authhost email deliver` each minute"
    if settings.delivery == "manual":
        yield Finding("hint", "the application sends no mail itself (delivery is manual)", start)
    number = select(func.count()).select_from(outbox_table)
    overdue = number.where(table.status == "pending", table.next_attempt_at < host.now - LATE)
    with host.reader.connect() as connection:
        late = connection.execute(overdue).scalar_one()
        dead = connection.execute(number.where(table.status == "dead")).scalar_one()
    if late:
        running = start if settings.delivery == "manual" else "see that the application runs; " + start
        yield Finding("warning", f"mails that nobody delivers for more than 10 minutes: {late}", running)
    if dead:
        yield Finding(
            "hint", f"mails that were given up: {dead}", "see `authhost email outbox --status dead`"
        )
