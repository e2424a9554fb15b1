"""The request object of plugins and applications: a unit of work, and the user who acts in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from authhost_hookspecs import Actor

from authhost.errors import AuthError, InvalidInput
from authhost.records import (
    NOTHING_GIVEN,
    Authentication,
    Given,
    LoginResult,
    PendingLogin,
    PendingStep,
    Session,
    User,
)
from authhost.request.facilities import PluginFacilities
from authhost.request.state import BrowserState, CallState, FlowState, Refusal
from authhost.security.inputs import (
    cookies as parse_cookies,
    given as parse_given,
    ip_address as parse_ip_address,
)
from authhost.security.keys import digest
from authhost.services import Services
from authhost.store import queries, statements

if TYPE_CHECKING:
    from authhost_hookspecs import SocialLogin

USER_AGENT_LENGTH = 512
LANGUAGE_LENGTH = 512
TOKEN_LENGTH = 128


class Request(PluginFacilities):
    """One unit of work, and the first argument of every hook (`authhost_hookspecs.Request`)."""

    repeated = 1
    """How many refusals this call of `flow_refused` reports."""
    identifier_digest: str | None = None
    provider: str | None = None
    known_pending: tuple[str | None, tuple[PendingLogin, tuple[PendingStep, ...]]] | None = None
    """The pending login that was read, with its token and steps: it does not vanish while plugins use it."""
    running_login: PendingLogin | None = None
    """The login whose hooks are called."""
    plugin_login: LoginResult | None = None
    """The result of the login or reauthentication by ``logins``, for the web layer."""
    given: Given
    """What the application gave this unit, and what was given when the signup or social login began."""
    impersonation_undecided = False
    """Whether a plugin could not say if an impersonation goes on: nobody is logged in, but it is not over."""
    _sociallogin: SocialLogin | None = None
    _find_sociallogin: Callable[[], SocialLogin | None] | None = None
    _loaded = False
    _session: Session | None = None
    _user: User | None = None
    _password: str | None = None
    """The hash of the user's password, as stored when the session was loaded."""

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
        given: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        actor: Actor | None = None,
    ) -> None:
        super().__init__(services)
        self.ip_address = parse_ip_address(ip_address)
        self.user_agent = _user_agent(user_agent)
        self.language = _language(language)
        self.native = native
        self.given = self._own_given = parse_given(given)
        self._actor = actor
        self.pending_token = pending_token
        self.cookies: Mapping[str, str] = parse_cookies(cookies, session_token, pending_token, device_token)
        """The cookies of the browser that are not authhost's."""
        self.device_token = device_token
        """The token that the browser sent, or the new one of a flow in this unit, for its cookie."""
        self._token = session_token
        self._guards: Mapping[UUID, tuple[str, ...]] = {}
        """The guards of accounts, as this unit has changed them."""
        self.counted: list[Callable[[], None]] = []
        """Functions that undo what rate limits have counted. Called when the flow is rolled back."""
        self.tries: list[Callable[[], None]] = []
        """The same for the attempts of the running flow. Called when it is refused as busy."""
        self._refusals: list[Refusal] = []
        self._stored_browser = self.browser_state()
        """The state at the last commit, or at the beginning. It is restored with a rollback."""

    # For plugins and applications.

    @property
    def session_token(self) -> str | None:
        """The token that the client sent, or the new one of a flow in this unit."""
        return self._token

    @property
    def session(self) -> Session | None:
        """The session of the logged-in user, or None."""
        self._load()
        return self._session

    @property
    def user(self) -> User | None:
        """The logged-in user, or None."""
        self._load()
        return self._user

    @property
    def actor(self) -> Actor | None:
        """Who acts: whom the application has named, or else the logged-in user, or None.

        In an impersonation it is the administrator, whomever the application names.
        """
        session = self.session
        if session is not None and session.actor is not None:
            return session.actor
        if self._actor is not None:
            return self._actor
        user = self.user
        return Actor("user", user.id) if user is not None else None

    def set_actor(self, actor: Actor) -> None:
        """Set who acts from now on, whether or not somebody is logged in."""
        self._actor = actor

    @property
    def other_actor(self) -> Actor | None:
        """Who acts instead of the logged-in user, as far as it is known without a query, or None."""
        session = self._session
        return session.actor if session is not None and session.actor is not None else self._actor

    @property
    def authentication(self) -> tuple[Authentication, ...]:
        """How the user logged in and reauthenticated; empty if nobody is logged in."""
        session = self.session
        if session is None:
            return ()
        if session.authentications:
            return session.authentications
        first = Authentication(session.method, session.created_at, session.provider)
        if session.authenticated_at == session.created_at:
            return (first,)
        return (first, Authentication("password", session.authenticated_at))

    @property
    def sociallogin(self) -> SocialLogin | None:
        """The social login that the flow processes, or that the signup it completes came from, or None."""
        if self._find_sociallogin is not None:
            self.check_open()
            find, self._find_sociallogin = self._find_sociallogin, None
            self._sociallogin = find()
        return self._sociallogin

    @sociallogin.setter
    def sociallogin(self, sociallogin: SocialLogin | None) -> None:
        self._sociallogin, self._find_sociallogin = sociallogin, None

    # For the flows.

    def require_clean(self, flow: str) -> None:
        """Raise ``RuntimeError`` if this unit has written something.

        A flow that calls a provider requires it, so that no transaction is open during the call.
        """
        if not self.clean:
            raise RuntimeError(f"{flow} calls a provider, so it needs a unit of work of its own")

    def set_identifier(self, key: str) -> None:
        """Set `identifier_digest`, the keyed hash of the username or address that was typed."""
        self.identifier_digest = self.services.digests.of_key(key)

    def restore_given(self, given: Mapping[str, str]) -> None:
        """Add to `given` what was given when the running signup or social login began.

        What this unit was given itself replaces a text with the same name.
        """
        if given:
            self.given = Given({**given, **self.given})

    def find_sociallogin_later(self, find: Callable[[], SocialLogin | None]) -> None:
        """Call ``find`` when a plugin first reads `sociallogin`, unless the flow processes one."""
        if self._sociallogin is None:
            self._find_sociallogin = find

    def flow_state(self) -> FlowState:
        """Return the state of the running flow, for `restore_flow`."""
        return FlowState(
            self.identifier_digest, self.provider, self.given, self._sociallogin, self._find_sociallogin
        )

    def begin_flow(self) -> None:
        """Reset what this unit knows of its former flow."""
        self.restore_flow(FlowState(None, None, self._own_given))

    @contextmanager
    def hooks_of_another_user(self, *, keep_own: bool = False) -> Iterator[None]:
        """Hide the flow's social login and what it was given, while hooks about another user run.

        ``keep_own`` keeps what this unit was given: outside hooks it may belong to that user.
        """
        state = self.flow_state()
        given = self._own_given if keep_own else NOTHING_GIVEN
        self.restore_flow(state._replace(given=given, sociallogin=None, find_sociallogin=None))
        try:
            yield
        finally:
            self.restore_flow(state)

    def restore_flow(self, state: FlowState) -> None:
        """Restore the state of a flow that has called another one by a hook."""
        self.identifier_digest, self.provider, self.given = (
            state.identifier_digest,
            state.provider,
            state.given,
        )
        self._sociallogin, self._find_sociallogin = state.sociallogin, state.find_sociallogin

    def known_device(self, user: User | None) -> str | None:
        """Return the identifier of this browser if it has logged in as ``user`` before, else None."""
        return self.services.devices.find(self.device_token, user.id, self.now) if user else None

    def remember_device(self, user: User) -> str:
        """Create a device token, by which `known_device` recognises this browser; return it."""
        self.device_token = self.services.devices.token(user.id, self.now, self.device_token)
        return self.device_token

    def log_in(self, session: Session, user: User, token: str, password: str | None) -> None:
        """Make ``user`` the logged-in user of this unit. ``password`` is the stored hash."""
        self._loaded, self._session, self._user, self._token = True, session, user, token
        self._password = password

    def log_out(self) -> None:
        """Make this unit one without a logged-in user. The session is not deleted."""
        self._loaded, self._session, self._user, self._token = True, None, None, None
        self._password = None

    def replace_session(self, session: Session) -> None:
        """Replace the record of the session of this unit by its current state."""
        self._session = session

    def refresh(self, user: User) -> None:
        """Replace the logged-in user with the current record ``user``, if it is the same account."""
        if self.user is not None and self.user.id == user.id:
            self._user = user

    def set_guards(self, user: User) -> None:
        """Remember the guards of an account that this unit has changed, for a login that it has begun."""
        self._guards = {**self._guards, user.id: user.login_guards}
        self.refresh(user)

    def with_guards(self, user: User) -> User:
        """Return ``user`` with the guards that a hook has set since the record was read."""
        guards = self._guards.get(user.id)
        return user if guards is None else replace(user, login_guards=guards)

    @property
    def stored_password(self) -> str | None:
        """The hash of the user's password when the session was loaded, or None.

        It may have changed since then. So a flow writes under the condition that it has not.
        """
        self._load()
        return self._password

    def set_stored_password(self, user: User, password: str | None) -> None:
        """Set `stored_password`, if ``user`` is the logged-in user."""
        if self._user is not None and self._user.id == user.id:
            self._password = password

    def browser_state(self) -> BrowserState:
        """Return the logged-in user and the tokens, for `restore_browser`."""
        return BrowserState(
            self._loaded,
            self._session,
            self._user,
            self._password,
            self._token,
            self.pending_token,
            self.device_token,
            self._guards,
        )

    def restore_browser(self, state: BrowserState) -> None:
        """Undo what `log_in`, `log_out` and `remember_device` did since `browser_state` was called."""
        self._loaded, self._session, self._user, self._password = state[:4]
        self._token, self.pending_token, self.device_token, self._guards = state[4:]

    def refused(self, flow: str, error: AuthError, user: User | None, repeated: int = 1) -> None:
        """Call `flow_refused` for ``repeated`` refusals. The plugins' records are stored, the flow is not."""
        refusal = Refusal(flow, error, user, repeated)
        self._refusals.append(refusal)
        self._call_flow_refused(refusal)

    def take_back_tries(self) -> None:
        """Take the attempts of the running flow out of the rate limits."""
        for give_back in self.tries:
            give_back()
        self.tries.clear()

    def uncount(self, since: int) -> None:
        """Undo what rate limits have counted after the first ``since`` counts."""
        counted = self.counted[since:]
        del self.counted[since:]
        for give_back in counted:
            give_back()

    def _call_flow_refused(self, refusal: Refusal) -> None:
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
        if session.actor is not None:
            if self.services.is_impersonation_over(self, session, account.user):
                return
        elif session.has_expired(now, settings.session_idle) or not account.user.is_active:
            return
        self._session, self._user, self._password = session, account.user, account.password
        if now - session.last_seen_at > timedelta(seconds=settings.session_touch):
            self._touch(session, now)

    def _touch(self, session: Session, now: datetime) -> None:
        """Store the time of the last use of the session, outside a transaction if this unit has none yet."""
        for used in filter(None, (session.id, session.actor_session_id)):
            values = {"of_id": used, "now": now}
            if not self.clean:
                self.send_statement(statements.TOUCH_SESSION, values)
            else:
                self.database.write(statements.TOUCH_SESSION, values)

    # State that is restored and stored with the transaction.

    def call_state(self) -> CallState:
        return CallState(self.browser_state(), self.flow_state(), len(self.counted), len(self._refusals))

    def restore_call_state(self, state: CallState) -> None:
        self.restore_browser(state.browser)
        self.restore_flow(state.flow)
        self.uncount(state.counted)
        del self._refusals[state.refusals :]

    def on_undone(self) -> None:
        self.uncount(0)
        self.restore_browser(self._stored_browser)

    def on_stored(self) -> None:
        self._refusals.clear()
        self.counted.clear()
        self._guards = {}
        self._stored_browser = self.browser_state()

    @property
    def outlives_failure(self) -> bool:
        return bool(self._refusals)

    def before_storing(self) -> None:
        """Call `flow_refused` again for earlier flows of this unit: the plugins' records were rolled back."""
        refusals, self._refusals = self._refusals, []
        for refusal in refusals:
            self._call_flow_refused(refusal)


def _language(text: str | None) -> str | None:
    if text is not None and not isinstance(text, str):
        raise InvalidInput("The language must be text.", field="language")
    return text[:LANGUAGE_LENGTH] if text else None


def _user_agent(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidInput("The user agent must be text.", field="user_agent")
    text = text[:USER_AGENT_LENGTH]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
