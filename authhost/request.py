"""The request object that plugins and applications use: a unit of work, and who is acting in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from authhost_hookspecs import Host

from authhost.errors import AuthError, InvalidInput
from authhost.records import Authentication, Session, User
from authhost.security.inputs import email as parse_email
from authhost.security.inputs import ip_address as parse_ip_address
from authhost.security.keys import digest
from authhost.services import Services
from authhost.settings import Settings
from authhost.store import queries, statements
from authhost.store.unit_of_work import UnitOfWork

USER_AGENT_LENGTH = 512
LANGUAGE_LENGTH = 512
TOKEN_LENGTH = 128


class BrowserState(NamedTuple):
    """Who is logged in in the browser of a unit of work, and the login that waits there."""

    loaded: bool
    session: Session | None
    user: User | None
    password: str | None
    session_token: str | None
    pending_token: str | None


class Refusal(NamedTuple):
    """A refusal that plugins were told of; it is stored although the flow is not."""

    flow: str
    error: AuthError
    user: User | None
    repeated: int


class Request(UnitOfWork):
    """One unit of work, and the first argument of every hook (`authhost_hookspecs.Request`)."""

    repeated = 1
    """How many refusals this call of `flow_refused` stands for."""
    identifier_digest: str | None = None
    provider: str | None = None
    _id: UUID | None = None
    _loaded = False
    _session: Session | None = None
    _user: User | None = None
    _password: str | None = None
    """The stored hash of the user's password, as it was when the session was loaded."""

    def __init__(
        self,
        services: Services,
        *,
        ip_address: str | None = None,
        user_agent: str = "",
        session_token: str | None = None,
        pending_token: str | None = None,
        language: str | None = None,
        native: Any = None,
        device_token: str | None = None,
    ) -> None:
        super().__init__(services.database)
        self.services = services
        self.ip_address = parse_ip_address(ip_address)
        self.user_agent = _user_agent(user_agent)
        self.language = _language(language)
        self.native = native
        self.pending_token = pending_token
        self.device_token = device_token
        """The token that the browser sent, or that a flow of this unit gave it: keep it in its cookie."""
        self._token = session_token
        self.counted: list[Callable[[], None]] = []
        """Each undoes what a rate limit has counted; called where the flow is undone."""
        self.tries: list[Callable[[], None]] = []
        """The same for what the present flow tries; called where it is refused as busy."""
        self._refusals: list[Refusal] = []

    # What plugins and applications read.

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
        """The host's clock, in UTC."""
        return self.services.clock()

    @property
    def settings(self) -> Settings:
        """The host's settings."""
        return self.services.settings

    @property
    def session_token(self) -> str | None:
        """The token that the client sent or that a flow of this unit made."""
        return self._token

    @property
    def session(self) -> Session | None:
        """The session, or None."""
        self._load()
        return self._session

    @property
    def user(self) -> User | None:
        """Who is logged in, or None."""
        self._load()
        return self._user

    @property
    def authentication(self) -> tuple[Authentication, ...]:
        """How the person came in, and how they proved it again since; empty where nobody is logged in."""
        session = self.session
        if session is None:
            return ()
        first = Authentication(session.method, session.created_at, session.provider)
        if session.authenticated_at == session.created_at:
            return (first,)
        return (first, Authentication("password", session.authenticated_at))

    def user_by_email(self, email: str) -> User | None:
        """The account that owns ``email`` and has verified it, or None."""
        self.check_open()
        try:
            address = queries.claimed_address(self, parse_email(email).key)
        except InvalidInput:
            return None
        if address is None or not address.verified:
            return None
        account = queries.account_by_id(self, address.user_id)
        return account.user if account else None

    def plugin_settings(self, plugin_name: str) -> Any:
        """What the operator set for a plugin; raises `KeyError` where it registers no settings."""
        return self.services.plugin_settings[plugin_name]

    def new_id(self) -> UUID:
        """A new, time-ordered identifier (UUID version 7, RFC 9562)."""
        return self.services.identifiers.new()

    def keyed_hash(self, value: str) -> str:
        """A hash of ``value`` that nobody can guess at without ``secret_key``, as hex."""
        return self.services.digests.of_plugin(value)

    def build_url(self, name: str, **values: str) -> str:
        """The absolute address of page ``name`` (setting ``urls``); raises `KeyError` for an unknown one."""
        return self.services.urls.build(name, **values)

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys, bound to ``purpose``; see `AuthHost.seal`."""
        return self.services.encryption.seal_text(text, purpose)

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` was given for ``purpose``; raises `CannotOpen`."""
        return self.services.encryption.open_text(sealed, purpose)

    # What the flows use.

    def require_clean(self, flow: str) -> None:
        """Raise ``RuntimeError`` where this unit has written something.

        For a flow that asks a provider: no transaction stays open meanwhile.
        """
        if not self.clean:
            raise RuntimeError(f"{flow} asks a provider, so it needs a unit of work of its own")

    def set_identifier(self, key: str) -> None:
        """Tell the plugins which name or address was typed, as a keyed hash of its key."""
        self.identifier_digest = self.services.digests.of_key(key)

    def known_device(self, user: User | None) -> str | None:
        """The identifier of this browser if it has logged in to ``user``'s account before, else None."""
        return self.services.devices.find(self.device_token, user.id, self.now) if user else None

    def remember_device(self, user: User) -> str:
        """Give this browser a token by which `known_device` knows it from now on; return it."""
        self.device_token = self.services.devices.token(user.id, self.now, self.device_token)
        return self.device_token

    def log_in(self, session: Session, user: User, token: str, password: str | None) -> None:
        """From here on this unit is ``user``'s. ``password`` is the stored hash."""
        self._loaded, self._session, self._user, self._token = True, session, user, token
        self._password = password

    def log_out(self) -> None:
        """From here on nobody is logged in."""
        self._loaded, self._session, self._user, self._token = True, None, None, None
        self._password = None

    def refresh(self, user: User) -> None:
        """What is known of ``user`` has changed."""
        if self.user is not None and self.user.id == user.id:
            self._user = user

    @property
    def stored_password(self) -> str | None:
        """The hash of the user's password, as it was when the session was loaded, or None.

        It may have changed since, so a flow stores under the condition that it has not.
        """
        self._load()
        return self._password

    def set_stored_password(self, user: User, password: str) -> None:
        """The hash of ``user``'s password has changed."""
        if self._user is not None and self._user.id == user.id:
            self._password = password

    def browser_state(self) -> BrowserState:
        """Who is logged in, and what waits, for `restore_browser`."""
        return BrowserState(
            self._loaded, self._session, self._user, self._password, self._token, self.pending_token
        )

    def restore_browser(self, state: BrowserState) -> None:
        """Undo what `log_in` and `log_out` did since `browser_state` was called."""
        self._loaded, self._session, self._user, self._password, self._token, self.pending_token = state

    def refused(self, flow: str, error: AuthError, user: User | None, repeated: int = 1) -> None:
        """Tell the plugins of a refusal, or of so many at once. It is stored although the flow is not."""
        refusal = Refusal(flow, error, user, repeated)
        self._refusals.append(refusal)
        self._tell(refusal)

    def take_back_tries(self) -> None:
        """Let what the present flow tried not count."""
        for give_back in self.tries:
            give_back()
        self.tries.clear()

    def uncount(self, since: int) -> None:
        """Take back what rate limits have counted since there were so many."""
        counted = self.counted[since:]
        del self.counted[since:]
        for give_back in counted:
            give_back()

    def _tell(self, refusal: Refusal) -> None:
        self.repeated = refusal.repeated
        try:
            self.services.hooks.flow_refused(self, refusal.flow, refusal.error, refusal.user)
        finally:
            self.repeated = 1

    def _load(self) -> None:
        self.check_open()
        if self._loaded:
            return
        self._loaded = True
        token = self._token
        if not token or not isinstance(token, str) or len(token) > TOKEN_LENGTH:
            return
        found = queries.session_by_digest(self, digest(token))
        if found is None:
            return
        session, account = found
        now, settings = self.now, self.settings
        idle = now - session.last_seen_at
        too_long = idle > timedelta(seconds=settings.session_idle)
        if session.expires_at <= now or too_long or not account.user.is_active:
            return
        self._session, self._user, self._password = session, account.user, account.password
        if idle > timedelta(seconds=settings.session_touch):
            self._touch(session, now)

    def _touch(self, session: Session, now: datetime) -> None:
        """Store that the session is used; alone where the unit has no transaction yet."""
        values = {"of_id": session.id, "now": now}
        if not self.clean:
            self.send(statements.TOUCH_SESSION, values)
            return
        self.database.write(statements.TOUCH_SESSION, values)

    # What is undone and stored with the transaction.

    def call_state(self) -> tuple[BrowserState, str | None, str | None]:
        return self.browser_state(), self.identifier_digest, self.provider

    def restore_call_state(self, state: tuple[BrowserState, str | None, str | None]) -> None:
        browser, self.identifier_digest, self.provider = state
        self.restore_browser(browser)

    def on_undone(self) -> None:
        self.uncount(0)

    def on_stored(self) -> None:
        self._refusals.clear()
        self.counted.clear()

    @property
    def outlives_failure(self) -> bool:
        return bool(self._refusals)

    def before_storing(self) -> None:
        """Tell the plugins again of the refusals of earlier flows of this unit: their records were undone."""
        refusals, self._refusals = self._refusals, []
        for refusal in refusals:
            self._tell(refusal)


def _language(text: str | None) -> str | None:
    if text is not None and not isinstance(text, str):
        raise InvalidInput("The language must be text.", field="language")
    return text[:LANGUAGE_LENGTH] if text else None


def _user_agent(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidInput("The user agent must be text.", field="user_agent")
    text = text[:USER_AGENT_LENGTH]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
