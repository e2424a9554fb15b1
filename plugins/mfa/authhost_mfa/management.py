"""What a logged-in user changes: each change needs a recent use of the second factor, if there is one."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Refused, Request, User

from authhost_mfa import authenticators, recovery_codes, trusted_browsers
from authhost_mfa.access import current_user, require_recent_factor
from authhost_mfa.languages import language_of
from authhost_mfa.policy import must_enrol
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.values import TOTP


def remove(request: Request, identifier: str) -> None:
    """Remove an authenticator. The last second factor stays if the policy requires one."""
    user = current_user(request)
    require_recent_factor(request, user)
    wanted = _identifier(request, identifier)
    _require_another(request, user, wanted)
    _require_login_method(request, user, wanted)
    if not authenticators.remove(request, user, wanted):
        raise _not_found(request)


def remove_replaced_app(request: Request, user: User, identifier: str) -> None:
    """Remove an authenticator app in whose place this unit of work adds another one, whatever the policy.

    Raises `Refused` if the user has no such app.
    """
    wanted = _identifier(request, identifier)
    is_app = any(each.id == wanted and each.kind == TOTP for each in authenticators.rows_of(request, user.id))
    if not is_app or not authenticators.remove(request, user, wanted, is_replaced=True):
        raise _not_found(request)


def rename(request: Request, identifier: str, name: str) -> None:
    """Rename a passkey or security key."""
    user = current_user(request)
    require_recent_factor(request, user)
    if not authenticators.rename(request, user, _identifier(request, identifier), name):
        raise _not_found(request)


def set_second_factor(request: Request, identifier: str, *, second_factor: bool) -> CodeSet | None:
    """Make a passkey or security key a second factor, or no longer one.

    Returns the recovery codes if there were none. The last second factor stays if the policy requires one.
    """
    user = current_user(request)
    require_recent_factor(request, user)
    wanted = _identifier(request, identifier)
    if not second_factor:
        _require_another(request, user, wanted)
    try:
        return authenticators.set_second_factor(request, user, wanted, second_factor=second_factor)
    except LookupError:
        raise _not_found(request) from None


def _require_another(request: Request, user: User, identifier: UUID) -> None:
    """Raise `Refused` if the policy requires a second factor, and the user has no other one.

    Two requests at once cannot remove two authenticators that are each the other one.
    """
    authenticators.lock(request, user)
    has_another = authenticators.has_second_factor_now(request, user.id, besides=identifier)
    if not has_another and must_enrol(request, user):
        text = language_of(request).gettext(
            "This site requires a second factor. Add another one before you remove this one."
        )
        raise Refused("second_factor_required_by_policy", text)


def _require_login_method(request: Request, user: User, identifier: UUID) -> None:
    """Raise `Refused` if only this passkey logs the user in: there is no password and no provider.

    The caller has locked the account. A reset by e-mail sets a password.
    """
    account = request.account(user.id)
    if account is None or account.user.has_usable_password or account.social_accounts:
        return
    if authenticators.is_last_passkey_now(request, user.id, identifier):
        text = language_of(request).gettext(
            "You have no other way to log in. Set a password or add another passkey first."
        )
        raise Refused("last_login_method", text)


def replace_recovery_codes(request: Request) -> CodeSet:
    """Replace the recovery codes; the caller shows them once."""
    user = current_user(request)
    require_recent_factor(request, user)
    authenticators.lock(request, user)
    if not authenticators.has_second_factor_now(request, user.id):
        text = language_of(request).gettext("Add a second factor first.")
        raise Refused("no_second_factor", text)
    codes = recovery_codes.replace(request, user)
    trusted_browsers.end_trust(request, user.id)
    request.call_hook("authenticator_reset", user=user, authenticator=codes.authenticator)
    return codes


def revoke_browsers(request: Request, identifier: str) -> None:
    """End the trust in one browser, or in all of them if ``identifier`` is empty."""
    user = current_user(request)
    if not identifier:
        trusted_browsers.end_trust(request, user.id)
    elif not trusted_browsers.revoke(request, user.id, _identifier(request, identifier)):
        raise _not_found(request)


def _identifier(request: Request, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found(request) from None


def _not_found(request: Request) -> Refused:
    return Refused("not_found", language_of(request).gettext("It was removed already."))
