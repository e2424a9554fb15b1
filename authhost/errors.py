"""All errors that authhost raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from authhost_hookspecs import FlowError

from authhost.base_errors import (
    PLUGIN_FAILURES as PLUGIN_FAILURES,
    AuthHostError as AuthHostError,
    ConfigurationError as ConfigurationError,
    HostClosed as HostClosed,
    NestedTooDeep as NestedTooDeep,
    PluginNotBlockable as PluginNotBlockable,
    RequiredPluginFailed as RequiredPluginFailed,
    UnitOfWorkClosed as UnitOfWorkClosed,
)


class AuthError(AuthHostError, FlowError):
    """A flow was refused. ``code`` is stable, ``str()`` is for people, ``fields`` are for programs.

    Plugins know it as `authhost_hookspecs.FlowError`.
    """

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
    """The text is not an e-mail address (RFC 5321, RFC 6531)."""

    code = "invalid_email"
    message = "This is not a valid e-mail address."


class WeakPassword(InvalidInput):
    """The password does not meet the policy (NIST SP 800-63B-4); ``fields["reason"]`` says why."""

    code = "weak_password"
    message = "This password is too easy to guess."


class InvalidCredentials(AuthError):
    """The account is unknown or the password is wrong: the same error for both."""

    code = "invalid_credentials"
    message = "The name or the password is not right."


class RateLimited(AuthError):
    """Too many attempts; ``fields["retry_after"]`` is in seconds."""

    code = "rate_limited"
    message = "Too many attempts. Please wait a while."


class Busy(AuthError):
    """Too many passwords are waiting to be hashed; ``fields["retry_after"]`` is in seconds.

    Nothing was checked, counted or stored.
    """

    code = "busy"
    message = "The site is busy. Please try again in a moment."


class Unavailable(AuthError):
    """The password could not be checked, since the hash library failed; the log names the scheme.

    The password may be right or wrong. The attempt does not count as a failure.
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


class LoginUnavailable(AuthError):
    """A plugin that guards the account is not loaded or blocked; ``fields["plugin"]`` is its name.

    Also if a blocked plugin could not remove its credentials from an account that is taken over.
    """

    code = "login_unavailable"
    message = "Nobody can log in to this account at the moment. Please write to the operator of this site."


class ReauthenticationRequired(AuthError):
    """The login is older than ``fields["max_age"]`` seconds."""

    code = "reauthentication_required"
    message = "Please confirm your password, or log in again, first."


class Impersonated(AuthError):
    """An administrator works in the account of somebody else, which allows no change of the account."""

    code = "impersonated"
    message = "This is not possible while you work in the account of somebody else."


class ImpersonationRefused(AuthError):
    """Nobody may work in this account for this actor; ``fields["reason"]`` says why.

    It is ``no_person`` (the actor is a program, or nobody is logged in), ``not_administrator`` (the actor
    may not manage accounts), ``own_account``, or ``administrator`` (the account is that of one).
    """

    code = "impersonation_refused"
    message = "You cannot work in this account."


class PasswordResetRequired(AuthError):
    """The password is right, but an administrator requires a new one, which needs the link of an e-mail."""

    code = "password_reset_required"
    message = "Please choose a new password: ask for a link to reset it."


class UserNotFound(AuthError):
    """There is no such account, or it was deleted."""

    code = "user_not_found"
    message = "There is no such account."


class AmbiguousUser(AuthError):
    """Several accounts have identifiers that begin so; ``fields["candidates"]`` are identifiers."""

    code = "ambiguous_user"
    message = "Several accounts have identifiers that begin so: give more of it."


class ExportFailed(AuthError):
    """A plugin could not return what it stores of the account; ``fields["plugin"]`` is its name."""

    code = "export_failed"
    message = "The data of this account could not be collected."


class FactorsNotRemoved(AuthError):
    """The factors of a plugin stay, so nothing was removed; ``fields["plugin"]`` is its name.

    It is blocked, is not loaded, or has failed.
    """

    code = "factors_not_removed"
    message = "The second factors of this account could not be removed."


class EmailNotFound(AuthError):
    """The logged-in user has no such address."""

    code = "email_not_found"
    message = "Your account has no such address."


class EmailNotVerified(AuthError):
    """The address is not verified, but another address of the account is."""

    code = "email_not_verified"
    message = "Please confirm this address first."


class EmailAlreadyAdded(AuthError):
    """The account already has this address."""

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
    """Another request has changed the data since the flow read it."""

    code = "conflict"
    message = "This was changed in the meantime. Please try again."


class SessionNotFound(AuthError):
    """The logged-in user has no such session."""

    code = "session_not_found"
    message = "There is no such session."


class Vetoed(AuthError):
    """A plugin refused the flow; ``fields["plugin_code"]`` is its code, ``fields["plugin"]`` its name.

    ``fields["path"]`` is the path of the plugin's page on which the person can do what is missing,
    below the prefix of the web layer, and ``fields["retry_after"]`` a time in seconds, if the plugin
    names them.
    """

    code = "vetoed"
    message = "This was refused."


class DeliveryFailed(AuthError):
    """No plugin accepted the message for delivery; nothing was stored."""

    code = "delivery_failed"
    message = "The e-mail could not be sent. Please try again later."


class ProviderNotFound(AuthError):
    """The settings have no such provider."""

    code = "provider_not_found"
    message = "There is no such login provider."


class ProviderDenied(AuthError):
    """The person or the provider denied the login; ``fields["error"]`` is the provider's error code."""

    code = "provider_denied"
    message = "The login was cancelled."


class ProviderFailed(AuthError):
    """The provider did not respond, or its response is not usable; ``fields["reason"]`` says why."""

    code = "provider_failed"
    message = "The login provider does not respond correctly. Please try again later."


class InvalidState(AuthError):
    """The callback does not belong to a redirect of this browser, is too late, or was already used."""

    code = "invalid_state"
    message = "This login was started in another browser, or took too long. Please start again."


class InvalidIdToken(AuthError):
    """The ID token or the issuer is not valid; ``fields["reason"]`` says why."""

    code = "invalid_id_token"
    message = "The provider's answer cannot be trusted."


class SocialAccountTaken(AuthError):
    """The social account is connected to another local account."""

    code = "social_account_taken"
    message = "This account at the provider is connected to another account here."


class SocialAccountNotFound(AuthError):
    """The logged-in user has no such connection, or no token is stored for it."""

    code = "social_account_not_found"
    message = "There is no such connection."


class LastLoginMethod(AuthError):
    """Nobody could log in to the account without this login method."""

    code = "last_login_method"
    message = "This is your only way to log in. Set a password first."


class AccountInactive(AuthError):
    """The account of the person who came from the provider was deactivated."""

    code = "account_inactive"
    message = "This account is closed."
