"""Messages from Jinja2 templates: one file a message, its first line the subject."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("authhost_email"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html.j2",)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(
    kind: str, identifier: UUID, sender: str, recipient: str, date: datetime, **context: str | None
) -> bytes:
    """The message as RFC 5322 bytes, as text and HTML."""
    context = {"link": None, **context}
    source = _environment().get_template(f"{kind}.txt.j2").render(**context)
    subject, _, text = source.partition("\n")
    html = (
        _environment()
        .get_template("layout.html.j2")
        .render(subject=subject, paragraphs=[part for part in text.strip().split("\n\n") if part], **context)
    )
    message = EmailMessage()
    message["Subject"] = subject.strip()
    message["From"] = sender
    message["To"] = recipient
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{identifier}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.strip() + "\n", cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message.as_bytes(policy=SMTP)
