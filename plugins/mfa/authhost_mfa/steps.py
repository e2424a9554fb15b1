"""What a login still needs of this plugin: a second factor, or the enrolment of one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from authhost_hookspecs import Factor, LoginStep, PendingLogin, Refused, Request, User, Values

from authhost_mfa import (
    authenticators,
    enrolment,
    key_enrolment,
    mailbox_codes,
    recovery_codes,
    security_keys,
    trusted_browsers,
    verification,
)
from authhost_mfa.enrolment import Setup
from authhost_mfa.languages import language_of
from authhost_mfa.policy import must_enrol, proves_two_factors, settings_of
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.security_keys import keys_of, translated
from authhost_mfa.values import CODE_FACTORS, MAILBOXES, NAME, RECOVERY_CODE, TOTP, WEBAUTHN, factors_of_key
from authhost_mfa.webauthn import (
    MissingCredential,
    new_challenge,
    purpose_of_enrolment,
    purpose_of_pending_login,
)

SECOND_FACTOR, ENROL = "second_factor", "enrol"
VERIFY_PATH, ENROL_PATH = "/verify", "/enrol"


def steps_of(request: Request, user: User) -> list[LoginStep]:
    """Return the steps of the login that runs. Without a guard and a policy it costs no query."""
    pending = request.logins.pending
    if pending is None or settings_of(request).policy == "off":
        return []
    if proves_two_factors(pending.authentications):
        return []
    is_guarded = NAME in user.login_guards
    if not is_guarded and not must_enrol(request, user):
        return []
    ids = [each.id for each in authenticators.rows_of(request, user.id)]
    if not is_guarded and not ids:
        return [LoginStep(ENROL, ENROL_PATH, (TOTP, WEBAUTHN), last=True)]
    # An account with authenticators and without the guard has passkeys that its user has not made a second
    # factor. The policy requires one of them.
    return [] if trusted_browsers.is_trusted(request, pending, ids) else [_verify(request, pending)]


def _verify(request: Request, pending: PendingLogin) -> LoginStep:
    by_email = (MAILBOXES,) if mailbox_codes.is_offered(request) else ()
    return LoginStep(SECOND_FACTOR, VERIFY_PATH, (*methods_of_login(request, pending), *by_email))


def first_key_use(pending: PendingLogin) -> datetime | None:
    """Return when a key was the first proof of a login, or None. A key used since then is no second factor.

    The login does not say which key it was, and the time of its use never goes back.
    """
    by_key = any(each.method == WEBAUTHN for each in pending.authentications)
    return pending.started if by_key else None


def methods_of_login(request: Request, pending: PendingLogin) -> list[str]:
    """Return the methods for the second factor of a login."""
    return methods(request, pending.user.id, keys_unused_since=first_key_use(pending))


def methods(request: Request, user_id: UUID, *, keys_unused_since: datetime | None = None) -> list[str]:
    """Return the methods of a user, the one that was used last first, and recovery codes last."""
    rows = authenticators.rows_of(request, user_id, keys_unused_since=keys_unused_since)
    last = authenticators.last_kind(request, user_id)
    kinds = sorted(dict.fromkeys(each.kind for each in rows), key=lambda each: each != last)
    return [*kinds, *([RECOVERY_CODE] if recovery_codes.of_user(request, user_id) else [])]


def pending_login(request: Request) -> PendingLogin:
    """Return the pending login, which the web layer has checked to wait for a step of this plugin."""
    pending = request.logins.pending
    assert pending is not None
    return pending


def begin_verification(request: Request) -> str:
    """Return the options for a key of the pending login's user."""
    pending = pending_login(request)
    keys = keys_of(request, pending.user.id, unused_since=first_key_use(pending))
    return security_keys.options(request, new_challenge(request, purpose_of_pending_login(pending)), keys)


def verify(request: Request, values: Values) -> None:
    """Complete the step with a code or a key; with ``trust`` this browser needs none for some days."""
    pending = pending_login(request)
    proof = verification.check(
        request,
        pending.user,
        values,
        purpose_of_pending_login(pending),
        keys_unused_since=first_key_use(pending),
    )
    if values.get("trust"):
        ids = [each.id for each in authenticators.rows_of(request, pending.user.id)]
        trusted_browsers.trust(request, pending, ids)
    request.logins.complete_step(f"{NAME}.{SECOND_FACTOR}", method=proof.method, factors=proof.factors)


def send_mailbox_codes(request: Request) -> None:
    """Send codes to two addresses of somebody who has lost all factors."""
    mailbox_codes.send(request, pending_login(request))


def verify_mailbox_codes(request: Request, values: Values) -> None:
    """Complete the step with the codes of two mailboxes."""
    proof = mailbox_codes.check(request, pending_login(request), values)
    request.logins.complete_step(f"{NAME}.{SECOND_FACTOR}", method=proof.method, factors=proof.factors)


def begin_enrolment(request: Request) -> Setup:
    """Return a new secret for an app of the user of the pending login."""
    pending = pending_login(request)
    return enrolment.begin(request, pending.user, _binding(pending))


def begin_key_enrolment(request: Request) -> str:
    """Return the options for a passkey or security key of the user of the pending login."""
    pending = pending_login(request)
    return key_enrolment.begin(request, pending.user, purpose_of_enrolment(pending))


def enrol(request: Request, values: Values) -> CodeSet | None:
    """Complete the step by adding an app, or a passkey or security key; return the recovery codes.

    Whoever knows the password alone gets here, so it is possible only while the account has no
    authenticator at all.
    """
    pending = pending_login(request)
    user = pending.user
    if values.get("credential"):
        key = key_enrolment.check(request, user, purpose_of_enrolment(pending), values)
        _complete_enrolment(request, user, WEBAUTHN, factors_of_key(user_verified=key.user_verified))
        return authenticators.add_key(request, user, key, str(values["name"]), second_factor=True)
    if not (values.get("setup") or values.get("code")):
        with translated(request):
            raise MissingCredential
    secret, step = enrolment.check(request, user, _binding(pending), values)
    _complete_enrolment(request, user, TOTP, CODE_FACTORS)
    return authenticators.add_totp(request, user, secret, step)


def _complete_enrolment(request: Request, user: User, method: str, factors: tuple[Factor, ...]) -> None:
    request.logins.complete_step(f"{NAME}.{ENROL}", method=method, factors=factors)
    if authenticators.has_any_now(request, user.id):
        text = language_of(request).gettext("This account has an authenticator already. Log in again.")
        raise Refused("already_enrolled", text)


def _binding(pending: PendingLogin) -> str:
    """Return what binds a new secret to this login."""
    return f"login of {pending.started.isoformat()}"
