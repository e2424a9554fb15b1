"""How a message leaves."""

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

from authhost_email.addresses import on_the_wire
from authhost_email.errors import NoSuchTransport
from authhost_email.errors import Permanent as Permanent
from authhost_email.settings import EmailSettings
from authhost_email.smtp import Smtp
from authhost_email.words import shown

TRANSPORTS = "authhost_email.transports"
"""The group of entry points by which a package brings a transport: a class, called with the settings."""


class Transport(Protocol):
    """Sends messages one after the other; may keep a connection until it is closed."""

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Hand one over. Raises `Permanent`, or `OSError` or any other where it may be tried again."""

    def close(self) -> None:
        """No more for now."""


class Folder:
    """A folder of .eml files, each of which appears whole, for its owner alone: they hold keys."""

    def __init__(self, settings: EmailSettings) -> None:
        self._folder = Path(settings.directory)

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """One file a message; a message that is sent again takes its own place."""
        whole, part = self._folder / f"{identifier}.eml", self._folder / f".{identifier}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(part, "wb", opener=partial(os.open, mode=0o600)) as file:
                file.write(message.as_bytes(policy=SMTPUTF8))
            os.replace(part, whole)
        except OSError as error:
            raise OSError(f"cannot write to the folder {self._folder.absolute()}: {error.strerror}") from None

    def close(self) -> None:
        """There is nothing to close."""


class Console:
    """Standard error, for development."""

    def __init__(self, settings: EmailSettings) -> None:
        pass

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """The text part, with the headers that matter."""
        body = message.get_body(("plain",))
        content = body.get_content() if body is not None else ""
        print(f"To: {recipient}\nSubject: {message['Subject']}\n\n{content}", file=sys.stderr)

    def close(self) -> None:
        """There is nothing to close."""


class Sendmail:
    """The local mail system's program."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """By its standard input; the recipient is an argument of its own, never part of a command line."""
        sender = on_the_wire(self._settings.from_address)
        command = [self._settings.sendmail, "-i", "-f", sender, "--", on_the_wire(recipient)]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                input=message.as_bytes(policy=default.clone(utf8=not recipient.isascii())),
                capture_output=True,
                timeout=self._settings.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"{self._settings.sendmail} took too long") from None
        except OSError as error:
            raise OSError(f"cannot run {self._settings.sendmail}: {error.strerror}") from None
        if done.returncode:
            kind = Permanent if done.returncode in PERMANENT_EXITS else ConnectionError
            said = f"{self._settings.sendmail}: exit {done.returncode} {shown(done.stderr)}"
            raise kind(said.strip())

    def close(self) -> None:
        """There is nothing to close."""


PERMANENT_EXITS = (64, 65, 67, 68)
"""sysexits.h: usage, data, no such user, no such host."""
BUILT_IN: dict[str, Callable[[EmailSettings], Transport]] = {
    "smtp": Smtp,
    "file": Folder,
    "console": Console,
    "sendmail": Sendmail,
}


def where(settings: EmailSettings) -> str:
    """The transport and where it leads, for people."""
    match settings.transport:
        case "smtp":
            return f"smtp to {settings.smtp_host}:{settings.smtp_port}"
        case "file":
            return f"file to the folder {Path(settings.directory).absolute()}"
        case "sendmail":
            return f"sendmail, {settings.sendmail}"
    return settings.transport


def is_known(name: str) -> bool:
    """Whether there is a transport of that name. Loads none."""
    return name in BUILT_IN or bool(list(entry_points(group=TRANSPORTS, name=name)))


def transport_of(settings: EmailSettings) -> Transport:
    """The transport that is set; raises `NoSuchTransport`."""
    built_in = BUILT_IN.get(settings.transport)
    if built_in is not None:
        return built_in(settings)
    for entry in entry_points(group=TRANSPORTS, name=settings.transport):
        try:
            brought: Transport = entry.load()(settings)
        except Exception as error:  # a package of others may do anything
            raise NoSuchTransport(
                f"transport {settings.transport!r} ({entry.value}) cannot be made: "
                f"{type(error).__name__}: {shown(str(error))}"
            ) from error
        return brought
    raise NoSuchTransport(
        f"there is no transport {settings.transport!r}; there are {', '.join(BUILT_IN)}, "
        f"and those of entry points in group {TRANSPORTS}"
    )
