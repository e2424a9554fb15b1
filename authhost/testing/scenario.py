"""A scenario that runs every flow once, in a fixed order: with one account, and with users of a provider.

The conformance suite runs it with a plugin and without. The order of hooks and
the sequence diagrams of the documentation are recorded while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NamedTuple

from authhost_hookspecs import Actor

from authhost.errors import AuthError, Vetoed
from authhost.host import AuthHost
from authhost.records import LoginResult, SocialResult, User
from authhost.testing.browser import Browser
from authhost.testing.host import OTHER_PASSWORD, PASSWORD
from authhost.testing.mailbox import Mailbox
from authhost.testing.openid import LocalProvider

ANN, SECOND, NOBODY = "ann@example.org", "ann@work.example.org", "nobody@example.org"
TYPO, EVE, FRED = "ewe@example.org", "eve@example.org", "fred@example.org"
BOB, CARL, DORA = "bob@example.org", "carl@example.org", "dora@example.org"
WRONG_PASSWORD, BOBS_PASSWORD = "an umbrella for the moon", "an otter reads the minutes"
GIVEN = {"invitation": "mR7tQ2vX9kLw4ZpY8sBn"}
"""What the application gives the signups: an invitation code, which is a secret of the person who has it."""
SETTINGS: Mapping[str, Any] = {
    "email_verification": "mandatory",
    "login_on_email_confirmation": True,
    "login_on_password_reset": True,
}
"""The settings of the host with which the flows call the most hooks."""
REDIRECT = ": redirect to the provider"
"""The end of the title of each step that only sends the browser to the provider."""


class NativeRequest:
    """What a web framework may pass as ``native``: the names of Django, Flask and Starlette, all empty.

    Only the account flows of one user have it, since the contract does not guarantee it.
    """

    method = "POST"
    path = "/"

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.META = self.headers
        self.cookies: dict[str, str] = {}
        self.COOKIES = self.cookies
        self.query_params: dict[str, str] = {}
        self.GET = self.args = self.POST = self.form = self.query_params
        self.session: dict[str, Any] = {}
        self.state = SimpleNamespace()


class Step(NamedTuple):
    """One flow of the scenario, and how it ended."""

    title: str
    flow: str
    outcome: str
    """``done`` with what is still to be done, or the code and the fields of the refusal."""
    ended_by_plugin: bool = False
    """Whether a plugin ended it on purpose, with `Refused` or `StopFlow`."""


@dataclass(slots=True)
class Scenario:
    """Runs once, on a new host. ``before`` and ``after`` are called around each flow."""

    host: AuthHost
    mailbox: Mailbox
    provider: LocalProvider
    before: Callable[[str, str], None] = lambda title, flow: None
    """Called with the title and the flow of the step."""
    after: Callable[[Step], None] = lambda step: None
    suffix: str = ""
    """Added to the names of all users, so that the scenario can run again on the same host."""
    steps: list[Step] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """Each secret that the flows have used, with its kind, such as "a session token"."""
    deleted: User | None = None
    """The user of the account that the last flow deletes."""
    stopped_after: Step | None = None
    """The last step, if a plugin has refused a flow whose result the later ones need."""
    _browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self._browser = self._new_browser(NativeRequest())
        for password in (PASSWORD, OTHER_PASSWORD, WRONG_PASSWORD, BOBS_PASSWORD):
            self.secrets[password] = "a password"
        self.secrets |= dict.fromkeys(GIVEN.values(), "a text of request.given")

    def run(self, *, social: bool = True) -> list[Step]:
        """Run every flow in order. Those of social login need the package oidc-provider-mock."""
        try:
            self._account_flows()
            if social and find_spec("oidc_provider_mock") is not None:
                self._social_flows()
            self._administrative_changes()
        except (AttributeError, LookupError):
            # An earlier flow did not return what this one needs.
            self.stopped_after = self.steps[-1]
        return self.steps

    def _name(self, name: str) -> str:
        """A username or an address of this run."""
        user, at, domain = name.partition("@")
        return f"{user}{self.suffix}{at}{domain}"

    def _new_browser(self, native: Any = None) -> Browser:
        return Browser(self.host, self.provider, native)

    def _flow(self, title: str, flow: str, browser: Browser | None = None, /, **values: Any) -> Any:
        """Run one flow. A refusal is one of its outcomes and is not raised."""
        browser = browser or self._browser
        self.before(title, flow)
        result, ended_by_plugin = None, False
        try:
            result = complete_steps(browser, browser(flow, **values))
            outcome, ended_by_plugin = f"done{_summary(result)}", getattr(result, "stopped", False)
        except AuthError as error:
            outcome = f"{error.code} {dict(error.fields) or ''}".strip()
            ended_by_plugin = isinstance(error, Vetoed) and error.fields.get("plugin_code") != "plugin_failed"
        step = Step(title, flow, outcome, ended_by_plugin)
        self.steps.append(step)
        self._collect_secrets(browser, result)
        self.after(step)
        return result

    def _collect_secrets(self, browser: Browser, result: Any) -> None:
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

    def _account_flows(self) -> None:
        flow, mailbox, other = self._flow, self.mailbox, self._new_browser
        ann, second, nobody, typo, eve = map(self._name, (ANN, SECOND, NOBODY, TYPO, EVE))
        flow("Sign up", "signup", email=ann, password=PASSWORD, username=self._name("ann"), given=GIVEN)
        first = mailbox.key()
        flow("Sign up with a taken address", "signup", other(), email=ann, password=PASSWORD)
        title = "Log in before the address is verified"
        flow(title, "login", other(), identifier=ann, password=PASSWORD)
        mistyped = other()
        flow("Sign up with a mistyped address", "signup", mistyped, email=typo, password=BOBS_PASSWORD)
        flow("Change the unverified address", "change_pending_email", mistyped, email=eve)
        corrected = mailbox.key()
        flow("Confirm the address", "confirm_email", key=first)
        flow("Sign up with a verified address", "signup", other(), email=ann, password=PASSWORD)
        flow("Confirm with a used key", "confirm_email", key=first)
        flow("Confirm an address in another browser", "confirm_email", other(), key=corrected)
        flow("Log out", "logout")
        flow("Log in with a wrong password", "login", identifier=ann, password=WRONG_PASSWORD)
        flow("Log in to an unknown account", "login", identifier=nobody, password=PASSWORD)
        flow("Log in", "login", identifier=ann, password=PASSWORD)
        flow("Add an address", "add_email", email=second)
        flow("Send the confirmation again", "send_confirmation", email=second)
        flow("Confirm an added address", "confirm_email", key=mailbox.key())
        flow("Make an address primary", "make_primary", email=second)
        flow("Remove an address", "remove_email", email=ann)
        flow("Reauthenticate", "reauthenticate", password=PASSWORD)
        flow("Change the password", "change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
        flow("End the other sessions", "end_other_sessions")
        flow("Request a password reset", "request_password_reset", other(), email=second)
        key = mailbox.key()
        title = "Request a password reset for an unknown address"
        flow(title, "request_password_reset", other(), email=nobody)
        flow("Reset the password", "reset_password", other(), key=key, password=PASSWORD)
        flow("Log in again", "login", identifier=second, password=PASSWORD)
        flow("Deactivate the account", "deactivate")

    def _social_flows(self) -> None:
        bob, carl, dora = map(self._name, (BOB, CARL, DORA))
        self._browser = self._new_browser()
        result = self.social_login("Sign up through a provider", bob, email_verified=True)
        account = result.account.id
        self._flow("Disconnect the only login method", "social_disconnect", account_id=account)
        self._flow("Set a first password", "set_password", password=BOBS_PASSWORD)
        self._flow("Disconnect", "social_disconnect", account_id=account)
        self.social_login("Connect", bob, process="connect")
        self._browser.forget()
        self.social_login("Log in through a provider", bob)
        self.social_login("Cancel at the provider", bob, agree=False)
        self._browser = self._new_browser()
        title = "Sign up through a provider, address not verified"
        self.social_login(title, carl, email_verified=False)
        self._browser = self._new_browser()
        result = self.social_login("Sign up through a provider, address missing", None)
        form = {"signup_token": result.signup_token, "email": dora}
        self._flow("Complete the signup with an address", "social_signup", **form)

    def _administrative_changes(self) -> None:
        flow, browser = self._flow, self._new_browser()
        with browser.request() as request:
            second = self._name(SECOND)
            user = request.user_by_email(second)
        if user is None:
            raise LookupError(second)
        self.deleted = user
        flow("Reactivate an account", "accounts_reactivate", browser, user_id=user.id)
        flow("Export an account", "accounts_export", browser, user_id=user.id)
        flow("Remove lost factors", "accounts_remove_factors", browser, user_id=user.id, reason="lost")
        flow("Log in to a reactivated account", "login", identifier=second, password=PASSWORD)
        flow("End all sessions of an account", "accounts_end_sessions", browser, user_id=user.id)
        flow("Log in once more", "login", identifier=second, password=PASSWORD)
        flow("Require a new password", "accounts_require_reset", browser, user_id=user.id)
        flow("Log in with the former password", "login", identifier=second, password=PASSWORD)
        flow("Send the link of a reset", "accounts_send_reset", browser, user_id=user.id)
        flow("Remove a password", "accounts_remove_password", browser, user_id=user.id)
        title = "Create an account and invite its owner"
        flow(title, "accounts_create", browser, email=self._name(FRED), invite=True)
        operator = self._new_browser()
        operator.actor = Actor("operator", name="support")
        visit = {"user_id": user.id, "reason": "a question about an invoice"}
        flow("Work in the account of a user", "accounts_impersonate", operator, **visit)
        flow("Stop working in it", "stop_impersonation", operator)
        flow("Delete an account", "accounts_delete", browser, user_id=user.id)

    def social_login(
        self, title: str, email: str | None, *, process: str = "login", agree: bool = True, **claims: Any
    ) -> Any:
        """Go to the provider and return as the user with ``email``, or as one without an address."""
        sub = (email or self._name(DORA)).partition("@")[0]
        claims |= {"email": email} if email else {}
        if claims and process == "login":
            self.provider.set_user(sub, **{"email_verified": True, **claims})
        provider = next(iter(self.provider.settings))
        target = {"provider": provider, "process": process, "given": GIVEN}
        redirect = self._flow(title + REDIRECT, "social_begin", **target)
        params = self.provider.visit(redirect, sub, agree=agree)
        returned = {"provider": provider, "params": params, "state_token": redirect.state_token}
        return self._flow(title, "social_complete", **returned)


def complete_steps(browser: Browser, result: Any) -> Any:
    """Complete the steps that plugins require of a login, without their pages; return its result then.

    What a step proves is the plugin's affair: the scenario needs what comes after the login.
    """
    login = result if isinstance(result, LoginResult) else getattr(result, "login", None)
    if not isinstance(login, LoginResult) or not login.waits_for or "." not in login.waits_for:
        return result
    browser.complete_steps()
    with browser.request() as request:
        if request.user is None:
            return result
        login = LoginResult(browser.token or "", request.user, device_token=browser.device_token)
        accounts = browser.host.socialaccount.list_accounts(request)
    if isinstance(result, LoginResult):
        return login
    if isinstance(result, SocialResult):
        account = next((each for each in accounts if each.uid == result.account.uid), result.account)
        return replace(result, login=login, account=account)
    return replace(result, login=login)


def _summary(result: Any) -> str:
    """A result in words, without anything that differs between two runs."""
    parts: Iterator[str] = iter(())
    if isinstance(result, LoginResult):
        parts = iter([result.waits_for or "authenticated"])
    elif isinstance(result, SocialResult):
        login = _summary(result.login) if result.login else ""
        parts = iter([result.process, *result.missing, *(["stopped"] if result.stopped else []), login])
    elif isinstance(result, bool | int):
        parts = iter([str(result)])
    return "".join(f", {part.removeprefix(', ')}" for part in parts if part)
