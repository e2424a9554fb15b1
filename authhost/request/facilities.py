"""What a plugin can do with a request in any flow: read accounts, send messages, encrypt, start jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from authhost_hookspecs import Account, AccountChanges, Host, Logins, Message

from authhost.errors import InvalidInput
from authhost.records import User
from authhost.request.answer import Answer
from authhost.security.inputs import email as parse_email
from authhost.services import Services
from authhost.settings import Settings
from authhost.store import queries
from authhost.store.unit_of_work import UnitOfWork


class PluginFacilities(UnitOfWork):
    """A unit of work with the facilities of the host. `Request` adds the user and the flow."""

    _id: UUID | None = None
    _sending = False
    """Whether a message of a plugin is being delivered."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.database)
        self.services = services
        self._local: dict[str, dict[str, Any]] = {}

    @property
    def id(self) -> UUID:
        """Identifies this unit of work; the same in every log line and record."""
        if self._id is None:
            self._id = self.new_id()
        return self._id

    @property
    def host(self) -> Host:
        """The host."""
        return self.services.host

    @property
    def now(self) -> datetime:
        """The current time of the host's clock, in UTC."""
        return self.services.clock()

    @property
    def settings(self) -> Settings:
        """The host's settings."""
        return self.services.settings

    def plugin_settings(self, plugin_name: str) -> Any:
        """Return the settings of a plugin; raises `KeyError` if it registers none."""
        return self.services.plugin_settings[plugin_name]

    def new_id(self) -> UUID:
        """Return a new, time-ordered identifier (UUID version 7, RFC 9562)."""
        return self.services.identifiers.new()

    def keyed_hash(self, value: str) -> str:
        """Return the HMAC-SHA256 of ``value`` as hex. Its key is derived from ``secret_key``."""
        return self.services.digests.of_plugin(value)

    def keyed_hashes(self, value: str) -> tuple[str, ...]:
        """Return the `keyed_hash` under each key of ``secret_key``, from the newest key to the oldest."""
        return self.services.digests.of_plugin_by_age(value)

    def build_url(self, name: str, **values: str) -> str:
        """Return the absolute URL of a page, by its name in ``urls``; raises `KeyError` for others."""
        return self.services.urls.build(name, **values)

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys, bound to ``purpose``; see `AuthHost.seal`."""
        return self.services.encryption.seal_text(text, purpose)

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` encrypted for ``purpose``; raises `CannotOpen`."""
        return self.services.encryption.open_text(sealed, purpose)

    def user_by_email(self, email: str) -> User | None:
        """Return the account that has verified ``email``, or None."""
        self.check_open()
        try:
            address = queries.claimed_address(self, parse_email(email).key)
        except InvalidInput:
            return None
        if address is None or not address.verified:
            return None
        account = queries.account_by_id(self, address.user_id)
        return account.user if account else None

    def account(self, user_id: UUID) -> Account | None:
        """Return what is stored of an account now, or None if there is no such account."""
        self.check_open()
        return self.services.account(self, user_id)

    @property
    def accounts(self) -> AccountChanges:
        """Administrative changes of any account, each atomic and with its hooks."""
        return self.services.accounts(self)

    @property
    def logins(self) -> Logins:
        """The pending login of this browser, and logins by plugins."""
        return self.services.logins(self)

    def call_hook(self, name: str, /, **arguments: Any) -> None:
        """Call a hook that a plugin publishes with `register_hookspecs`; ``request`` is passed to it.

        Within a hook, only the plugin that publishes it may call it. Raises
        ``ValueError`` for any other hook, and ``TypeError`` for wrong arguments.
        """
        self.check_open(writing=True)
        hook = self.services.hooks.published.get(name)
        if hook is None:
            raise ValueError(f"no plugin publishes the hook {name!r}; see `authhost hooks`")
        if self.caller is not None and self.caller.name != hook.plugin:
            raise ValueError(
                f"the plugin {self.caller.name} cannot call {name}, which {hook.plugin} publishes"
            )
        expected = hook.arguments[1:]
        if set(arguments) != set(expected):
            raise TypeError(
                f"{name} requires the arguments ({', '.join(expected)}), not ({', '.join(arguments)})"
            )
        with self.nested():
            self.services.hooks.call_published(self, name, arguments)

    def in_background(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function(*args)`` after the commit, on a thread of the host's pool.

        The job is dropped with a rollback, and if the call of the hook fails.
        `AuthHost.in_background` describes what is reported. Raises ``TypeError``.
        """
        background = self.services.background
        job = background.job(function, args, self.caller, self.id)
        self.after_commit(lambda: background.submit(job))

    def send(self, message: Message) -> None:
        """Pass a plugin's own message to `deliver_message`; raises `InvalidEmail` and `DeliveryFailed`."""
        if not isinstance(message, Message):
            raise TypeError(f"send needs a Message, not a {type(message).__name__}")
        if message.kind != "plugin":
            raise ValueError("send is for messages of the kind plugin; the core sends all others")
        self.check_open(writing=True)
        if self._sending:
            raise RuntimeError("a plugin that delivers a message of a plugin cannot send another one")
        recipient = parse_email(message.recipient).address
        plugin = self.caller.name if self.caller is not None else None
        self._sending = True
        try:
            self.services.hooks.deliver_message(self, replace(message, recipient=recipient, plugin=plugin))
        finally:
            self._sending = False

    @cached_property
    def answer(self) -> Answer:
        """Changes to the web response that plugins request. Empty before the commit.

        After the ``with`` block, apply them: ``request.answer.apply_to(response)``.
        """
        return Answer(self, self.settings)

    def local(self, plugin: str) -> dict[str, Any]:
        """Return the dictionary of ``plugin``, which exists until this unit of work ends."""
        self.check_open()
        return self._local.setdefault(plugin, {})
