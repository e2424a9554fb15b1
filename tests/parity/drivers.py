"""The same steps through django-allauth's views and through authhost, each with what it signalled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple, Protocol

import django
from authhost_hookspecs import Message, Request, SocialLogin, StopFlow, hookimpl
from authhost_mfa.plugin import MfaPlugin
from django.conf import settings as django_settings
from factors import (
    FACTOR_SIGNALS,
    HOOK_ARGUMENTS,
    AllauthFactors,
    AuthhostFactors,
    Factors,
    set_time_of_codes,
)

from authhost import AuthHost, Settings
from authhost.errors import AuthError
from authhost.pluginhost.hooks import SIGNALS, SPEC_ARGUMENTS
from authhost.testing import Clock
from authhost.testing.web_client import WebClient
from authhost.web import Web

PASSWORD = "green teapots sing at dawn"
NEW_PASSWORD = "seven quiet harbours in may"

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    **{name: arguments for name, arguments in SPEC_ARGUMENTS.items() if name in SIGNALS},
    **HOOK_ARGUMENTS,
}
"""The documented arguments of each compared signal."""

Call = tuple[str, Mapping[str, Any]]
"""The name of a signal, with the telling values of its arguments."""


class Driver(Protocol):
    """What a scenario may do. ``options`` bear authhost's names."""

    calls: list[Call]
    factors: Factors

    def check_session(self) -> None:
        """Note who is logged in, among the calls, as ``session``."""

    def browser(self) -> None:
        """Go on in another browser, where nobody is logged in."""

    def signup(self, email: str, username: str | None = None) -> None: ...
    def login(self, identifier: str, password: str = PASSWORD) -> None: ...
    def logout(self) -> None: ...
    def confirm(self, email: str) -> None:
        """By the link of the newest mail to ``email``."""

    def resend(self, email: str) -> None: ...
    def add(self, email: str) -> None: ...
    def make_primary(self, email: str) -> None: ...
    def remove(self, email: str) -> None: ...
    def change_password(self, current: str = PASSWORD) -> None: ...
    def set_password(self) -> None: ...
    def forget_password(self, email: str) -> None:
        """Make the account one that has no usable password; it stays logged in."""

    def ask_reset(self, email: str) -> None: ...
    def reset(self, email: str) -> None:
        """By the link of the newest mail to ``email``."""

    def arrive(self, person: Person, process: str = "login") -> None:
        """Go to the provider as ``person``, agree, and come back."""

    def social_signup(self, email: str) -> None:
        """Give the address that the signup waits for."""

    def disconnect(self) -> None:
        """Disconnect the account that was connected first."""

    def plugin(self, what: str) -> None:
        """From here on `pre_social_login` connects by e-mail (``connect``) or stops the flow (``stop``)."""


class Person(NamedTuple):
    """Somebody at the provider. Its dummy knows them by number."""

    uid: str
    email: str = ""
    verified: bool = False


def telling(name: str, arguments: Mapping[str, Any]) -> Call:
    """Reduce what a receiver got to what both sides can be compared by."""
    values: dict[str, Any] = {}
    for argument in ARGUMENTS[name]:
        value = arguments[argument]
        if argument == "request":
            user = value.user
            values["request.user"] = getattr(user, "email", None)
        elif argument == "user":
            values["user"] = value.email
        elif argument == "authenticator":
            values["authenticator"] = str(getattr(value, "kind", None) or value.type)
        elif argument == "confirmation":
            values["confirmation"] = value.email_address.email
        elif argument == "sociallogin":
            state = getattr(value, "state", None)
            values["process"] = state["process"] if state is not None else value.process
            values["account"] = (value.account.provider, value.account.uid)
            values["emails"] = [(each.email, bool(each.verified)) for each in value.email_addresses]
        elif argument == "socialaccount":
            values["account"] = (value.provider, value.uid)
        elif argument.endswith("email_address"):
            values[argument] = value and (value.email, value.verified, value.primary)
        else:
            values[argument] = value
    return name, values


if not django_settings.configured:
    django_settings.configure(
        SECRET_KEY="k" * 48,
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.mfa",
            "allauth.socialaccount",
            "allauth.socialaccount.providers.dummy",
            "allauth.socialaccount.providers.openid_connect",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        ROOT_URLCONF="allauth.urls",
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGIN_REDIRECT_URL="/",
        USE_TZ=True,
        ACCOUNT_LOGIN_METHODS={"email", "username"},
        ACCOUNT_SIGNUP_FIELDS=["email*", "username", "password1*"],
        ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS=False,
        SOCIALACCOUNT_QUERY_EMAIL=True,
        MFA_TRUST_ENABLED=True,
    )
    django.setup()

ALLAUTH_NAMES = {
    "email_verification": "ACCOUNT_EMAIL_VERIFICATION",
    "login_on_email_confirmation": "ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION",
    "login_on_password_reset": "ACCOUNT_LOGIN_ON_PASSWORD_RESET",
    "change_email": "ACCOUNT_CHANGE_EMAIL",
    "max_email_addresses": "ACCOUNT_MAX_EMAIL_ADDRESSES",
    "rate_limits": "ACCOUNT_RATE_LIMITS",
    "social_auto_signup": "SOCIALACCOUNT_AUTO_SIGNUP",
}
PROVIDERS = ("dummy", "corp")
"""django-allauth's own dummy, and a real OpenID provider; authhost asks the real one for both."""


class Allauth:
    """django-allauth through its views, on SQLite in memory. ``mfa`` is ignored: its app is always there."""

    def __init__(
        self,
        clock: Clock,
        openid: Any = None,
        provider: str = "",
        login_by_email: bool = False,
        mfa: bool = False,
        **options: Any,
    ) -> None:
        from allauth.account import signals
        from allauth.mfa import signals as mfa_signals
        from allauth.socialaccount import signals as social_signals
        from django.core import mail
        from django.core.cache import cache
        from django.core.management import call_command
        from django.test import override_settings

        self.calls: list[Call] = []
        self.extras: set[str] = set()
        self._stack = ExitStack()
        self._openid, self._provider = openid, provider
        changed = {ALLAUTH_NAMES[name]: value for name, value in options.items()}
        if openid is not None:
            app = {
                "provider_id": "corp",
                "name": "Corp",
                "client_id": "site",
                "secret": "of-the-site",
                "settings": {"server_url": openid.url},
            }
            changed["SOCIALACCOUNT_PROVIDERS"] = {"openid_connect": {"APPS": [app]}}
            changed["SOCIALACCOUNT_EMAIL_AUTHENTICATION"] = login_by_email
            changed["SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT"] = login_by_email
        self._stack.enter_context(override_settings(**changed))
        call_command("migrate", verbosity=0)
        call_command("flush", verbosity=0, interactive=False)
        cache.clear()
        mail.outbox = []
        self._stack.enter_context(set_time_of_codes(clock))
        for name in ARGUMENTS:
            receiver = self._receiver(name)
            modules = (signals, social_signals, mfa_signals)
            signal = next(vars(module)[name] for module in modules if name in vars(module))
            signal.connect(receiver, weak=False)
            self._stack.callback(signal.disconnect, receiver)
        self.factors = AllauthFactors(self._post, lambda: self._client.session, clock, PASSWORD)
        self.browser()

    def _receiver(self, name: str) -> Callable[..., None]:
        def receive(**arguments: Any) -> None:
            self.extras |= set(arguments) - set(ARGUMENTS[name]) - {"signal", "sender"}
            self.calls.append(telling(name, arguments))

        return receive

    def close(self) -> None:
        self._stack.close()

    def browser(self) -> None:
        from django.test import Client

        self._client = Client()

    def check_session(self) -> None:
        from django.contrib.auth import get_user

        self.calls.append(("session", {"user": getattr(get_user(self._client), "email", None)}))

    def _post(self, path: str, **data: str) -> Any:
        return self._client.post(path, data)

    def _link(self, email: str, pattern: str) -> str:
        from django.core import mail

        for message in reversed(mail.outbox):
            found = re.search(pattern, message.body)
            if found and message.to == [email]:
                return found[1]
        raise LookupError(email)

    def signup(self, email: str, username: str | None = None) -> None:
        self._post("/signup/", email=email, password1=PASSWORD, username=username or "")

    def login(self, identifier: str, password: str = PASSWORD) -> None:
        self._post("/login/", login=identifier, password=password)

    def logout(self) -> None:
        self._post("/logout/")

    def confirm(self, email: str) -> None:
        self._post(self._link(email, r"http://[^/]+(/confirm-email/\S+)"))

    def resend(self, email: str) -> None:
        self._post("/email/", email=email, action_send="")

    def add(self, email: str) -> None:
        self._post("/email/", email=email, action_add="")

    def make_primary(self, email: str) -> None:
        self._post("/email/", email=email, action_primary="")

    def remove(self, email: str) -> None:
        self._post("/email/", email=email, action_remove="")

    def change_password(self, current: str = PASSWORD) -> None:
        self._post("/password/change/", oldpassword=current, password1=NEW_PASSWORD, password2=NEW_PASSWORD)

    def set_password(self) -> None:
        self._post("/password/set/", password1=NEW_PASSWORD, password2=NEW_PASSWORD)

    def forget_password(self, email: str) -> None:
        from django.contrib.auth.models import User

        user = User.objects.get(email=email)
        user.set_unusable_password()
        user.save()
        calls = list(self.calls)
        self._client.force_login(user)
        self.calls = calls

    def ask_reset(self, email: str) -> None:
        self._post("/password/reset/", email=email)

    def reset(self, email: str) -> None:
        opened = self._client.get(self._link(email, r"http://[^/]+(/password/reset/key/\S+)"))
        if opened.status_code == 302:
            self._post(opened["Location"], password1=NEW_PASSWORD, password2=NEW_PASSWORD)

    def arrive(self, person: Person, process: str = "login") -> None:
        if self._provider == "dummy":
            opened = self._post(f"/dummy/login/?process={process}")
            if opened.status_code == 302 and "authenticate" in opened["Location"]:
                claims = {"id": person.uid, "email": person.email}
                verified = {"email_verified": "on"} if person.verified else {}
                self._post(opened["Location"], **claims, **verified)
            return
        stand(self._openid, person)
        opened = self._post(f"/oidc/corp/login/?process={process}")
        if opened.status_code == 302 and opened["Location"].startswith(self._openid.url):
            back = self._openid.agree(opened["Location"], person.uid)
            self._client.get("/oidc/corp/login/callback/", back)

    def social_signup(self, email: str) -> None:
        self._post("/3rdparty/signup/", email=email)

    def disconnect(self) -> None:
        from allauth.socialaccount.models import SocialAccount

        self._post("/3rdparty/", account=str(SocialAccount.objects.order_by("pk")[0].pk))

    def plugin(self, what: str) -> None:
        from allauth.core.exceptions import ImmediateHttpResponse
        from allauth.socialaccount.signals import pre_social_login
        from django.contrib.auth.models import User
        from django.http import HttpResponse

        def receive(request: Any, sociallogin: Any, **more: Any) -> None:
            if what == "stop":
                raise ImmediateHttpResponse(HttpResponse("stopped"))
            if not sociallogin.is_existing:
                sociallogin.connect(request, User.objects.get(email=sociallogin.email_addresses[0].email))

        pre_social_login.connect(receive, weak=False)
        self._stack.callback(pre_social_login.disconnect, receive)


def stand(openid: Any, person: Person) -> None:
    """Let ``person`` stand in front of the provider."""
    claims = {"email": person.email, "email_verified": person.verified} if person.email else {}
    openid.person(person.uid, **claims)


class Recording:
    """A plugin that takes every message and records every signal."""

    def __init__(self, calls: list[Call], messages: list[Message]) -> None:
        self.calls, self.messages = calls, messages

    @hookimpl
    def deliver_message(self, message: Message) -> bool:
        self.messages.append(message)
        return True


def _recording(name: str) -> Callable[..., None]:
    arguments = ", ".join(ARGUMENTS[name])
    source = f"def {name}(self, {arguments}): self.calls.append(telling({name!r}, locals()))"
    namespace: dict[str, Any] = {"telling": telling}
    exec(source, namespace)
    function: Callable[..., None] = namespace[name]
    return hookimpl(function, optionalhook=name in FACTOR_SIGNALS)


for _name in ARGUMENTS:
    setattr(Recording, _name, _recording(_name))


class Acting:
    """A plugin that does in `pre_social_login` what it is told."""

    what = ""

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        if self.what == "stop":
            raise StopFlow
        if self.what == "connect" and not sociallogin.is_existing:
            user = request.user_by_email(sociallogin.email_addresses[0].email)
            assert user is not None
            sociallogin.connect(request, user)


class Authhost:
    """authhost, on SQLite."""

    def __init__(
        self,
        database_url: str,
        clock: Clock,
        openid: Any = None,
        provider: str = "",
        login_by_email: bool = False,
        mfa: bool = False,
        **options: Any,
    ) -> None:
        self.calls: list[Call] = []
        self._messages: list[Message] = []
        self._openid, self._provider = openid, provider
        self._signup_token: str | None = None
        if openid is not None:
            options["providers"] = {
                provider: {
                    "provider": "openid_connect",
                    "server": openid.url,
                    "client_id": "site",
                    "client_secret": "of-the-site",
                    "trust_emails": True,
                    "login_by_email": login_by_email,
                }
            }
        given: dict[str, Any] = {
            "secret_key": "k" * 48,
            "database_url": database_url,
            "base_url": "https://example.org",
            "password_schemes": ("ldap_salted_sha1",),
            "password_hash_options": {},
            **options,
        }
        self._clock, self._acting = clock, Acting()
        plugins = {"recording": Recording(self.calls, self._messages), "then_acting": self._acting}
        if mfa:
            plugins["mfa"] = MfaPlugin()
        self.host = AuthHost(
            Settings(**given), plugins=plugins, discover=False, clock=clock, upgrade_database=True
        )
        self._web = Web(self.host)
        self.factors = AuthhostFactors(self._call, self._confirm_password, clock)
        self.browser()

    def close(self) -> None:
        self.host.close()

    def browser(self) -> None:
        self._token: str | None = None
        self._pending: str | None = None
        self._client = WebClient(self._web)

    def check_session(self) -> None:
        with self.host.request(session_token=self._token, pending_token=self._pending) as request:
            self.calls.append(("session", {"user": getattr(request.user, "email", None)}))

    def _call(self, path: str, *, method: str = "POST", **values: Any) -> Any:
        """Call an endpoint of the plugin mfa; return the body, which is empty if it is refused."""
        cookies, names = self._client.cookies, self._web.context.cookies
        for name, token in ((names.session, self._token), (names.pending, self._pending)):
            cookies.pop(name, None)
            if token is not None:
                cookies[name] = token
        status, body = self._client.api(f"/mfa{path}", values, method=method)
        assert status != 404, path
        self._token, self._pending = cookies.get(names.session), cookies.get(names.pending)
        return body if status < 400 else {}

    def _confirm_password(self) -> None:
        self._flow("reauthenticate", password=PASSWORD)

    def _flow(self, name: str, *given: Any, social: bool = False, **values: Any) -> Any:
        flows = self.host.socialaccount if social else self.host.account
        try:
            with self.host.request(
                session_token=self._token,
                pending_token=self._pending,
                cookies=self._client.cookies,
                ip_address="127.0.0.1",
            ) as request:
                result = getattr(flows, name)(request, *given, **values)
                self._pending = request.pending_token
        except AuthError:
            return None
        self._signup_token = getattr(result, "signup_token", None) or self._signup_token
        login = getattr(result, "login", result)
        self._token = getattr(login, "session_token", self._token)
        return result

    def _key(self, email: str, kind: str) -> str:
        for message in reversed(self._messages):
            if message.recipient == email and message.kind == kind and message.key is not None:
                return message.key
        raise LookupError(email)

    def signup(self, email: str, username: str | None = None) -> None:
        self._flow("signup", email=email, password=PASSWORD, username=username)

    def login(self, identifier: str, password: str = PASSWORD) -> None:
        self._flow("login", identifier=identifier, password=password)

    def logout(self) -> None:
        self._flow("logout")

    def confirm(self, email: str) -> None:
        self._flow("confirm_email", key=self._key(email, "email_confirmation"))

    def resend(self, email: str) -> None:
        self._flow("send_confirmation", email=email)

    def add(self, email: str) -> None:
        self._flow("add_email", email=email)

    def make_primary(self, email: str) -> None:
        self._flow("make_primary", email=email)

    def remove(self, email: str) -> None:
        self._flow("remove_email", email=email)

    def change_password(self, current: str = PASSWORD) -> None:
        self._flow("change_password", current_password=current, new_password=NEW_PASSWORD)

    def set_password(self) -> None:
        self._flow("set_password", password=NEW_PASSWORD)

    def forget_password(self, email: str) -> None:
        from sqlalchemy import update

        from authhost.store.models import User

        with self.host.engine.begin() as connection:
            connection.execute(update(User).values(password=None))

    def arrive(self, person: Person, process: str = "login") -> None:
        stand(self._openid, person)
        self._clock.catch_up()
        redirect = self._flow("begin", self._provider, process=process, social=True)
        if redirect is not None:
            back = self._openid.agree(redirect.url, person.uid)
            self._flow("complete", self._provider, params=back, state_token=redirect.state_token, social=True)

    def social_signup(self, email: str) -> None:
        self._flow("signup", signup_token=self._signup_token, email=email, social=True)

    def disconnect(self) -> None:
        accounts = self._flow("list_accounts", social=True)
        self._flow("disconnect", account_id=accounts[0].id, social=True)

    def plugin(self, what: str) -> None:
        self._acting.what = what

    def ask_reset(self, email: str) -> None:
        self._flow("request_password_reset", email=email)

    def reset(self, email: str) -> None:
        self._flow("reset_password", key=self._key(email, "password_reset"), password=NEW_PASSWORD)
