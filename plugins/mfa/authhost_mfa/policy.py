"""Who needs a second factor, and what a login has proved already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from authhost_hookspecs import Authentication, Request, User, utc

from authhost_mfa.settings import MfaSettings
from authhost_mfa.values import METHODS, NAME

EMAIL_CONFIRMATION = "email_confirmation"


@dataclass(slots=True)
class Decision:
    """What the implementations of `second_factor_policy` decide about one user."""

    required: bool = False

    def require(self) -> None:
        """Require a second factor of the user."""
        self.required = True


def settings_of(request: Request) -> MfaSettings:
    """Return the settings of the plugin."""
    settings: MfaSettings = request.plugin_settings(NAME)
    return settings


def is_selected(request: Request, user: User) -> bool:
    """Return whether the policy requires a second factor of a user, now or after the grace period."""
    policy = settings_of(request).policy
    if policy == "selected":
        decision = Decision()
        request.call_hook("second_factor_policy", user=user, decision=decision)
        return decision.required
    return policy == "required"


def grace_ends(request: Request, user: User) -> datetime:
    """Return until when a user may log in without the second factor that the policy requires."""
    settings = settings_of(request)
    joined = utc(user.date_joined)
    return max(joined, settings.since or joined) + timedelta(days=settings.grace_days)


def must_enrol(request: Request, user: User) -> bool:
    """Return whether a login of a user without a second factor must enrol one."""
    return is_selected(request, user) and request.now >= grace_ends(request, user)


def proves_two_factors(authentications: Sequence[Authentication]) -> bool:
    """Return whether a login needs no second factor.

    One authentication with two kinds of factors is enough, such as a passkey that has verified the
    person, or a provider whose logins the operator counts as such. Otherwise there must be one of this
    plugin and another one. E-mail is no factor (ASVS 5.0, 6.3.6).
    """
    if any(len(set(each.factors)) > 1 for each in authentications):
        return True
    methods = {each.method for each in authentications} - {EMAIL_CONFIRMATION}
    return bool(methods & METHODS) and bool(methods - METHODS)


def has_recent_factor(request: Request) -> bool:
    """Return whether the logged-in user has used a second factor in this session not long ago.

    A key that has not verified its user is none if the session knows nothing but keys.
    """
    longest = timedelta(seconds=settings_of(request).recent_factor)
    methods = {each.method for each in request.authentication}
    return any(
        len(set(each.factors)) > 1 or (each.method in METHODS and bool(methods - {each.method}))
        for each in request.authentication
        if request.now - utc(each.time) <= longest
    )
