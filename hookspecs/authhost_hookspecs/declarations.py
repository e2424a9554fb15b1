"""Values that plugins and the host exchange through the extension points."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from string import Formatter
from types import MappingProxyType
from typing import Literal, get_args
from uuid import UUID

from authhost_hookspecs.errors import ROUTE_PATH

MessageKind = Literal[
    "email_confirmation",
    "password_reset",
    "signup_existing_account",
    "password_reset_unknown_account",
    "invitation",
    "plugin",
]
"""The kinds of messages of the core, and ``plugin`` for messages of plugins (since 1.1).

``invitation`` (since 1.1) has the link by which the owner of an account that an administrator has
created sets its password.

Minor versions may add kinds.
"""
SUBJECT_LENGTH, CONTENT_BYTES = 200, 40_000
"""The maximum length of the subject of a plugin's message, and the maximum size of its text and HTML."""
ChangeKind = Literal[
    "add_email",
    "verify_email",
    "make_primary",
    "remove_email",
    "set_password",
    "change_password",
    "reset_password",
    "remove_password",
    "require_reset",
    "connect",
    "disconnect",
    "remove_factors",
    "end_sessions",
    "deactivate",
    "reactivate",
    "delete",
    "administer",
]
"""The kinds of changes that `before_change` can refuse. Minor versions may add kinds.

With ``administer`` nothing of the account changes: its user is about to see or change the accounts of others.
"""
Factor = Literal["knowledge", "possession", "inherence"]
"""What an authentication proves: something the person knows, has, or is (NIST SP 800-63-4). Since 1.1."""
ActorKind = Literal["user", "operator", "application"]
FindingLevel = Literal["error", "warning", "hint"]
HealthStatus = Literal["ok", "degraded", "failed"]
MetricKind = Literal["gauge", "counter"]
KeyStatus = Literal["active", "upcoming", "former", "missing"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``request.actor``. Since 1.1.

    ``kind`` is ``user`` for a person with an account, whose ``id`` it is; ``operator`` for somebody at the
    command line, and ``application`` for a program. These have a ``name`` of 1 to 150 printable
    characters, such as the name of the operating system's user or of a job. Raises ``ValueError``.
    """

    kind: ActorKind
    id: UUID | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(ActorKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(ActorKind))}")
        if (self.kind == "user") != isinstance(self.id, UUID):
            raise ValueError("an actor of the kind user has an id, which is a UUID, and no other one has")
        if self.kind == "user":
            if self.name is not None:
                raise ValueError("an actor of the kind user has no name: read the account")
        elif not isinstance(self.name, str) or not 0 < len(self.name) <= 150 or not self.name.isprintable():
            raise ValueError("name must have 1 to 150 printable characters")


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address. ``key``, ``link`` and the contents may be secrets.

    The repr does not contain ``key``, ``link``, ``subject``, ``text`` and ``html``, so that a
    log line cannot leak them. ``user_id`` (since 1.1) is the account that the link is
    for, or None where there is no link with a key. Two accounts may claim one address: a newer
    message replaces an older one only if it is for the same account.

    ``subject``, ``text`` and ``html`` (since 1.1) are the contents of a message of the
    kind ``plugin``, which has no ``key``, ``link`` and ``username``. ``subject`` is one
    line of at most 200 characters; ``text`` and ``html`` have at most 40,000 bytes
    together. ``plugin`` (since 1.1) is the plugin that sends it; the host sets it.
    Raises ``TypeError`` or ``ValueError`` for other contents.
    """

    kind: MessageKind
    recipient: str
    username: str | None = None
    key: str | None = field(default=None, repr=False)
    link: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    user_id: UUID | None = None
    subject: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    plugin: str | None = None

    def __post_init__(self) -> None:
        if self.kind != "plugin":
            return
        if not isinstance(self.subject, str) or not isinstance(self.text, str):
            raise TypeError("a message of the kind plugin needs subject and text, as str")
        if not isinstance(self.html, str | None):
            raise TypeError("html must be a str or None")
        if not isinstance(self.expires, datetime | None) or not isinstance(self.user_id, UUID | None):
            raise TypeError("expires must be a datetime or None, and user_id a UUID or None")
        if self.expires is not None and self.expires.utcoffset() is None:
            raise ValueError("expires must have a time zone")
        if not 0 < len(self.subject) <= SUBJECT_LENGTH or not self.subject.isprintable():
            raise ValueError(f"subject must be one line of 1 to {SUBJECT_LENGTH} printable characters")
        contents = self.text + (self.html or "")
        if not self.text.strip() or any(each < " " and each not in "\t\r\n" for each in contents):
            raise ValueError("text must not be empty, and text and html must not have control characters")
        if len(contents.encode()) > CONTENT_BYTES:
            raise ValueError(f"text and html have more than {CONTENT_BYTES} bytes together")
        if self.key is not None or self.link is not None or self.username is not None:
            raise ValueError("a message of the kind plugin has no key, link and username; use text")


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
class LoginStep:
    """What a login still needs, beside the first proof of identity; the result of `login_steps`. Since 1.1.

    ``key`` is a word that names the step within the plugin. ``path`` is the path of the
    plugin's `PageRoute`, and of its `ApiRoute`, on which the person completes it. ``methods``
    are the ways to do so, such as ``totp``; clients of the API see them. A step with
    ``last`` can be completed only after all steps without it. Raises ``ValueError``.
    """

    key: str
    path: str
    methods: tuple[str, ...] = ()
    last: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", self.key):
            raise ValueError("key must be a word of at most 32 lower-case letters, digits and _")
        if not ROUTE_PATH.fullmatch(self.path):
            raise ValueError("path must begin with / and consist of lower-case words, such as /accept")
        if not isinstance(self.methods, tuple) or not all(
            isinstance(each, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,31}", each) for each in self.methods
        ):
            raise ValueError("methods must be a tuple of words of 1 to 32 lower-case letters, digits and _")


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
class Health:
    """The state of one part of a plugin: an outbox, a worker, a remote server.

    ``status`` is ``ok``, ``degraded`` (it works, but somebody should look at it) or
    ``failed`` (it does not work). ``name`` is a word such as ``outbox``. ``detail`` is
    one line for the operator, with numbers and the remedy. It contains no secret, and
    no address: it may be shown in a monitoring system. Line ends and other characters
    that cannot be shown become spaces. Raises ``ValueError`` for an unknown status or
    a wrong name, and ``TypeError`` for a ``detail`` that is not a str.
    """

    name: str
    status: HealthStatus
    detail: str = ""

    def __post_init__(self) -> None:
        if self.status not in get_args(HealthStatus):
            raise ValueError(f"status must be one of {', '.join(get_args(HealthStatus))}")
        if not self.name or not self.name.replace("_", "a").replace("-", "a").isalnum():
            raise ValueError("name must be a word of letters, digits, _ and -")
        if not isinstance(self.detail, str):
            raise TypeError("detail must be a str")
        if not self.detail.isprintable():
            shown = "".join(each if each.isprintable() else " " for each in self.detail)
            object.__setattr__(self, "detail", shown)


@dataclass(frozen=True, slots=True)
class Metric:
    """One number for a monitoring system, in the data model of Prometheus.

    A ``gauge`` can rise and fall. A ``counter`` only rises while the process runs, and
    its ``name`` ends with ``_total``. ``name`` consists of lower-case letters, digits and
    ``_``. A plugin's names start with ``authhost_``, the plugin's name and ``_``, and
    contain the unit, such as ``authhost_doorbell_wait_seconds``. ``help`` is one
    sentence. ``labels`` distinguish several numbers of one name. Do not use values
    without a limit, such as user ids, as labels. Raises ``ValueError`` for wrong names,
    and for a value that is not finite.
    """

    name: str
    value: float
    kind: MetricKind
    help: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if self.kind not in get_args(MetricKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(MetricKind))}")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError("name must consist of lower-case letters, digits and _")
        if self.name.endswith("_total") is not (self.kind == "counter"):
            raise ValueError("the name of a counter must end with _total, and only that of a counter")
        if not isfinite(self.value) or (self.kind == "counter" and self.value < 0):
            raise ValueError("value must be finite, and that of a counter at least 0")
        if not self.help or not self.help.isprintable():
            raise ValueError("help must be one line of printable characters")
        for name, value in self.labels.items():
            if not re.fullmatch(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", name):
                raise ValueError("the name of a label must consist of letters, digits and _")
            if not isinstance(value, str):
                raise ValueError("the value of a label must be a str")
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))


@dataclass(frozen=True, slots=True)
class PluginTables:
    """A plugin's own tables: its SQLAlchemy ``MetaData`` and the package of its migrations.

    ``migrations`` is the dotted name of a package whose folder contains the Alembic
    revision files of the plugin, a linear history. Every table name
    starts with ``authhost_`` and the plugin's name. A revision file states in ``compatible_from`` the
    oldest revision whose programs keep working while it is applied and afterwards: such programs can
    still be started. Without it, none can.

    ``retained`` has the reason for each table whose rows about a user stay after the
    account was deleted, by the name of the table. ``authhost plugins show`` displays it.
    For all other tables, implement `user_deleted` and delete these rows.

    ``sealed`` names each column with values of `Request.seal`, as ``table.column``, and the
    purpose they were sealed for. In the purpose, ``{column}`` stands for a value of the same
    row, as ``str.format`` writes it. ``authhost keys rotate`` encrypts these columns again
    when the operator changes the key. The primary key of such a table is one column.
    Raises ``ValueError`` for a purpose with anything else in braces.

    .. versionchanged:: 1.1 ``retained`` and ``sealed``.
    """

    metadata: object
    migrations: str
    retained: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    sealed: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    def __post_init__(self) -> None:
        for table, reason in self.retained.items():
            if not isinstance(reason, str) or not reason.strip():
                raise ValueError(f"retained[{table!r}] must be the reason, in words")
        object.__setattr__(self, "retained", MappingProxyType(dict(self.retained)))
        for column, purpose in self.sealed.items():
            for _, name, spec, conversion in Formatter().parse(purpose):
                if name is not None and (spec or conversion or not name.isidentifier()):
                    raise ValueError(f"sealed[{column!r}] may have only names of columns in braces")
        object.__setattr__(self, "sealed", MappingProxyType(dict(self.sealed)))
