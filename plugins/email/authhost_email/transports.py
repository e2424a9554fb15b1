"""The transports: how a message leaves this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTPUTF8, default
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol
from uuid import UUID

from authhost_email.addresses import to_wire_format
from authhost_email.errors import Permanent as Permanent, UnknownTransport
from authhost_email.redaction import redact
from authhost_email.settings import EmailSettings
from authhost_email.smtp import Smtp

TRANSPORTS = "authhost_email.transports"
"""The entry point group of transports: classes that are called with the settings."""


class Transport(Protocol):
    """Sends messages one after the other. May keep a connection open until it is closed."""

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Send a message.

        Raises `Permanent` if it can never be delivered. After any other error it is tried again.
        """

    def close(self) -> None:
        """Close the connection."""


class Folder:
    """Writes .eml files to a folder, with access for the owner only, because messages contain keys."""

    def __init__(self, settings: EmailSettings) -> None:
        self._folder = Path(settings.directory)

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Write one file. It appears only when it is complete. A repeated message overwrites its file."""
        whole, part = self._folder / f"{identifier}.eml", self._folder / f".{identifier}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(part, "wb", opener=partial(os.open, mode=0o600)) as file:
                file.write(message.as_bytes(policy=SMTPUTF8))
            os.replace(part, whole)
        except OSError as error:
            raise OSError(f"cannot write to the folder {self._folder.absolute()}: {error.strerror}") from None

    def close(self) -> None:
        """Do nothing."""


class Console:
    """Prints messages to standard error, for development."""

    def __init__(self, settings: EmailSettings) -> None:
        pass

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Print recipient, subject and plain text."""
        body = message.get_body(("plain",))
        content = body.get_content() if body is not None else ""
        print(f"To: {recipient}\nSubject: {message['Subject']}\n\n{content}", file=sys.stderr)

    def close(self) -> None:
        """Do nothing."""


class Sendmail:
    """Calls the sendmail program of the local mail system."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Pass the message on standard input. The recipient is an argument, no shell is involved."""
        sender = to_wire_format(self._settings.from_address)
        command = [self._settings.sendmail, "-i", "-f", sender, "--", to_wire_format(recipient)]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                input=message.as_bytes(policy=default.clone(utf8=not recipient.isascii())),
                capture_output=True,
                timeout=self._settings.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConnectionError(
                f"{self._settings.sendmail} did not end within {self._settings.timeout:g} seconds"
            ) from None
        except OSError as error:
            raise OSError(f"cannot run {self._settings.sendmail}: {error.strerror}") from None
        if done.returncode:
            kind = Permanent if done.returncode in PERMANENT_EXITS else ConnectionError
            failure = f"{self._settings.sendmail}: exit {done.returncode} {redact(done.stderr)}"
            raise kind(failure.strip())

    def close(self) -> None:
        """Do nothing."""


PERMANENT_EXITS = (64, 65, 67, 68)
"""Exit codes of sysexits.h: EX_USAGE, EX_DATAERR, EX_NOUSER and EX_NOHOST."""
BUILT_IN: dict[str, Callable[[EmailSettings], Transport]] = {
    "smtp": Smtp,
    "file": Folder,
    "console": Console,
    "sendmail": Sendmail,
}


def describe_transport(settings: EmailSettings) -> str:
    """Return the transport and its destination, for people."""
    match settings.transport:
        case "smtp":
            return f"smtp to {settings.smtp_host}:{settings.smtp_port}"
        case "file":
            return f"file to the folder {Path(settings.directory).absolute()}"
        case "sendmail":
            return f"sendmail, {settings.sendmail}"
    return settings.transport


def is_known(name: str) -> bool:
    """Return whether a transport of this name exists, without loading it."""
    return name in BUILT_IN or bool(list(entry_points(group=TRANSPORTS, name=name)))


def create_transport(settings: EmailSettings) -> Transport:
    """Return the transport of the settings. Raises `UnknownTransport`."""
    built_in = BUILT_IN.get(settings.transport)
    if built_in is not None:
        return built_in(settings)
    for entry in entry_points(group=TRANSPORTS, name=settings.transport):
        try:
            transport: Transport = entry.load()(settings)
        except Exception as error:  # code of another package may raise any error
            raise UnknownTransport(
                f"the transport {settings.transport!r} ({entry.value}) cannot be created: "
                f"{type(error).__name__}: {redact(str(error))}"
            ) from error
        return transport
    raise UnknownTransport(
        f"there is no transport {settings.transport!r}; use one of {', '.join(BUILT_IN)}, "
        f"or install a package with an entry point in the group {TRANSPORTS}"
    )
