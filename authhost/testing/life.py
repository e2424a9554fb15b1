"""Every flow once, in a fixed order: an account's life, and that of people who come from a provider.

The conformance suite lives it with a plugin and without, and the sequence
diagrams of the documentation are drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple

from authhost.errors import AuthError, Vetoed
from authhost.host import AuthHost
from authhost.records import LoginResult, SocialResult
from authhost.testing.browser import Browser
from authhost.testing.openid import LocalProvider
from authhost.testing.recording import Mailbox
from authhost.testing.stage import OTHER_PASSWORD, PASSWORD

ANN, SECOND, NOBODY = "ann@example.org", "ann@work.example.org", "nobody@example.org"
TYPO, EVE = "ewe@example.org", "eve@example.org"
BOB, CARL, DORA = "bob@example.org", "carl@example.org", "dora@example.org"
WRONG_PASSWORD, BOBS_PASSWORD = "an umbrella for the moon", "an otter reads the minutes"
SETTINGS: Mapping[str, Any] = {
    "email_verification": "mandatory",
    "login_on_email_confirmation": True,
    "login_on_password_reset": True,
}
"""Those under which the flows call the most hooks."""


class Step(NamedTuple):
    """One flow, and how it ended."""

    title: str
    flow: str
    outcome: str
    """``done`` with what is still to be done, or the code of the refusal."""
    decided: bool = False
    """Whether a plugin ended it on purpose: by `Refused` or `StopFlow`."""


@dataclass(slots=True)
class Life:
    """Lives once on a fresh host. ``before`` and ``after`` are called around each flow.

    A flow that a plugin refuses leaves the later ones without what they need;
    `ended_by` names the last one that was run then.
    """

    host: AuthHost
    mailbox: Mailbox
    provider: LocalProvider
    before: Callable[[str, str], None] = lambda title, flow: None
    after: Callable[[Step], None] = lambda step: None
    steps: list[Step] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """What must not be seen anywhere, and what it is."""
    ended_by: Step | None = None
    _browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self._browser = self._other()
        for password in (PASSWORD, OTHER_PASSWORD, WRONG_PASSWORD, BOBS_PASSWORD):
            self.secrets[password] = "a password"

    def live(self) -> list[Step]:
        """Every flow in order. Those of social login are left out where there is no local provider."""
        try:
            self._account()
            if find_spec("oidc_provider_mock") is not None:
                self._social()
        except (AttributeError, LookupError):
            # A flow has not brought what this one needs.
            self.ended_by = self.steps[-1]
        return self.steps

    def _other(self) -> Browser:
        return Browser(self.host, self.provider)

    def _flow(self, title: str, flow: str, browser: Browser | None = None, /, **values: Any) -> Any:
        """Run one flow; a refusal is an outcome like any other."""
        browser = browser or self._browser
        self.before(title, flow)
        result, decided = None, False
        try:
            result = browser(flow, **values)
            outcome, decided = f"done{_told(result)}", getattr(result, "stopped", False)
        except AuthError as error:
            outcome = f"{error.code} {dict(error.fields) or ''}".strip()
            decided = isinstance(error, Vetoed) and error.fields.get("plugin_code") != "plugin_failed"
        step = Step(title, flow, outcome, decided)
        self.steps.append(step)
        self._remember(browser, result)
        self.after(step)
        return result

    def _remember(self, browser: Browser, result: Any) -> None:
        for message in self.mailbox.messages:
            if message.key is not None:
                self.secrets[message.key] = "the key of a message"
        if browser.token is not None:
            self.secrets[browser.token] = "a session token"
        if browser.device_token is not None:
            self.secrets[browser.device_token] = "a device token"
        for name in ("state_token", "signup_token"):
            if getattr(result, name, None):
                self.secrets[getattr(result, name)] = f"a {name.replace('_', ' ')}"

    def _account(self) -> None:
        flow, mailbox = self._flow, self.mailbox
        flow("Sign up", "signup", email=ANN, password=PASSWORD, username="ann")
        first = mailbox.key()
        flow("Sign up with a taken address", "signup", self._other(), email=ANN, password=PASSWORD)
        flow(
            "Log in before the address is verified", "login", self._other(), identifier=ANN, password=PASSWORD
        )
        hasty = self._other()
        flow("Sign up with a mistyped address", "signup", hasty, email=TYPO, password=BOBS_PASSWORD)
        flow("Change the address that waits", "change_pending_email", hasty, email=EVE)
        flow("Confirm the address", "confirm_email", key=first)
        flow(
            "Sign up with an address that is verified", "signup", self._other(), email=ANN, password=PASSWORD
        )
        flow("Confirm by a used key", "confirm_email", key=first)
        flow("Log out", "logout")
        flow("Log in with a wrong password", "login", identifier=ANN, password=WRONG_PASSWORD)
        flow("Log in to an unknown account", "login", identifier=NOBODY, password=PASSWORD)
        flow("Log in", "login", identifier=ANN, password=PASSWORD)
        flow("Add an address", "add_email", email=SECOND)
        flow("Send the confirmation again", "send_confirmation", email=SECOND)
        flow("Confirm an added address", "confirm_email", key=mailbox.key())
        flow("Make an address primary", "make_primary", email=SECOND)
        flow("Remove an address", "remove_email", email=ANN)
        flow("Prove it again", "reauthenticate", password=PASSWORD)
        flow("Change the password", "change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
        flow("End the other sessions", "end_other_sessions")
        flow("Ask for a reset", "request_password_reset", self._other(), email=SECOND)
        key = mailbox.key()
        flow("Ask for a reset of an unknown address", "request_password_reset", self._other(), email=NOBODY)
        flow("Reset the password", "reset_password", self._other(), key=key, password=PASSWORD)
        flow("Log in again", "login", identifier=SECOND, password=PASSWORD)
        flow("Close the account", "deactivate")

    def _social(self) -> None:
        self._browser = self._other()
        result = self.come("Sign up by a provider", BOB, email_verified=True)
        account = result.account.id
        self._flow("Disconnect the only way in", "social_disconnect", account_id=account)
        self._flow("Set a first password", "set_password", password=BOBS_PASSWORD)
        self._flow("Disconnect", "social_disconnect", account_id=account)
        self.come("Connect", BOB, process="connect")
        self._browser.forget()
        self.come("Log in by a provider", BOB)
        self.come("Decline at the provider", BOB, agree=False)
        self._browser = self._other()
        self.come("Sign up by a provider, address not verified", CARL, email_verified=False)
        self._browser = self._other()
        result = self.come("Sign up by a provider, address missing", None)
        given = {"signup_token": result.signup_token, "email": DORA}
        self._flow("Sign up with what was missing", "social_signup", **given)

    def come(
        self, title: str, email: str | None, *, process: str = "login", agree: bool = True, **claims: Any
    ) -> Any:
        """Leave for the provider and come back as the person with ``email``, or without any."""
        sub = (email or DORA).partition("@")[0]
        claims |= {"email": email} if email else {}
        if claims and process == "login":
            self.provider.person(sub, **{"email_verified": True, **claims})
        provider = next(iter(self.provider.settings))
        begun = self._flow(f"{title}: leave", "social_begin", provider=provider, process=process)
        params = self.provider.visit(begun, sub, agree=agree)
        back = {"provider": provider, "params": params, "state_token": begun.state_token}
        return self._flow(title, "social_complete", **back)


def _told(result: Any) -> str:
    """What a result says to a program, without what differs from one run to the next."""
    parts: Iterator[str] = iter(())
    if isinstance(result, LoginResult):
        parts = iter([result.waits_for or "authenticated"])
    elif isinstance(result, SocialResult):
        login = _told(result.login) if result.login else ""
        parts = iter([result.process, *result.missing, *(["stopped"] if result.stopped else []), login])
    elif isinstance(result, bool | int):
        parts = iter([str(result)])
    return "".join(f", {part.removeprefix(', ')}" for part in parts if part)
