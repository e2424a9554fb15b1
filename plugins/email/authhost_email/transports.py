"""How a message leaves: by SMTP, or into a folder of .eml files."""

from __future__ import annotations

import os
import smtplib
import ssl
from pathlib import Path
from uuid import UUID

from authhost_email.settings import EmailSettings


def send(settings: EmailSettings, identifier: UUID, recipient: str, content: bytes) -> None:
    """Send one message; raises `OSError` (of which `smtplib.SMTPException` is one) where that fails."""
    if settings.transport == "smtp":
        _by_smtp(settings, recipient, content)
    else:
        _into_folder(Path(settings.directory), identifier, content)


def _into_folder(folder: Path, identifier: UUID, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole, part = folder / f"{identifier}.eml", folder / f".{identifier}.part"
    part.write_bytes(content)
    os.replace(part, whole)


def _by_smtp(settings: EmailSettings, recipient: str, content: bytes) -> None:
    tls = ssl.create_default_context()
    server: smtplib.SMTP
    if settings.smtp_tls == "tls":
        server = smtplib.SMTP_SSL(
            settings.smtp_host, settings.smtp_port, timeout=settings.timeout, context=tls
        )
    else:
        server = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=settings.timeout)
    with server:
        if settings.smtp_tls == "starttls":
            server.starttls(context=tls)
        if settings.smtp_username is not None:
            server.login(settings.smtp_username, settings.smtp_password or "")
        server.sendmail(settings.from_address, [recipient], content)
