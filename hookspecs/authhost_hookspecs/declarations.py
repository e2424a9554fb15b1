"""Values that plugins and the host hand each other through the extension points."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

MessageKind = Literal[
    "email_confirmation",
    "password_reset",
    "signup_existing_account",
    "password_reset_unknown_account",
]
"""What the core asks a deliverer to say. More kinds may come in minor versions."""
FindingLevel = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to be told to one address; the only argument that carries secrets.

    ``key`` and ``link`` stay out of the repr, so that a log line cannot leak them.
    ``user_id`` (since 1.1) is the account that the link is for, or None where
    there is no link with a key. Two accounts may claim one address: a newer
    message replaces an older one only if it is for the same account.
    """

    kind: MessageKind
    recipient: str
    username: str | None = None
    key: str | None = field(default=None, repr=False)
    link: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that ``authhost check`` reports about the settings, or about what is stored.

    ``level`` is ``error`` for what is unsafe or cannot work (the command exits
    1), ``warning`` for what is wrong on most production sites, and ``hint`` for
    what depends on the site. ``problem`` says what was found and names the
    setting, file or host; ``do`` says what to change. Neither holds a secret.
    """

    level: FindingLevel
    problem: str
    do: str

    def __post_init__(self) -> None:
        if self.level not in get_args(FindingLevel):
            raise ValueError(f"level must be one of {', '.join(get_args(FindingLevel))}")


@dataclass(frozen=True, slots=True)
class PluginTables:
    """A plugin's own tables: its SQLAlchemy ``MetaData`` and the package of its migrations.

    ``migrations`` is the dotted name of a package whose folder holds Alembic
    revision files, a linear history of the plugin's own. Every table name
    starts with ``authhost_`` and the plugin's name.
    """

    metadata: object
    migrations: str
