"""Every refusal and every fault that authhost raises by design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

PLUGIN_FAILURES = (Exception, SystemExit)
"""What is caught of plugins: a plugin must not end the process; Ctrl-C must."""


class AuthHostError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(AuthHostError):
    """The settings, the plugins or the database do not fit; the message says what to do."""


class UnitOfWorkClosed(AuthHostError, RuntimeError):
    """A request was used outside its ``with`` block; the message says what to do."""


class HostClosed(AuthHostError, RuntimeError):
    """A host was used after `AuthHost.close`."""

    def __init__(self) -> None:
        super().__init__("this host is closed; make a new AuthHost, and close it when the application ends")


class RequiredPluginFailed(AuthHostError):
    """A plugin that the operator requires failed in a hook; the whole unit of work is rolled back."""

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(f"required plugin {plugin!r} failed in {hook}; nothing was stored")
        self.plugin = plugin
        self.hook = hook


class AuthError(AuthHostError):
    """A flow refused. ``code`` is stable, ``str()`` is for people, ``fields`` for programs."""

    code: ClassVar[str] = "refused"
    message: ClassVar[str] = "This is not possible."

    def __init__(self, message: str | None = None, **fields: Any) -> None:
        super().__init__(message or self.message)
        self.fields: Mapping[str, Any] = fields


class InvalidInput(AuthError):
    """A value has the wrong type, length or form; ``fields["field"]`` names it."""

    code = "invalid_input"
    message = "This value is not valid."


class InvalidEmail(InvalidInput):
    """The text is no e-mail address (RFC 5321, RFC 6531)."""

    code = "invalid_email"
    message = "This is not a valid e-mail address."


class WeakPassword(InvalidInput):
    """The password does not meet the policy (NIST SP 800-63B-4); ``fields["reason"]`` says why."""

    code = "weak_password"
    message = "This password is too easy to guess."


class InvalidCredentials(AuthError):
    """Unknown account or wrong password: one answer for both."""

    code = "invalid_credentials"
    message = "The name or the password is not right."


class RateLimited(AuthError):
    """Too many tries; ``fields["retry_after"]`` is in seconds."""

    code = "rate_limited"
    message = "Too many tries. Please wait a while."


class Busy(AuthError):
    """Too many passwords are waiting to be hashed; ``fields["retry_after"]`` is in seconds.

    Nothing was checked, counted or stored.
    """

    code = "busy"
    message = "Too much is going on. Please try again in a moment."


class Unavailable(AuthError):
    """The password could not be checked, since the hash library failed; the log names the scheme.

    It says nothing about the password, and counts as no failure.
    """

    code = "unavailable"
    message = "The password cannot be checked at the moment. Please try again later."


class SignupClosed(AuthError):
    """The operator has closed signup."""

    code = "signup_closed"
    message = "Signup is closed."


class EmailTaken(AuthError):
    """The address belongs to another account."""

    code = "email_taken"
    message = "This address is in use by another account."


class UsernameTaken(AuthError):
    """The username belongs to another account."""

    code = "username_taken"
    message = "This username is taken."


class InvalidKey(AuthError):
    """The key of a link is unknown, used or expired."""

    code = "invalid_key"
    message = "This link is not valid any more. Please ask for a new one."


class LoginRequired(AuthError):
    """The flow needs a logged-in user."""

    code = "login_required"
    message = "Please log in first."


class ReauthenticationRequired(AuthError):
    """The login is older than ``fields["max_age"]`` seconds."""

    code = "reauthentication_required"
    message = "Please confirm your password, or log in again, first."


class EmailNotFound(AuthError):
    """The logged-in user has no such address."""

    code = "email_not_found"
    message = "Your account has no such address."


class EmailNotVerified(AuthError):
    """The address is not verified while another one is."""

    code = "email_not_verified"
    message = "Please confirm this address first."


class EmailAlreadyAdded(AuthError):
    """The account has this address."""

    code = "email_already_added"
    message = "Your account has this address already."


class TooManyEmails(AuthError):
    """The account has as many addresses as the settings allow."""

    code = "too_many_emails"
    message = "Your account cannot have more addresses."


class PrimaryEmailRequired(AuthError):
    """The primary address cannot be removed."""

    code = "primary_email_required"
    message = "The primary address cannot be removed. Make another one primary first."


class PasswordAlreadySet(AuthError):
    """The account has a password: change it instead."""

    code = "password_already_set"
    message = "Your account has a password. Change it instead."


class Conflict(AuthError):
    """What the flow had read was changed meanwhile by another request."""

    code = "conflict"
    message = "This was changed meanwhile. Please try again."


class SessionNotFound(AuthError):
    """The logged-in user has no such session."""

    code = "session_not_found"
    message = "There is no such session."


class Vetoed(AuthError):
    """A plugin refused; ``fields["plugin_code"]`` is the code it gave, ``fields["plugin"]`` its name."""

    code = "vetoed"
    message = "This was refused."


class DeliveryFailed(AuthError):
    """No plugin took the message for delivery; nothing was stored."""

    code = "delivery_failed"
    message = "The e-mail could not be sent. Please try again later."


class ProviderNotFound(AuthError):
    """The settings have no such provider."""

    code = "provider_not_found"
    message = "There is no such way to log in."


class ProviderDenied(AuthError):
    """The person, or the provider, did not agree; ``fields["error"]`` is what the provider said."""

    code = "provider_denied"
    message = "The login was cancelled."


class ProviderFailed(AuthError):
    """The provider could not be asked, or its answer cannot be used; ``fields["reason"]`` says why."""

    code = "provider_failed"
    message = "The provider could not be asked. Please try again later."


class InvalidState(AuthError):
    """What came back was not begun in this browser, was begun too long ago, or has come back before."""

    code = "invalid_state"
    message = "This login was not begun here, or took too long. Please begin again."


class InvalidIdToken(AuthError):
    """The ID token, or the issuer, is not what was asked for; ``fields["reason"]`` says why."""

    code = "invalid_id_token"
    message = "The provider's answer cannot be trusted."


class SocialAccountTaken(AuthError):
    """The account at the provider is connected to another local account."""

    code = "social_account_taken"
    message = "This account at the provider is connected to another account here."


class SocialAccountNotFound(AuthError):
    """The logged-in user has no such connection, or no token is kept for it."""

    code = "social_account_not_found"
    message = "There is no such connection."


class LastLoginMethod(AuthError):
    """Without it nobody could log in to the account."""

    code = "last_login_method"
    message = "This is your only way to log in. Set a password first."


class AccountInactive(AuthError):
    """The provider has vouched for a person whose account was deactivated."""

    code = "account_inactive"
    message = "This account is closed."
