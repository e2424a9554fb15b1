"""Exactly the attributes that a plugin may rely on.

Every value handed to a hook is immutable: a plugin reads it and keeps it as
long as it likes. Times are aware, in UTC. Identifiers are UUIDs of version 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


class User(Protocol):
    """A local account."""

    @property
    def id(self) -> UUID:
        """The account's identifier; it never changes."""

    @property
    def username(self) -> str | None:
        """The name chosen at signup, as it was typed, or None."""

    @property
    def email(self) -> str | None:
        """The primary address, or None when the account has none. It may be unverified."""

    @property
    def email_verified(self) -> bool:
        """Whether the owner of the primary address has confirmed it. Since contract 1.1.

        Decide by the address, or by its domain, only where this is true: anybody
        can sign up with an address that is not theirs.
        """

    @property
    def is_active(self) -> bool:
        """False once the account was deactivated."""

    @property
    def has_usable_password(self) -> bool:
        """Whether the account can log in by password. The hash itself is never handed out."""

    @property
    def date_joined(self) -> datetime:
        """When the account signed up."""

    @property
    def last_login(self) -> datetime | None:
        """When it last logged in, this login included."""


class EmailAddress(Protocol):
    """An e-mail address of an account."""

    @property
    def id(self) -> UUID:
        """The row's identifier; kept in `email_removed`, though the row is gone."""

    @property
    def user_id(self) -> UUID:
        """The account that the address belongs to."""

    @property
    def email(self) -> str:
        """The address, normalised."""

    @property
    def verified(self) -> bool:
        """Whether its owner has confirmed it."""

    @property
    def primary(self) -> bool:
        """Whether it is the account's primary address."""


class EmailConfirmation(Protocol):
    """A confirmation that was handed over for delivery. Its key is not here."""

    @property
    def id(self) -> UUID:
        """The confirmation's identifier."""

    @property
    def email_address(self) -> EmailAddress:
        """The address to be confirmed."""

    @property
    def sent(self) -> datetime:
        """When it was handed over."""

    @property
    def expires(self) -> datetime:
        """From when on its key is refused."""


class Session(Protocol):
    """A logged-in session. Its token is not here: only a digest of it is stored."""

    @property
    def id(self) -> UUID:
        """The session's identifier; it survives a change of token."""

    @property
    def user_id(self) -> UUID:
        """The account that is logged in."""

    @property
    def authenticated_at(self) -> datetime:
        """When the person last proved who they are."""

    @property
    def method(self) -> str:
        """How: ``password``, ``email_confirmation``, ``password_reset`` or ``socialaccount``."""


class Authentication(Protocol):
    """One proof of who the person is."""

    @property
    def method(self) -> str:
        """``password``, ``email_confirmation``, ``password_reset`` or ``socialaccount``."""

    @property
    def time(self) -> datetime:
        """When it was given."""

    @property
    def provider(self) -> str | None:
        """The provider's id where the method is ``socialaccount``."""


class SocialToken(Protocol):
    """A provider's token. It is in no repr; who needs it has to ask for it."""

    @property
    def expires_at(self) -> datetime | None:
        """When the access token ends, or None where the provider does not say."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it allows, as far as the provider says so."""

    def reveal(self) -> str:
        """The access token itself, for calls to the provider; keep it out of logs and tables."""

    def reveal_secret(self) -> str | None:
        """The secret that OAuth 1.0a signs with; None elsewhere."""


class SocialEmail(Protocol):
    """An address that a provider names."""

    @property
    def email(self) -> str:
        """The address, normalised."""

    @property
    def verified(self) -> bool:
        """Whether the provider says that the person owns it, and is trusted to."""

    @property
    def primary(self) -> bool:
        """Whether the provider prefers it."""


class SocialAccount(Protocol):
    """A person at a provider."""

    @property
    def id(self) -> UUID | None:
        """The row's identifier, or None before it is connected."""

    @property
    def user_id(self) -> UUID | None:
        """The local account, or None before there is one."""

    @property
    def provider(self) -> str:
        """The provider's id in the host's settings, such as ``github``."""

    @property
    def uid(self) -> str:
        """The person's identifier at the provider."""

    @property
    def extra_data(self) -> Mapping[str, Any]:
        """The profile as the provider sent it, without tokens."""

    @property
    def date_joined(self) -> datetime:
        """When it was connected."""

    @property
    def last_login(self) -> datetime:
        """When the person last came from the provider."""


class SocialLogin(Protocol):
    """A login that a provider has vouched for and that is being processed."""

    @property
    def process(self) -> str:
        """What was begun: ``login``, ``connect`` or ``redirect``."""

    @property
    def account(self) -> SocialAccount:
        """The account at the provider."""

    @property
    def token(self) -> SocialToken | None:
        """The provider's token, or None."""

    @property
    def email_addresses(self) -> tuple[SocialEmail, ...]:
        """The addresses that the provider names, the preferred one first."""

    @property
    def user(self) -> User | None:
        """The local account that it leads to, or None when there is none yet."""

    @property
    def is_existing(self) -> bool:
        """Whether the account at the provider is connected to a local one."""

    def connect(self, request: Request, user: User) -> None:
        """Connect the account at the provider to ``user``; only from inside `pre_social_login`.

        `social_account_added` follows when all implementations of
        `pre_social_login` are done. Raises ``ValueError`` where it is connected
        already or the flow is over.
        """


class Settings(Protocol):
    """The part of the host's settings that plugins may read."""

    @property
    def site_name(self) -> str:
        """The name of the site, for people."""

    @property
    def base_url(self) -> str:
        """Where the application is reached, without a trailing slash."""


class Request(Protocol):
    """One unit of work, and the first argument of every hook."""

    @property
    def id(self) -> UUID:
        """Identifies this unit of work; the same in every log line and audit row."""

    @property
    def user(self) -> User | None:
        """Who is logged in, or None."""

    @property
    def session(self) -> Session | None:
        """The session, or None."""

    @property
    def authentication(self) -> tuple[Authentication, ...]:
        """How the person came in, and how they proved it again since; empty where nobody is logged in."""

    @property
    def identifier_digest(self) -> str | None:
        """A keyed hash of the name or address that was typed in a login, signup or reset, else None.

        Two that are equal were the same text; which it was cannot be told.
        People type passwords into that box.
        """

    @property
    def repeated(self) -> int:
        """How many refusals this call of `flow_refused` stands for; 1 in any other hook.

        Of one network, flow, code and user the first 5 refusals of a minute come
        one by one, the others together: 5, then 10, 20 and so on, and what is left
        when the minute is over. The sum is exact. Each `invalid_credentials` comes
        by itself. Details such as `identifier_digest` are those of the latest one.
        """

    @property
    def provider(self) -> str | None:
        """The id of the provider that this flow of social login is about; None in any other flow."""

    @property
    def ip_address(self) -> str | None:
        """The client's address in canonical form, or None outside the web."""

    @property
    def user_agent(self) -> str:
        """The client's user agent, shortened to 512 characters; may be empty."""

    @property
    def language(self) -> str | None:
        """What the person reads: a tag (RFC 5646) that the application chose, or an Accept-Language."""

    @property
    def now(self) -> datetime:
        """The host's clock."""

    @property
    def settings(self) -> Settings:
        """The host's settings."""

    @property
    def native(self) -> Any:
        """The web framework's own request, or None."""

    @property
    def db(self) -> Any:
        """The SQLAlchemy ``Session`` of this unit.

        What a plugin writes through it is stored if and only if the flow is,
        and is undone when the plugin's call fails. Prefer `insert` for plain
        rows: it costs no savepoint. A row that may collide is written in ``with
        request.db.begin_nested():``, with ``IntegrityError`` caught around it.

        Times that are read back are naive on SQLite and MariaDB, and aware on
        PostgreSQL: ``time.replace(tzinfo=UTC) if time.tzinfo is None else
        time.astimezone(UTC)`` makes both one.
        """

    def insert(self, table: Any, values: Mapping[str, Any]) -> None:
        """Queue one row for ``table``, written just before the commit, with all others.

        There is no outcome to look at. One row that collides, or that names a
        column that ``table`` lacks, drops all rows that the plugin queued in
        this unit, and is logged; for a required plugin it fails the flow. A row
        that may collide is written through `db`.
        """

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once this unit has been committed; never when it is rolled back."""

    def new_id(self) -> UUID:
        """A new, time-ordered identifier (UUID version 7, RFC 9562)."""

    def keyed_hash(self, value: str) -> str:
        """A hash of ``value`` that nobody can guess at without the secret key, as hex."""

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys (setting ``encryption_keys``), for a plugin's table.

        The result is ASCII and about 1.4 times as long as the text plus 120
        characters; two calls never give the same. ``purpose`` is sealed with
        it, and `open` needs the same: begin it with the plugin's name and
        continue with the table, and the row where rows must not be exchanged.
        Since 1.1.
        """

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` was given. A former key of the settings opens, too.

        Raises `CannotOpen` where the key is not there any more, the text was
        changed, or it was sealed for another purpose. Since 1.1.
        """

    def build_url(self, name: str, **values: str) -> str:
        """The absolute address of one of the application's pages, such as ``confirm_email``."""

    def user_by_email(self, email: str) -> User | None:
        """The account that owns ``email`` and has verified it, or None."""

    def plugin_settings(self, plugin_name: str) -> Any:
        """What the operator set for a plugin, as an instance of its settings class.

        The same object as long as the host lives, whether the request or the
        host is asked. Raises ``KeyError`` where the plugin registers no settings.
        """


class Host(Protocol):
    """The running host, as the life-cycle hooks see it."""

    @property
    def settings(self) -> Settings:
        """The host's settings."""

    @property
    def engine(self) -> Any:
        """The SQLAlchemy engine."""

    @property
    def reader(self) -> Any:
        """The same for reading alone: on SQLite it takes no write lock."""

    def keyed_hash(self, value: str) -> str:
        """A hash of ``value`` that nobody can guess at without the secret key, as hex."""

    def identifier_digest(self, identifier: str) -> str:
        """What ``request.identifier_digest`` is where ``identifier`` was typed: an address or a username.

        The host brings it into the form in which a login looks it up, so it may
        be given as people write it. No `keyed_hash` is equal to it, whatever is typed.
        """

    def identifier_digests(self, identifier: str) -> tuple[str, ...]:
        """Return the `identifier_digest` under each key of ``secret_key``, the active one first.

        A stored digest of ``identifier`` is one of them, as long as the key that
        was active then is still in the list. New in contract 1.1.
        """

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys (setting ``encryption_keys``), for a plugin's table.

        The result is ASCII and about 1.4 times as long as the text plus 120
        characters; two calls never give the same. ``purpose`` is sealed with
        it, and `open` needs the same: begin it with the plugin's name and
        continue with the table, and the row where rows must not be exchanged.
        Since 1.1.
        """

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` was given. A former key of the settings opens, too.

        Raises `CannotOpen` where the key is not there any more, the text was
        changed, or it was sealed for another purpose. Since 1.1.
        """

    def build_url(self, name: str, **values: str) -> str:
        """The absolute address of one of the application's pages, such as ``confirm_email``. Since 1.1."""

    @property
    def now(self) -> datetime:
        """The host's clock."""

    def new_id(self) -> UUID:
        """A new, time-ordered identifier (UUID version 7, RFC 9562)."""

    def plugin_settings(self, plugin_name: str) -> Any:
        """What the operator set for a plugin, as an instance of its settings class.

        The same object as long as the host lives, whether the request or the
        host is asked. Raises ``KeyError`` where the plugin registers no settings.
        """
