"""Checks a second factor: a code of an app, a recovery code, or the response of a passkey or security key."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import NoReturn

from authhost_hookspecs import CannotOpen, Refused, Request, User, Values
from sqlalchemy import or_, update

from authhost_mfa import attempts, authenticators, recovery_codes, security_keys, totp
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.refused_tries import TooManyTries
from authhost_mfa.security_keys import keys_of, translated
from authhost_mfa.tables import authenticator_table, secret_purpose
from authhost_mfa.values import (
    CODE_FACTORS,
    RECOVERY_CODE,
    RECOVERY_CODES,
    TOTP,
    WEBAUTHN,
    Authenticator,
    Proof,
    factors_of_key,
)
from authhost_mfa.webauthn import MissingCredential, UnknownCredential, credential_id_of

log = logging.getLogger("authhost.mfa")


def check(
    request: Request,
    user: User,
    values: Values,
    purpose: str,
    *,
    keys_unused_since: datetime | None = None,
    reauthentication: bool = False,
) -> Proof:
    """Check the field ``credential``, ``recovery_code`` or ``code``. Raises `Refused`.

    ``purpose`` is that of the challenge. A key that was used at ``keys_unused_since`` or later is
    refused: it was the first proof of the login. The unit of work must not have written anything; see
    `attempts`.
    """
    response = str(values.get("credential", ""))
    if not response:
        if not any(str(values.get(each, "")).strip() for each in ("code", "recovery_code")):
            _refuse_empty_form(request, user, keys_unused_since)
        return Proof(_check_code(request, user, values, reauthentication), CODE_FACTORS)
    with translated(request):
        return _check_key(request, user, response, purpose, keys_unused_since, reauthentication)


def _refuse_empty_form(request: Request, user: User, keys_unused_since: datetime | None) -> NoReturn:
    """Say what to enter to somebody who has sent an empty form, such as that of a key without JavaScript."""
    if keys_of(request, user.id, unused_since=keys_unused_since):
        with translated(request):
            raise MissingCredential
    raise Refused("wrong_code", language_of(request).gettext("Enter the code."), field="code")


def _check_key(
    request: Request,
    user: User,
    response: str,
    purpose: str,
    unused_since: datetime | None,
    reauthentication: bool,
) -> Proof:
    challenge = security_keys.open_challenge(request, response, purpose)
    identifier, keys = credential_id_of(response), keys_of(request, user.id, unused_since=unused_since)
    key = next((each for each in keys if each.credential_id == identifier), None)
    if key is None:
        raise UnknownCredential
    with reported(request, user, key.authenticator, reauthentication=reauthentication):
        found = security_keys.verify(request, key, response, challenge)
    request.logins.lock(user.id)
    security_keys.record_use(request, key, found, challenge)
    attempts.reset(request, user.id, WEBAUTHN)
    _call_used(request, user, key.authenticator, reauthentication)
    return Proof(WEBAUTHN, factors_of_key(user_verified=found.user_verified))


def _check_code(request: Request, user: User, values: Values, reauthentication: bool) -> str:
    """Check the field ``code`` or ``recovery_code``; return the method."""
    typed = str(values.get("recovery_code", "")).strip()
    if typed:
        _check_recovery_code(request, user, typed, reauthentication)
        return RECOVERY_CODE
    _check_totp(request, user, str(values.get("code", "")), reauthentication)
    return TOTP


def _check_totp(request: Request, user: User, code: str, reauthentication: bool) -> None:
    """Check a code of the authenticator app, and use it up."""
    gettext = language_of(request).gettext
    with reported_limit(request, user, TOTP, reauthentication=reauthentication):
        attempts.count(request, user.id, gettext)
    row = next((each for each in authenticators.rows_of(request, user.id) if each.kind == TOTP), None)
    if row is None:
        raise Refused("wrong_code", _wrong(gettext), field="code")
    used = authenticators.as_value(row)
    try:
        secret = request.open(row.secret, secret_purpose(row.id))
    except CannotOpen:
        log.error("the secret of an authenticator app cannot be decrypted: run `authhost check`")
        raise Refused("wrong_code", _wrong(gettext), field="code") from None
    step = totp.matching_step(secret, code, request.now)
    if step is None or (row.last_step is not None and step <= row.last_step):
        _fail(request, user, used, reauthentication, "code", _wrong(gettext))
    request.logins.lock(user.id)
    table = authenticator_table.c
    unused = or_(table.last_step.is_(None), table.last_step < step)
    values = {"last_step": step, "last_used_at": request.now}
    if not request.db.execute(
        update(authenticator_table).where(table.id == row.id, unused).values(values)
    ).rowcount:
        raise Refused("wrong_code", _wrong(gettext), field="code")  # another request has used it meanwhile
    attempts.reset(request, user.id, TOTP)
    _call_used(request, user, used, reauthentication)


def _check_recovery_code(request: Request, user: User, code: str, reauthentication: bool) -> None:
    """Check a recovery code, and delete it."""
    gettext = language_of(request).gettext
    text = gettext("The recovery code is wrong, or was used before.")
    codes = recovery_codes.of_user(request, user.id)
    if codes is None:
        raise Refused("wrong_code", text, field="recovery_code")
    if not recovery_codes.exists(request, user.id, code):
        _fail(request, user, codes, reauthentication, "recovery_code", text)
    request.logins.lock(user.id)
    if not recovery_codes.use(request, user.id, code):
        raise Refused("wrong_code", text, field="recovery_code")  # another request has used it meanwhile
    attempts.reset(request, user.id, None)
    left = recovery_codes.of_user_now(request, user.id)
    count = left.remaining if left is not None else 0
    used = Authenticator(None, RECOVERY_CODES, "", codes.created_at, request.now, remaining=count)
    _call_used(request, user, used, reauthentication)
    request.answer.message("warning", gettext("Recovery codes left: %(count)s", count=count))


def _call_used(request: Request, user: User, used: Authenticator, reauthentication: bool) -> None:
    request.call_hook(
        "authenticator_used",
        user=user,
        authenticator=used,
        reauthenticated=reauthentication,
        passwordless=False,
    )


@contextmanager
def reported(
    request: Request, user: User, tried: Authenticator, *, reauthentication: bool = False
) -> Iterator[None]:
    """Call `authentication_failed` if the block raises a refusal."""
    try:
        yield
    except Refused:
        _report(request, user, tried, reauthentication)
        raise


@contextmanager
def reported_limit(
    request: Request, user: User, method: str, *, reauthentication: bool = False
) -> Iterator[None]:
    """Call `authentication_refused` if a limit refuses the block, unless a later call stands for it."""
    try:
        yield
    except TooManyTries as refusal:
        if refusal.repeated:
            with _unit_of_its_own(request) as other:
                other.call_hook(
                    "authentication_refused",
                    user=user,
                    method=method,
                    reauthentication=reauthentication,
                    repeated=refusal.repeated,
                )
        raise


def _fail(
    request: Request, user: User, tried: Authenticator, reauthentication: bool, field: str, text: str
) -> NoReturn:
    _report(request, user, tried, reauthentication)
    raise Refused("wrong_code", text, field=field)


def _report(request: Request, user: User, tried: Authenticator, reauthentication: bool) -> None:
    with _unit_of_its_own(request) as other:
        other.call_hook(
            "authentication_failed", user=user, authenticator=tried, reauthentication=reauthentication
        )


def _unit_of_its_own(request: Request) -> AbstractContextManager[Request]:
    """Return a unit of work for the record of a refusal, since that of the request is rolled back."""
    return request.host.request(
        ip_address=request.ip_address, user_agent=request.user_agent, language=request.language
    )


def _wrong(gettext: Gettext) -> str:
    return gettext("The code is wrong, or was used before. Codes change every 30 seconds.")
