"""What a login still needs of this plugin: a second factor, or the enrolment of one."""

from __future__ import annotations

from authhost_hookspecs import Factor, LoginStep, PendingLogin, Refused, Request, User, Values

from authhost_mfa import authenticators, enrolment, recovery_codes, trusted_browsers
from authhost_mfa.enrolment import Setup
from authhost_mfa.languages import language_of
from authhost_mfa.policy import must_enrol, proves_two_factors, settings_of
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.values import FACTORS, NAME, RECOVERY_CODE, TOTP
from authhost_mfa.verification import check_codes

SECOND_FACTOR, ENROL = "second_factor", "enrol"
VERIFY_PATH, ENROL_PATH = "/verify", "/enrol"


def steps_of(request: Request, user: User) -> list[LoginStep]:
    """Return the steps of the login that runs. Without a guard and a policy it costs no query."""
    pending = request.logins.pending
    if pending is None or settings_of(request).policy == "off":
        return []
    if proves_two_factors(pending.authentications):
        return []
    if NAME in pending.guards:
        ids = [each.id for each in authenticators.rows_of(request, user.id)]
        return [] if trusted_browsers.is_trusted(request, pending, ids) else [_verify(request, user)]
    if not must_enrol(request, user):
        return []
    if authenticators.rows_of(request, user.id):  # a passkey that the user has not made a second factor
        return [_verify(request, user)]
    return [LoginStep(ENROL, ENROL_PATH, (TOTP,), last=True)]


def _verify(request: Request, user: User) -> LoginStep:
    return LoginStep(SECOND_FACTOR, VERIFY_PATH, methods(request, user))


def methods(request: Request, user: User) -> tuple[str, ...]:
    """Return the methods of a user, the one that was used last first, and recovery codes otherwise last."""
    kinds = dict.fromkeys(each.kind for each in authenticators.rows_of(request, user.id))
    offered = [*kinds, *([RECOVERY_CODE] if recovery_codes.of_user(request, user.id) else [])]
    last = authenticators.last_kind(request, user.id)
    return tuple(sorted(offered, key=lambda each: each != last))


def pending_login(request: Request) -> PendingLogin:
    """Return the pending login, which the web layer has checked to wait for a step of this plugin."""
    pending = request.logins.pending
    assert pending is not None
    return pending


def verify(request: Request, values: Values) -> None:
    """Complete the step with a code; with ``trust`` this browser needs none for some days."""
    pending = pending_login(request)
    method = check_codes(request, pending.user, values)
    complete_second_factor(request, pending, method, trust=bool(values.get("trust")))


def complete_second_factor(
    request: Request,
    pending: PendingLogin,
    method: str,
    *,
    trust: bool,
    factors: tuple[Factor, ...] = FACTORS,
) -> None:
    """Complete the step after ``method`` was verified, which has proved ``factors``."""
    if trust:
        ids = [each.id for each in authenticators.rows_of(request, pending.user.id)]
        trusted_browsers.trust(request, pending, ids)
    request.logins.complete_step(f"{NAME}.{SECOND_FACTOR}", method=method, factors=factors)


def begin_enrolment(request: Request) -> Setup:
    """Return a new secret for the user of the pending login."""
    pending = pending_login(request)
    return enrolment.begin(request, pending.user, _binding(pending))


def enrol(request: Request, values: Values) -> CodeSet | None:
    """Complete the step by adding an authenticator app; return the recovery codes.

    Whoever knows the password alone gets here, so it is possible only while the account has no
    authenticator at all.
    """
    pending = pending_login(request)
    user = pending.user
    secret, step = enrolment.check(request, user, _binding(pending), values)
    request.logins.complete_step(f"{NAME}.{ENROL}", method=TOTP, factors=FACTORS)
    if authenticators.has_any_now(request, user.id):
        text = language_of(request).gettext("This account has an authenticator already. Log in again.")
        raise Refused("already_enrolled", text)
    return authenticators.add_totp(request, user, secret, step)


def _binding(pending: PendingLogin) -> str:
    """Return what binds a new secret to this login."""
    return f"login of {pending.started.isoformat()}"
