"""The host, its units of work, and the social login that one processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from authhost_hookspecs.declarations import Actor, Message
from authhost_hookspecs.protocols.accounts import Account, Authentication, Session, User
from authhost_hookspecs.protocols.answer import Answer
from authhost_hookspecs.protocols.changes import AccountChanges
from authhost_hookspecs.protocols.logins import Logins
from authhost_hookspecs.protocols.socialaccounts import SocialAccount, SocialEmail, SocialToken


class Settings(Protocol):
    """The part of the host's settings that plugins may read."""

    @property
    def site_name(self) -> str:
        """The display name of the site."""

    @property
    def base_url(self) -> str:
        """The URL of the application, without a trailing slash."""

    @property
    def signup_open(self) -> bool:
        """Whether people can create accounts. Since 1.1."""

    @property
    def username_at_signup(self) -> Literal["no", "optional", "required"]:
        """Whether the form of a signup asks for a username. Since 1.1."""

    @property
    def email_verification(self) -> Literal["none", "optional", "mandatory"]:
        """Whether a confirmation is sent at a signup, and whether a login requires it. Since 1.1."""


class SocialLogin(Protocol):
    """The social login that is being processed, after the provider has authenticated the person."""

    @property
    def process(self) -> str:
        """The process that was started: ``login``, ``connect`` or ``redirect``."""

    @property
    def account(self) -> SocialAccount:
        """The account at the provider."""

    @property
    def token(self) -> SocialToken | None:
        """The provider's token, or None.

        If a later request completes the signup, by a form or a confirmation, the token
        is None unless the setting ``store_social_tokens`` is on.
        """

    @property
    def email_addresses(self) -> tuple[SocialEmail, ...]:
        """The addresses from the provider, the primary one first."""

    @property
    def user(self) -> User | None:
        """The local account that it belongs to, or None if there is none yet."""

    @property
    def is_existing(self) -> bool:
        """Whether the social account is connected to a local account."""

    def connect(self, request: Request, user: User) -> None:
        """Connect the social account to ``user``. Call this only in `pre_social_login`.

        `social_account_added` is called after all implementations of
        `pre_social_login`. Raises ``ValueError`` if the social account is already
        connected, or if the flow has ended.
        """


class Request(Protocol):
    """One unit of work, and the first argument of every hook."""

    @property
    def id(self) -> UUID:
        """The identifier of this unit of work. Log lines and audit rows contain it."""

    @property
    def user(self) -> User | None:
        """The logged-in user, or None."""

    @property
    def session(self) -> Session | None:
        """The session, or None."""

    @property
    def actor(self) -> Actor | None:
        """Who acts: whom the application has named to ``host.request(actor=…)``, or else the logged-in user.

        It is None for a visitor who is not logged in, and for a job that names nobody. Since 1.1.
        """

    @property
    def authentication(self) -> tuple[Authentication, ...]:
        """The authentications of the session, the login first. Empty if nobody is logged in."""

    @property
    def identifier_digest(self) -> str | None:
        """A keyed hash of the identifier that was typed in a login, signup or reset, else None.

        The same identifier always has the same hash, but the hash does not reveal the
        text: people sometimes type a password into that field.
        """

    @property
    def repeated(self) -> int:
        """The number of refusals that this call of `flow_refused` stands for; 1 in any other hook.

        For one network, flow, code and user, the first 5 refusals of a minute have one
        call each. The next ones are combined: one call for 5, then for 10, 20 and so
        on, and one for the rest after the minute. The sum is exact. Each
        `invalid_credentials` has its own call. Details such as `identifier_digest` are
        those of the latest refusal.
        """

    @property
    def provider(self) -> str | None:
        """The id of the provider in a flow of social login; None in any other flow."""

    @property
    def sociallogin(self) -> SocialLogin | None:
        """The social login that the flow processes, or that the signup it completes came from, else None.

        It is set in every hook of a social login, connect or signup, also if a form
        asked for the address. If the signup has to wait for a confirmation, the flow
        that completes it restores the social login for `account_ready` and
        `user_logged_in`: with the stored token, if the setting ``store_social_tokens`` is
        on, and with the provider's addresses as far as its stored profile has them. It
        is None then if the confirmation proves that somebody else had signed up, since
        the connection is removed. After the flow it stays until the next flow of this
        unit of work. Since contract 1.1.
        """

    @property
    def given(self) -> Mapping[str, str]:
        """The texts that the application gave to ``host.request(given={…})``, such as an invitation code.

        One request can give at most 16, with names of 1 to 64 characters and values of
        at most 512. A social login, and a signup that waits for its form or a
        confirmation, store them encrypted; the flow that continues it restores them. If
        a later request gives a text with the same name, the later one replaces it.

        They come from whoever began the signup or login, and may be secrets. Check them
        like any input, and do not write them to logs. Since contract 1.1.
        """

    @property
    def ip_address(self) -> str | None:
        """The client's IP address in canonical form, or None outside a web request."""

    @property
    def user_agent(self) -> str:
        """The client's user agent, shortened to 512 characters; may be empty."""

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies of the browser, without those of authhost; empty for a client without cookies.

        Set one with `Answer.set_cookie`. The person can change every value: sign it, or store only a
        digest of it. An application with its own routes passes ``host.request(cookies=…)``. Since 1.1.
        """

    @property
    def language(self) -> str | None:
        """The person's language: a tag (RFC 5646) from the application, or an Accept-Language header."""

    @property
    def now(self) -> datetime:
        """The current time of the host's clock."""

    @property
    def settings(self) -> Settings:
        """The host's settings."""

    @property
    def native(self) -> Any:
        """The web framework's own request, or None."""

    @property
    def db(self) -> Any:
        """The SQLAlchemy ``Session`` of this unit of work.

        Writes through it are stored if and only if the flow commits, and are rolled
        back if the plugin's call fails. Prefer `insert` for plain rows: it needs no
        savepoint. Write a row that may violate a constraint in ``with
        request.db.begin_nested():``, and catch ``IntegrityError`` around it.

        Times that are read from the database are naive on SQLite and MariaDB, and
        aware on PostgreSQL: ``authhost_hookspecs.utc(time)`` gives the same result for both.
        """

    def insert(self, table: Any, values: Mapping[str, Any]) -> None:
        """Queue one row for ``table``. All queued rows are written just before the commit.

        The method returns no result. If one row violates a constraint, or has an
        unknown column, none of the rows that the plugin queued in this unit of work
        are stored, and the error is logged. If the plugin is required, the flow fails.
        Use `db` for a row that may violate a constraint.
        """

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` after this unit of work has committed. It is not called after a rollback.

        The person waits for it. Use `in_background` for anything that takes long.
        """

    def in_background(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function(*args)`` after the commit, on a thread of the host's pool.

        It is not called after a rollback, nor if the call of the hook fails. Use it for
        what may take long and may be lost, such as a call of another service: if the
        process dies, waiting jobs are lost. A job that fails, that runs longer than
        ``background_timeout``, that finds the queue full, or that outlives the host is
        logged with plugin, function and line. Pass values, not the request, which has
        ended by then (``TypeError``). A job that writes uses ``host.request()``. Since 1.1.
        """

    def send(self, message: Message) -> None:
        """Pass a message of the kind ``plugin`` to `deliver_message`, to send it like all mails of the site.

        ``request.send(Message("plugin", user.email, subject="…", text="…"))``. It is
        delivered after the commit, and not after a rollback or if the call of the hook
        fails. Raises `FlowError` if the address is not valid (``invalid_email``), or if no
        plugin delivers it (``delivery_failed``). Catch it if your hook has more to do. A
        deliverer that was written for contract 1.0 may not know the kind. Since 1.1.
        """

    @property
    def answer(self) -> Answer:
        """Changes to the web response: cookies, messages, a redirect. Since 1.1."""

    def local(self, plugin: str) -> dict[str, Any]:
        """Return the dictionary of the plugin with this name, which exists until this unit of work ends.

        A hook uses it to pass values to a later hook. Rollbacks and failed calls do not
        change it. Since 1.1.
        """

    @property
    def host(self) -> Host:
        """The host that this unit of work belongs to. Since 1.1."""

    def new_id(self) -> UUID:
        """Return a new, time-ordered identifier (UUID version 7, RFC 9562)."""

    def keyed_hash(self, value: str) -> str:
        """Return a keyed hash of ``value`` as hex. Without the secret key nobody can compute it."""

    def keyed_hashes(self, value: str) -> tuple[str, ...]:
        """Return the `keyed_hash` under each key of ``secret_key``, from the newest key to the oldest.

        A stored hash of ``value`` is one of them as long as its key is in the list: compare
        with all of them, so that it is still found when the operator changes the key. Where a
        value must stay the same while the key is changed, use the last one. Since 1.1.
        """

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys (setting ``encryption_keys``), for a plugin's table.

        The result is ASCII and about 1.4 times as long as the text plus 120
        characters. Two calls never return the same. `open` needs the same
        ``purpose``: start it with the plugin's name and the table, and add the row's
        identifier if values must not be moved between rows. Since 1.1.
        """

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` encrypted, also with a former key of the settings.

        Raises `CannotOpen` if the key was removed, the sealed text was changed, or it
        was sealed for another purpose. Since 1.1.
        """

    def build_url(self, name: str, **values: str) -> str:
        """Return the absolute URL of one of the application's pages, such as ``confirm_email``.

        Raises ``KeyError`` for a name that the setting ``urls`` does not have. For a
        page of a plugin's own, use a setting of the plugin with its path.
        """

    def user_by_email(self, email: str) -> User | None:
        """Return the account that has verified ``email``, or None."""

    def account(self, user_id: UUID) -> Account | None:
        """Return what is stored of an account now, or None if there is no such account. Since 1.1."""

    @property
    def accounts(self) -> AccountChanges:
        """Administrative changes of any account, each atomic and with its hooks. Since 1.1."""

    @property
    def logins(self) -> Logins:
        """The pending login of this browser, and logins by plugins. Since 1.1."""

    def plugin_settings(self, plugin_name: str) -> Any:
        """Return the settings of a plugin, as an instance of its settings class.

        The request and the host return the same object as long as the host is open.
        Raises ``KeyError`` if the plugin registers no settings.
        """

    def call_hook(self, name: str, /, **arguments: Any) -> None:
        """Call a hook that this plugin publishes with `register_hookspecs`.

        ``request`` is passed automatically, all other arguments by name. Every
        implementation is called. A failing one is handled like one of any
        notification. Within a hook, only the plugin that publishes the called hook may
        call it. In a unit of work from ``host.request()`` the host does not know which
        plugin opened it, so any code there may call it.

        Raises ``ValueError`` if no plugin or another plugin publishes the hook, and
        ``TypeError`` for missing or unknown arguments. Since 1.1.
        """


class Host(Protocol):
    """The running host: the argument of the life-cycle hooks, and ``request.host`` in all others."""

    @property
    def settings(self) -> Settings:
        """The host's settings."""

    @property
    def engine(self) -> Any:
        """The SQLAlchemy engine."""

    @property
    def reader(self) -> Any:
        """The engine for reading only. On SQLite it takes no write lock."""

    def request(
        self,
        *,
        ip_address: str | None = None,
        user_agent: str = "",
        session_token: str | None = None,
        pending_token: str | None = None,
        language: str | None = None,
        native: Any = None,
        device_token: str | None = None,
        given: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        actor: Actor | None = None,
    ) -> AbstractContextManager[Request]:
        """Return a unit of work of its own, for commands and jobs: ``with host.request() as request:``.

        It commits at the end of the block, also if a refusal (`FlowError`) leaves the block:
        the refused flow is undone, and what was written before it is stored. Any other error
        rolls everything back. Do not use it in a hook: a flow has a unit of work already.
        Since 1.1.
        """

    def social_token(self, social_account: SocialAccount, *, refresh: bool = False) -> SocialToken:
        """Return the provider's token of an account, which the host refreshes if it has expired.

        For jobs and commands: it may ask the provider, in a unit of work of its own. Do not
        call it in a hook. Tokens are stored only if the setting ``store_social_tokens`` is on.
        ``refresh`` refreshes the token even if it seems valid: use it after the provider's API
        has answered 401. Raises `FlowError`: with the code ``social_account_not_found`` if no
        token is stored, ``provider_not_found`` if the provider is not configured any more,
        ``invalid_id_token`` or ``provider_failed`` if the token cannot be refreshed; and
        `CannotOpen` if the key was removed. After the
        field ``reason`` is ``token_expired``, ``no_refresh_token`` or ``token_refused``, the
        person must log in with the provider again; after any other, try again later. An account
        without a token is a refusal: `flow_refused` is called. Since 1.1.
        """

    def in_background(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function(*args)`` at once on a thread of the host's pool; see `Request.in_background`.

        In a hook, use the method of the request, which waits for the commit. Since 1.1.
        """

    def keyed_hash(self, value: str) -> str:
        """Return a keyed hash of ``value`` as hex. Without the secret key nobody can compute it."""

    def keyed_hashes(self, value: str) -> tuple[str, ...]:
        """Return the `keyed_hash` under each key of ``secret_key``, from the newest key to the oldest.

        A stored hash of ``value`` is one of them as long as its key is in the list: compare
        with all of them, so that it is still found when the operator changes the key. Where a
        value must stay the same while the key is changed, use the last one. Since 1.1.
        """

    def identifier_digest(self, identifier: str) -> str:
        """Return the value of ``request.identifier_digest`` for ``identifier``, an address or a username.

        The host normalises ``identifier`` like a login does. No `keyed_hash` is ever
        equal to the result.
        """

    def identifier_digests(self, identifier: str) -> tuple[str, ...]:
        """Return the `identifier_digest` under each key of ``secret_key``, the active one first.

        A stored digest of ``identifier`` is one of them, if the key that was active
        then is still in the list. New in contract 1.1.
        """

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys (setting ``encryption_keys``), for a plugin's table.

        The result is ASCII and about 1.4 times as long as the text plus 120
        characters. Two calls never return the same. `open` needs the same
        ``purpose``: start it with the plugin's name and the table, and add the row's
        identifier if values must not be moved between rows. Since 1.1.
        """

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` encrypted, also with a former key of the settings.

        Raises `CannotOpen` if the key was removed, the sealed text was changed, or it
        was sealed for another purpose. Since 1.1.
        """

    def build_url(self, name: str, **values: str) -> str:
        """Return the absolute URL of one of the application's pages; see `Request.build_url`. Since 1.1."""

    def account(self, user_id: UUID) -> Account | None:
        """Return what is stored of an account now, or None if there is no such account. Since 1.1."""

    @property
    def now(self) -> datetime:
        """The current time of the host's clock."""

    def new_id(self) -> UUID:
        """Return a new, time-ordered identifier (UUID version 7, RFC 9562)."""

    def blocked_reason(self, plugin: str) -> str | None:
        """Return since when, by whom and why a plugin is blocked at run time, or None. Since 1.1."""

    def plugin_settings(self, plugin_name: str) -> Any:
        """Return the settings of a plugin, as an instance of its settings class.

        The request and the host return the same object as long as the host is open.
        Raises ``KeyError`` if the plugin registers no settings.
        """
