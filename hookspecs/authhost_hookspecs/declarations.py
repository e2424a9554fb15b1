"""Values that plugins and the host exchange through the extension points."""

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
"""The kinds of messages of the core. Minor versions may add kinds."""
ChangeKind = Literal[
    "add_email",
    "verify_email",
    "make_primary",
    "remove_email",
    "set_password",
    "change_password",
    "reset_password",
    "remove_password",
    "connect",
    "disconnect",
    "end_sessions",
    "deactivate",
    "reactivate",
    "delete",
]
"""The kinds of changes that `before_change` can refuse. Minor versions may add kinds."""
FindingLevel = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address; the only argument of a hook that contains secrets.

    The repr does not contain ``key`` and ``link``, so that a log line cannot leak them.
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
class Change:
    """A change of an account that is about to be stored; the argument of `before_change`. Since 1.1.

    ``email`` is the address that is added, verified, made primary or removed,
    normalised. ``provider`` is the provider's id of ``connect`` and ``disconnect``.
    ``administrative`` is true for a change through ``request.accounts``, and false
    if the user makes it in a flow. ``plugin`` is the plugin in whose hook it is made,
    or None if that is not a hook: the user, the application, or a command.
    """

    kind: ChangeKind
    email: str | None = None
    provider: str | None = None
    plugin: str | None = None
    administrative: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with the settings or the stored data that ``authhost check`` reports.

    ``level`` is ``error`` for something unsafe or unusable (the command exits with
    1), ``warning`` for something that is wrong on most production sites, and ``hint``
    for something that depends on the site. ``problem`` describes it and names the
    setting, file or host; ``do`` says what to change. Neither contains a secret.
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

    ``migrations`` is the dotted name of a package whose folder contains the Alembic
    revision files of the plugin, a linear history. Every table name
    starts with ``authhost_`` and the plugin's name.
    """

    metadata: object
    migrations: str
