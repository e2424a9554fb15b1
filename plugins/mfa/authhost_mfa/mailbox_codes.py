"""The login of somebody who has lost all factors, by two codes that are sent to two addresses of the account.

NIST SP 800-63B-4, 4.2.2: two codes by different ways. A code has 40 bits. Both are checked at once, so that
nobody learns that one of them is right. They are valid for 10 minutes (ASVS 5.0, 6.5.5), once, and only in
the login in which they were asked for (6.6.2). What is stored is one keyed hash of both.

An account with fewer than two confirmed addresses gets the same answers: whoever knows only the password
learns neither the addresses nor their number.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from hmac import compare_digest
from math import ceil
from typing import Any
from uuid import UUID

from authhost_hookspecs import FlowError, Message, PendingLogin, Refused, Request, User, Values, utc
from sqlalchemy import Row, Select, delete, insert, select, update

from authhost_mfa import attempts, refused_tries, trusted_browsers, verification
from authhost_mfa.languages import Gettext, language_of
from authhost_mfa.policy import settings_of
from authhost_mfa.recovery_codes import new_code, normalised
from authhost_mfa.refused_tries import TooManyTries
from authhost_mfa.tables import mailbox_codes_table
from authhost_mfa.values import CODE_FACTORS, MAILBOXES, Authenticator, Proof
from authhost_mfa.webauthn import purpose_of_pending_login

log = logging.getLogger("authhost.mfa")
CODE_LENGTH = 8
LIFETIME = timedelta(minutes=10)
TRIES = 5
"""How often a pair of codes may be tried."""
SENDINGS, SENDING_WINDOW = 3, timedelta(hours=1)
"""How often codes are sent for an account."""


def is_offered(request: Request) -> bool:
    """Return whether the operator allows it."""
    return settings_of(request).recovery_by_email


def require_setting(request: Request) -> None:
    """Raise `Refused` unless the operator allows it."""
    if not is_offered(request):
        text = language_of(request).gettext("Codes by e-mail are not possible on this site.")
        raise Refused("recovery_off", text)


def send(request: Request, pending: PendingLogin) -> None:
    """Send a code to each of two confirmed addresses; to one that is the only one, that there is no code.

    Raises `Refused`. The unit of work must not have written anything, like for `attempts.count`.
    """
    require_setting(request)
    user, gettext = pending.user, language_of(request).gettext
    with request.host.reader.connect() as connection:
        sent = connection.execute(_sendings(user, request.now)).scalars().all()
    if len(sent) >= SENDINGS:
        with verification.reported_limit(request, user, MAILBOXES):
            raise _sent_too_often(sent[0], request.now, refused_tries.count(request, user.id), gettext)
    request.logins.lock(user.id)
    sent = request.db.execute(_sendings(user, request.now)).scalars().all()
    if len(sent) >= SENDINGS:  # other requests were faster
        raise _sent_too_often(sent[0], request.now, 0, gettext)
    identifier, codes = request.new_id(), (new_code(CODE_LENGTH), new_code(CODE_LENGTH))
    addresses = _addresses(request, user)
    digest = request.keyed_hash(_state(identifier, codes, addresses))
    _store(request, pending, identifier, digest if len(addresses) > 1 else None)
    for address, code in zip(addresses, codes, strict=False):
        _deliver(request, user, address, code if len(addresses) > 1 else None)


def check(request: Request, pending: PendingLogin, values: Values) -> Proof:
    """Check both codes, and use them up. Raises `Refused`.

    The unit of work must not have written anything, like for `attempts.count`.
    """
    require_setting(request)
    user, gettext = pending.user, language_of(request).gettext
    with verification.reported_limit(request, user, MAILBOXES):
        row = _count_try(request, pending, gettext)
    wrong = Refused("wrong_code", gettext("The codes are wrong, or too old."), field="first_code")
    if row is None:
        raise wrong
    codes = str(values["first_code"]), str(values["second_code"])
    digests = request.keyed_hashes(_state(row.id, codes, _addresses(request, user)))
    tried = Authenticator(None, MAILBOXES, "", utc(row.created_at))
    with verification.reported(request, user, tried):
        if not any(compare_digest(each, row.codes_digest or "") for each in digests):
            raise wrong
    request.logins.lock(user.id)
    table = mailbox_codes_table.c
    unused = table.id == row.id, table.codes_digest == row.codes_digest
    if not request.db.execute(update(mailbox_codes_table).where(*unused).values(codes_digest=None)).rowcount:
        raise wrong  # another request has used them meanwhile
    attempts.reset(request, user.id, None)
    trusted_browsers.end_trust(request, user.id)
    request.call_hook("second_factors_recovered", user=user)
    return Proof(MAILBOXES, CODE_FACTORS)


def _sendings(user: User, now: datetime) -> Select[Any]:
    """Select when codes were sent for an account, the first time first."""
    table = mailbox_codes_table.c
    recent = table.user_id == user.id, table.created_at > now - SENDING_WINDOW
    return select(table.created_at).where(*recent).order_by(table.created_at)


def _sent_too_often(first: datetime, now: datetime, repeated: int, gettext: Gettext) -> TooManyTries:
    seconds = ceil((utc(first) + SENDING_WINDOW - now).total_seconds())
    text = gettext(
        "Codes were sent several times. Minutes until the next time: %(count)s", count=ceil(seconds / 60)
    )
    return TooManyTries(text, repeated, retry_after=seconds)


def _addresses(request: Request, user: User) -> list[str]:
    """Return the confirmed addresses to send codes to: the primary one first, then the oldest other one."""
    account = request.account(user.id)
    found = account.email_addresses if account is not None else ()
    return [each.email for each in sorted(found, key=lambda each: not each.primary) if each.verified][:2]


def _store(request: Request, pending: PendingLogin, identifier: UUID, digest: str | None) -> None:
    """Store the codes, which replace those that were sent in this login before."""
    table, login = mailbox_codes_table.c, _login(pending)
    of_user = table.user_id == pending.user.id
    old = delete(mailbox_codes_table).where(of_user, table.created_at <= request.now - SENDING_WINDOW)
    request.db.execute(old)
    request.db.execute(
        update(mailbox_codes_table)
        .where(of_user, table.login.in_(request.keyed_hashes(login)))
        .values(codes_digest=None)
    )
    row = {
        "id": identifier,
        "user_id": pending.user.id,
        "login": request.keyed_hash(login),
        "codes_digest": digest,
        "tries": 0,
        "created_at": request.now,
    }
    request.db.execute(insert(mailbox_codes_table), row)


def _count_try(request: Request, pending: PendingLogin, gettext: Gettext) -> Row[Any] | None:
    """Count a try in a transaction of its own; return the codes of this login, or None if there are none now.

    Raises `TooManyTries`.
    """
    table, now = mailbox_codes_table.c, request.now
    login = request.keyed_hashes(_login(pending))
    of_login = table.user_id == pending.user.id, table.login.in_(login)
    latest = select(mailbox_codes_table).where(*of_login, table.created_at > now - LIFETIME)
    latest = latest.order_by(table.created_at.desc(), table.id.desc()).limit(1)
    one_more = update(mailbox_codes_table).values(tries=table.tries + 1)
    with request.host.engine.begin() as connection:
        row: Row[Any] | None = connection.execute(latest).first()
        if row is None:
            return None
        counted = connection.execute(one_more.where(table.id == row.id, table.tries < TRIES)).rowcount
    if counted:
        return row
    text = gettext("These codes cannot be used any more. Ask for new ones.")
    raise TooManyTries(text, refused_tries.count(request, pending.user.id), field="first_code")


def _login(pending: PendingLogin) -> str:
    """Return a text that names the login. A keyed hash of it is stored."""
    return f"mfa mailbox codes: {purpose_of_pending_login(pending)}"


def _state(identifier: UUID, codes: Sequence[str], addresses: Sequence[str]) -> str:
    """Return a text of which a keyed hash is stored. The order of both codes does not matter.

    Nobody is told which is the first. A change of the addresses makes them useless: somebody may
    have lost one of the mailboxes.
    """
    both, sent = " ".join(sorted(map(normalised, codes))), " ".join(addresses)
    return f"mfa mailbox codes {identifier} for {sent}: {both}"


def _deliver(request: Request, user: User, address: str, code: str | None) -> None:
    """Send a code, or that there is none. A failure changes no answer, which would tell of the address."""
    gettext, site = language_of(request).gettext, request.settings.site_name
    begun = gettext(
        "Somebody has begun to log in to your account at %(site)s, and has no second factor.", site=site
    )
    if code is not None:
        subject = gettext("A code for your login at %(site)s", site=site)
        minutes = int(LIFETIME.total_seconds() // 60)
        enter = gettext(
            "Enter this code, and the one that was sent to another address of your account: %(code)s",
            code=code,
        )
        more = (enter, gettext("It is valid for %(count)s minutes.", count=minutes))
    else:
        subject = gettext("Your login at %(site)s", site=site)
        more = (
            gettext("No codes were sent, because your account has only one confirmed address."),
            gettext("Ask the operator of this site for help."),
        )
    warning = gettext("If this was not you, tell nobody the code, and change your password.")
    text = "\n\n".join((begun, *more, warning)) + "\n"
    expires = request.now + LIFETIME if code is not None else None
    try:
        request.send(Message("plugin", address, subject=subject, text=text, expires=expires, user_id=user.id))
    except FlowError as error:
        log.error("a code for two mailboxes was not sent: %s", error.code)
