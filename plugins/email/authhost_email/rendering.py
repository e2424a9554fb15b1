"""Renders messages from Jinja2 templates.

The template of a message contains its text once. Two layouts turn it into plain
text and HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Any
from uuid import UUID

from babel.dates import format_datetime as format_localized
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)

from authhost_email.addresses import to_wire_format
from authhost_email.details import describe_user_agent, details, remove_link_syntax
from authhost_email.languages import direction, locale, translations
from authhost_email.settings import EmailSettings

TEMPLATES = "authhost_email.templates"
"""The entry point group of packages that provide messages in a folder ``templates``."""
KINDS = (
    "email_confirmation",
    "welcome",
    "password_reset",
    "password_reset_unknown_account",
    "signup_existing_account",
    "invitation",
    "password_set",
    "password_changed",
    "password_was_reset",
    "password_removed",
    "email_added",
    "email_removed",
    "email_changed",
    "account_closed",
    "impersonation",
    "new_device_login",
    "social_account_added",
    "social_account_removed",
    "authenticator_added",
    "authenticator_removed",
    "passkey_added",
    "passkey_removed",
    "recovery_codes_replaced",
    "recovery_code_used",
    "factors_removed",
    "second_factors_recovered",
)
UNAUTHENTICATED_KINDS = (
    "email_confirmation",
    "password_reset",
    "password_reset_unknown_account",
    "signup_existing_account",
)
"""Messages that unauthenticated requests cause: anybody who knows an address can request them."""
PLUGIN_KIND = "plugin"
"""The kind of messages of other plugins. In the outbox it is followed by a colon and the plugin's name."""
HIDDEN_VALUE = "***"
Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """The subject and the two texts of a message."""

    subject: str
    text: str
    html: str | None
    """None only for a message of another plugin without HTML."""


def render(
    settings: EmailSettings, kind: str, recipient: str, language: str, context: Context
) -> RenderedMessage:
    """Return a message in a language. Raises `jinja2.TemplateError` if a template is wrong.

    A name or another address in a message was chosen by a user. Anybody can give a
    stranger's address and choose these texts. So they are included only if the
    recipient is ``verified``, and never in messages of `UNAUTHENTICATED_KINDS`. Of the
    user agent only the names of known browsers and systems are included.
    """
    environment = _environment(settings.templates, language)
    values: dict[str, Any] = {"email": recipient, "link": None, "expires": None, "count": None, **context}
    if kind in UNAUTHENTICATED_KINDS or not context.get("verified"):
        values["name"] = None
        if values.get("address") not in (None, recipient):
            values["address"] = HIDDEN_VALUE
    values["name"] = remove_link_syntax(values.get("name") or "") or None
    values["user_agent"] = describe_user_agent(values.get("user_agent") or "") or None
    module = environment.get_template(f"messages/{kind}.j2").make_module(values)
    when = _format_time(context.get("time"), language)
    gettext = translations(language).ugettext
    parts = {
        **values,
        "language": language,
        "direction": direction(language),
        "subject": " ".join(str(module.subject).split()),  # type: ignore[attr-defined]
        "paragraphs": list(module.paragraphs),  # type: ignore[attr-defined]
        "action": getattr(module, "action", None),
        "notes": list(getattr(module, "notes", ())),
        "notice": getattr(module, "notice", False),
        "advice": getattr(module, "advice", None),
        "details": details(values, when, gettext),
    }
    text = environment.get_template("layout.txt.j2").render(parts)
    html = environment.get_template("layout.html.j2").render(parts)
    return RenderedMessage(parts["subject"], text.strip() + "\n", html)


def is_plugin_kind(kind: str) -> bool:
    """Return whether a kind in the outbox is that of a message of another plugin."""
    return kind.partition(":")[0] == PLUGIN_KIND


def pack_content(subject: str, text: str, html: str | None) -> str:
    """Return the content of a message of another plugin as one text, to encrypt it."""
    return "\0".join((subject, text, html or ""))


def unpack_content(packed: str) -> RenderedMessage:
    """Return the content that `pack_content` packed. It is sent as it is, without the site's layout."""
    subject, text, html = packed.split("\0")
    return RenderedMessage(subject, text.rstrip() + "\n", html or None)


def sender(settings: EmailSettings) -> Address:
    """Return the name and the address of the sender."""
    local, _, domain = to_wire_format(settings.from_address).rpartition("@")
    return Address(_literal(settings.from_name), local, domain)


def compose(
    settings: EmailSettings, rendered: RenderedMessage, identifier: UUID, to: str, date: datetime
) -> EmailMessage:
    """Return the message with its headers (RFC 5322, RFC 3834).

    The library refuses line breaks in headers.
    """
    message = EmailMessage()
    author, address = sender(settings), to_wire_format(to)
    message["Subject"] = _literal(rendered.subject)
    message["From"] = author
    # Mail programs would decode an encoded word to another address, so only the envelope has the address.
    message["To"] = "undisclosed-recipients:;" if "=?" in address else address
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{identifier}@{author.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text, cte="quoted-printable")
    if rendered.html is not None:
        message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return message


def _literal(text: str) -> str:
    """Return a text without encoded words (RFC 2047).

    The library would decode them, and they can contain a line break.
    """
    return text.replace("=?", "= ?")


@cache
def _environment(folder: str, language: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader(list(_loaders(folder))),
        extensions=["jinja2.ext.i18n"],
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html.j2",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.filters["format_time"] = partial(_format_time, language=language)
    environment.filters["moment"] = environment.filters["format_time"]  # old name, removed in version 0.3
    return environment


def _format_time(time: str | None, language: str) -> str:
    return (
        str(format_localized(datetime.fromisoformat(time), "long", locale=locale(language))) if time else ""
    )


def _loaders(folder: str) -> list[BaseLoader]:
    """Return the template loaders: the application's folder, other packages by name, this package."""
    found: list[BaseLoader] = [FileSystemLoader(folder)] if folder else []
    for entry in sorted(entry_points(group=TEMPLATES), key=lambda each: each.name):
        found.append(PackageLoader(entry.value))
    return [*found, PackageLoader("authhost_email")]
