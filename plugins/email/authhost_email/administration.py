"""The section of an administrator's page of a user: the messages to the addresses, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from authhost_hookspecs import AdminPanel, Request, Row, Section, User, utc
from babel import Locale
from babel.dates import format_datetime
from sqlalchemy import or_, select

from authhost_email.addresses import comparison_key
from authhost_email.languages import locale, negotiate_language, translations
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table, suppression_table

NEWEST = 20
"""How many messages are shown."""


def show(request: Request, user: User) -> Section | None:
    """Show the newest messages to the addresses of a user, with the response of the server to a failure."""
    settings: EmailSettings = request.plugin_settings("email")
    language = negotiate_language(request.language, settings.language)
    _, where = translations(language).gettext, locale(language)
    account = request.account(user.id)
    addresses = account.email_addresses if account is not None else ()
    verified = [each.email for each in addresses if each.verified]
    statuses = _statuses(_)
    rows = [_row(each, statuses, _, where) for each in _messages(request, user, verified)]
    text = [
        _("No message is sent to %(address)s any more: %(reason)s")
        % {"address": each.recipient, "reason": each.reason}
        for each in _suppressed(request, [each.email for each in addresses])
    ]
    if not rows:
        text.append(_("There is no message to this account."))
    return Section(_("E-mails"), tuple(text), tuple(rows))


def _messages(request: Request, user: User, verified: Collection[str]) -> list[Any]:
    """Return the newest messages to the primary and the confirmed addresses, newest first.

    Messages to an address that is not confirmed count only if they are about this account.
    """
    table = outbox_table.c
    addresses = {*verified, *([user.email] if user.email else [])}
    mine = or_(table.user_id == user.id, table.recipient.in_(verified))
    columns = (table.kind, table.recipient, table.status, table.created_at, table.sent_at, table.last_error)
    newest = select(*columns).where(table.recipient.in_(addresses), mine).order_by(table.id.desc())
    return list(request.db.execute(newest.limit(NEWEST)))


def _suppressed(request: Request, addresses: Collection[str]) -> list[Any]:
    table = suppression_table.c
    keys = [comparison_key(each) for each in addresses]
    return list(request.db.execute(select(table.recipient, table.reason).where(table.recipient.in_(keys))))


def _row(message: Any, statuses: dict[str, str], _: Callable[[str], str], where: Locale) -> Row:
    def time(value: datetime) -> str:
        return format_datetime(utc(value), "medium", locale=where) + " UTC"

    details = [message.recipient, _("Created: %(time)s") % {"time": time(message.created_at)}]
    if message.sent_at is not None:
        details.append(_("Sent: %(time)s") % {"time": time(message.sent_at)})
    if message.last_error:
        details.append(message.last_error)
    return Row(message.kind, tuple(details), (statuses.get(message.status, message.status),))


def _statuses(_: Callable[[str], str]) -> dict[str, str]:
    """Return what the statuses of the outbox are called."""
    waits, dropped = _("Waiting"), _("Not sent")
    return {
        "pending": waits,
        "sending": waits,
        "candidate": waits,
        "sent": _("Sent"),
        "dead": _("Failed"),
        "suppressed": _("Address suppressed"),
        "limited": dropped,
        "cancelled": dropped,
        "expired": _("Expired"),
        "superseded": _("Replaced by a newer one"),
    }


PANEL = AdminPanel(show)
