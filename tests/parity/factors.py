"""Second factors on both sides: the views of allauth.mfa, and the JSON endpoints of authhost-mfa."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch

from authhost_mfa.hooks import PUBLISHED

from authhost.testing import Clock, TotpApp

FACTOR_SIGNALS = (
    "authenticator_added",
    "authenticator_removed",
    "authenticator_reset",
    "authenticator_used",
    "authentication_failed",
)
"""The signals of allauth.mfa."""
HOOK_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    hook.__name__: tuple(inspect.signature(hook).parameters)
    for hook in PUBLISHED
    if hook.__name__ in FACTOR_SIGNALS
}


class Factors(Protocol):
    """What a user does with second factors, in the browser of the driver."""

    app: TotpApp
    """The authenticator app of the last attempt to add one. It is on the clock of its side."""
    recovery_codes: list[str]
    """The newest recovery codes."""

    def confirm_password(self) -> None:
        """Confirm with the password that it is the user."""

    def add_app(self, *, right: bool = True) -> None:
        """Add an authenticator app with its current code, or try to with a wrong one."""

    def verify(self, *, code: str = "", recovery_code: str = "", trust: bool = False) -> None:
        """Complete the login that waits; with ``trust`` the browser needs no factor from now on."""

    def reauthenticate(self, *, code: str = "", recovery_code: str = "") -> None: ...
    def new_recovery_codes(self) -> None: ...
    def remove_app(self) -> None: ...


def wrong_code(app: TotpApp) -> str:
    """Return another code than the current one."""
    return f"{(int(app.code()) + 500_000) % 10**6:06}"


class AllauthFactors:
    """``post`` sends a form in the current browser; ``get_session`` returns the session there."""

    def __init__(
        self, post: Callable[..., Any], get_session: Callable[[], Any], clock: Clock, password: str
    ) -> None:
        self._post, self._session, self._clock, self._password = post, get_session, clock, password
        self.recovery_codes: list[str] = []

    def confirm_password(self) -> None:
        self._post("/reauthenticate/", password=self._password)

    def add_app(self, *, right: bool = True) -> None:
        from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY

        # A form without a code shows the page again, with the secret.
        self._post("/2fa/totp/activate/")
        secret = self._session().get(SECRET_SESSION_KEY)
        if secret is None:
            return
        self.app = TotpApp(secret, self._clock)
        self._post("/2fa/totp/activate/", code=self.app.code() if right else wrong_code(self.app))
        self._read_recovery_codes()

    def verify(self, *, code: str = "", recovery_code: str = "", trust: bool = False) -> None:
        answered = self._post("/2fa/authenticate/", code=code or recovery_code)
        if answered.status_code == 302 and answered["Location"] == "/2fa/trust/":
            self._post("/2fa/trust/", action="trust" if trust else "")

    def reauthenticate(self, *, code: str = "", recovery_code: str = "") -> None:
        self._post("/2fa/reauthenticate/", code=code or recovery_code)

    def new_recovery_codes(self) -> None:
        self._post("/2fa/recovery-codes/generate/")
        self._read_recovery_codes()

    def remove_app(self) -> None:
        self._post("/2fa/totp/deactivate/")

    def _read_recovery_codes(self) -> None:
        from allauth.mfa.models import Authenticator

        for found in Authenticator.objects.filter(type=Authenticator.Type.RECOVERY_CODES):
            self.recovery_codes = found.wrap().get_unused_codes()


def set_time_of_codes(clock: Clock) -> ExitStack:
    """Let allauth.mfa check codes, and remember used ones in Django's cache, by ``clock``."""
    from allauth.mfa.totp.internal import auth
    from django.core.cache.backends import base, locmem

    stack = ExitStack()
    for module in (auth, base, locmem):
        time = SimpleNamespace(time=lambda: clock().timestamp())
        stack.enter_context(patch.object(module, "time", time))
    return stack


class AuthhostFactors:
    """``call`` calls an endpoint of the plugin in the current browser; a refusal returns an empty body."""

    def __init__(self, call: Callable[..., Any], confirm_password: Callable[[], None], clock: Clock) -> None:
        self._call, self.confirm_password, self._clock = call, confirm_password, clock
        self.recovery_codes: list[str] = []

    def add_app(self, *, right: bool = True) -> None:
        setup = self._call("/totp", method="GET")
        if not setup:
            return
        self.app = TotpApp(setup["uri"], self._clock)
        code = self.app.code() if right else wrong_code(self.app)
        self._read_recovery_codes(self._call("/totp", setup=setup["setup"], code=code))

    def verify(self, **values: Any) -> None:
        self._call("/verify", **values)

    def reauthenticate(self, **values: str) -> None:
        self._call("/reauthenticate", **values)

    def new_recovery_codes(self) -> None:
        self._read_recovery_codes(self._call("/recovery-codes"))

    def remove_app(self) -> None:
        listed = self._call("/authenticators", method="GET")
        self._call("/authenticators/remove", authenticator_id=listed["authenticators"][0]["id"])

    def _read_recovery_codes(self, body: Mapping[str, Any]) -> None:
        self.recovery_codes = body.get("recovery_codes") or self.recovery_codes
