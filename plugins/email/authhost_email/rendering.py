"""Messages from Jinja2 templates: each says its own part once, one layout makes text and HTML of it."""

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

from babel.dates import format_datetime as in_words
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)

from authhost_email.addresses import on_the_wire
from authhost_email.details import described, details, unlinked
from authhost_email.languages import direction, locale, translations
from authhost_email.settings import EmailSettings

TEMPLATES = "authhost_email.templates"
"""The group of entry points by which a package with a ``templates`` folder brings messages."""
KINDS = (
    "email_confirmation",
    "welcome",
    "password_reset",
    "password_reset_unknown_account",
    "signup_existing_account",
    "password_set",
    "password_changed",
    "password_was_reset",
    "email_added",
    "email_removed",
    "email_changed",
    "account_closed",
    "new_device_login",
    "social_account_added",
    "social_account_removed",
)
ON_REQUEST = (
    "email_confirmation",
    "password_reset",
    "password_reset_unknown_account",
    "signup_existing_account",
)
"""Those that anybody may cause, who knows an address."""
HIDDEN = "***"
Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as people read it."""

    subject: str
    text: str
    html: str


def render(settings: EmailSettings, kind: str, recipient: str, language: str, context: Context) -> Rendered:
    """The message in a language. Raises `jinja2.TemplateError` where a template is wrong.

    What somebody has chosen (a name, another address) is said only to a
    recipient that is ``verified``, and never in a message `ON_REQUEST`: anybody
    may give a stranger's address, and write in these fields what they like.
    Of the user agent only the names of known browsers and systems are said.
    """
    environment = _environment(settings.templates, language)
    values: dict[str, Any] = {"email": recipient, "link": None, "expires": None, **context}
    if kind in ON_REQUEST or not context.get("verified"):
        values["name"] = None
        if values.get("address") not in (None, recipient):
            values["address"] = HIDDEN
    values["name"] = unlinked(values.get("name") or "") or None
    values["user_agent"] = described(values.get("user_agent") or "") or None
    said = environment.get_template(f"messages/{kind}.j2").make_module(values)
    when = _moment(context.get("time"), language)
    gettext = translations(language).ugettext
    parts = {
        **values,
        "language": language,
        "direction": direction(language),
        "subject": " ".join(str(said.subject).split()),  # type: ignore[attr-defined]
        "paragraphs": list(said.paragraphs),  # type: ignore[attr-defined]
        "action": getattr(said, "action", None),
        "notes": list(getattr(said, "notes", ())),
        "notice": getattr(said, "notice", False),
        "advice": getattr(said, "advice", None),
        "details": details(values, when, gettext),
    }
    text = environment.get_template("layout.txt.j2").render(parts)
    html = environment.get_template("layout.html.j2").render(parts)
    return Rendered(parts["subject"], text.strip() + "\n", html)


def compose(
    settings: EmailSettings, rendered: Rendered, identifier: UUID, to: str, date: datetime
) -> EmailMessage:
    """The message with its headers (RFC 5322, RFC 3834); the library refuses a line break in any."""
    message = EmailMessage()
    local, _, domain = on_the_wire(settings.from_address).rpartition("@")
    address = on_the_wire(to)
    message["Subject"] = _literal(rendered.subject)
    message["From"] = Address(_literal(settings.from_name), local, domain)
    # What looks like an encoded word is left to the envelope: decoded, it would be another address.
    message["To"] = "undisclosed-recipients:;" if "=?" in address else address
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{identifier}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return message


def _literal(text: str) -> str:
    """The library decodes encoded words (RFC 2047) in what it is given; a line break may hide in one."""
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
    environment.filters["moment"] = partial(_moment, language=language)
    return environment


def _moment(time: str | None, language: str) -> str:
    return str(in_words(datetime.fromisoformat(time), "long", locale=locale(language))) if time else ""


def _loaders(folder: str) -> list[BaseLoader]:
    """The application's messages first, then those of other packages by name, then ours."""
    found: list[BaseLoader] = [FileSystemLoader(folder)] if folder else []
    for entry in sorted(entry_points(group=TEMPLATES), key=lambda each: each.name):
        found.append(PackageLoader(entry.value))
    return [*found, PackageLoader("authhost_email")]
