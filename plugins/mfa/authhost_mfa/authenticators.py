"""The stored authenticators of an account: finds, adds, changes and removes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from authhost_hookspecs import Refused, Request, User, utc
from sqlalchemy import Row, Select, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_mfa import recovery_codes, trusted_browsers
from authhost_mfa.languages import language_of
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.tables import (
    NAME_LENGTH,
    account_table,
    authenticator_table,
    secret_purpose,
)
from authhost_mfa.values import NAME, TOTP, WEBAUTHN, Authenticator, single_line
from authhost_mfa.webauthn import NewCredential

USED_KEY = "used_key"
"""The id of the key that this unit of work uses, in ``request.local``."""
REMOVED = "removed"
"""The user whose authenticators this unit of work has removed, there."""


def rows_of(
    request: Request, user_id: UUID, *, keys_unused_since: datetime | None = None
) -> Sequence[Row[Any]]:
    """Return the rows of a user's authenticators as they are stored, the one that was used last first.

    With ``keys_unused_since``, passkeys and security keys that were used at that time or later are left out,
    also the one that this unit of work uses. What this unit has written is not visible to the reader.
    """
    if request.local(NAME).get(REMOVED) == user_id:
        return []
    with request.host.reader.connect() as connection:
        rows = connection.execute(_of_user(user_id)).all()
    if keys_unused_since is not None:
        rows = [
            each
            for each in rows
            if each.kind != WEBAUTHN
            or (
                (each.last_used_at is None or utc(each.last_used_at) < keys_unused_since)
                and each.id != request.local(NAME).get(USED_KEY)
            )
        ]
    return sorted(rows, key=lambda row: utc(row.last_used_at or row.created_at), reverse=True)


def of_user(request: Request, user_id: UUID) -> list[Authenticator]:
    """Return a user's authenticators without recovery codes, the one that was used last first."""
    return [as_value(row) for row in rows_of(request, user_id)]


def of_user_now(request: Request, user_id: UUID) -> list[Authenticator]:
    """Return the same within the transaction of the request."""
    return [as_value(row) for row in request.db.execute(_of_user(user_id))]


def as_value(row: Row[Any]) -> Authenticator:
    """Return what hooks and pages get of a row."""
    used = utc(row.last_used_at) if row.last_used_at is not None else None
    return Authenticator(row.id, row.kind, row.name, utc(row.created_at), used, row.second_factor)


def last_kind(request: Request, user_id: UUID) -> str | None:
    """Return the method that was used last."""
    column = account_table.c.last_kind
    with request.host.reader.connect() as connection:
        found: str | None = connection.execute(
            select(column).where(account_table.c.user_id == user_id)
        ).scalar()
    return found


def user_handle(request: Request, user_id: UUID) -> bytes:
    """Return the id of a user for WebAuthn: a keyed hash, as it was when the first authenticator was added.

    It is stored with that one, since it must not change with the key of the hash.
    """
    column = account_table.c.user_handle
    with request.host.reader.connect() as connection:
        found = connection.execute(select(column).where(account_table.c.user_id == user_id)).scalar()
    return bytes(found) if found is not None else _new_handle(request, user_id)


def _create_account(request: Request, user_id: UUID, handle: bytes | None) -> None:
    """Create the row of the account if there is none yet, with the ``handle`` of its first passkey."""
    if request.db.execute(select(account_table.c.user_id).where(account_table.c.user_id == user_id)).first():
        return
    row = {"user_id": user_id, "user_handle": handle or _new_handle(request, user_id), "failures": 0}
    with suppress(IntegrityError), request.db.begin_nested():  # another request may be faster
        request.db.execute(insert(account_table), row)


def _new_handle(request: Request, user_id: UUID) -> bytes:
    # Of the oldest key: the options and the end of an enrolment may be answered under different keys.
    return bytes.fromhex(request.keyed_hashes(f"mfa user handle {user_id}")[-1])


def add_totp(request: Request, user: User, secret: str, step: int) -> CodeSet | None:
    """Add an authenticator app, whose code of the period ``step`` was typed.

    Returns the recovery codes if the user had none. Raises `Refused` if there is such an authenticator.
    """
    identifier = request.new_id()
    return _add(
        request,
        user,
        {
            "id": identifier,
            "kind": TOTP,
            "second_factor": True,
            "totp_of": user.id,
            "secret": request.seal(secret, secret_purpose(identifier)),
            "last_step": step,
        },
    )


def add_key(
    request: Request,
    user: User,
    key: NewCredential,
    name: str,
    *,
    second_factor: bool,
    user_handle: bytes | None = None,
) -> CodeSet | None:
    """Add a passkey or security key; with ``second_factor`` each login asks for it, or for another factor.

    ``user_handle`` is what the passkey of a signup stores: it was made before there was an account.
    Returns the recovery codes if it is a second factor and the user had none. Raises `Refused` if an account
    has it already.
    """
    return _add(
        request,
        user,
        {
            "kind": WEBAUTHN,
            "name": name,
            "second_factor": second_factor,
            "credential_digest": sha256(key.credential_id).digest(),
            "credential_id": key.credential_id,
            "public_key": key.public_key,
            "sign_count": key.sign_count,
            "transports": " ".join(key.transports),
            "aaguid": key.aaguid,
            "backup_eligible": key.backup_eligible,
            "backed_up": key.backed_up,
            "user_verified": key.user_verified,
            "discoverable": key.discoverable,
        },
        user_handle,
    )


def _add(
    request: Request, user: User, values: Mapping[str, Any], user_handle: bytes | None = None
) -> CodeSet | None:
    """Add an authenticator with the columns ``values``. The first second factor guards the account's logins.

    Returns the recovery codes if it is a second factor and the user had none. Raises `Refused` if it is
    not the first of its kind, but must be.
    """
    row = {"id": request.new_id(), "name": "", "user_id": user.id, "created_at": request.now, **values}
    row["name"] = single_line(str(row["name"]))[:NAME_LENGTH].strip()
    if row["second_factor"]:
        request.logins.guard(NAME, user.id)  # locks the account
    _create_account(request, user.id, user_handle)
    try:
        with request.db.begin_nested():
            request.db.execute(insert(authenticator_table), row)
    except IntegrityError as error:
        text = language_of(request).gettext("This authenticator has been added already.")
        raise Refused("already_added", text) from error
    trusted_browsers.end_trust(request, user.id)
    added = Authenticator(row["id"], row["kind"], row["name"], request.now, None, row["second_factor"])
    request.call_hook("authenticator_added", user=user, authenticator=added)
    return _first_codes(request, user) if row["second_factor"] else None


def _first_codes(request: Request, user: User) -> CodeSet | None:
    """Create recovery codes unless the user has some."""
    if recovery_codes.of_user_now(request, user.id) is not None:
        return None
    codes = recovery_codes.replace(request, user)
    request.call_hook("authenticator_added", user=user, authenticator=codes.authenticator)
    return codes


def remove(request: Request, user: User, identifier: UUID, *, is_replaced: bool = False) -> bool:
    """Remove an authenticator; return whether it was this call that removed it.

    With the last second factor the recovery codes and the guard of the account are deleted, unless the
    caller adds another one in its place.
    """
    table = authenticator_table.c
    here = table.id == identifier, table.user_id == user.id
    lock(request, user)
    row = request.db.execute(select(authenticator_table).where(*here)).first()
    if row is None or not request.db.execute(delete(authenticator_table).where(*here)).rowcount:
        _end_protection(request, user)
        return False
    trusted_browsers.end_trust(request, user.id)
    request.call_hook("authenticator_removed", user=user, authenticator=as_value(row))
    if not is_replaced:
        _end_protection(request, user)
    return True


def lock(request: Request, user: User) -> None:
    """Let other changes of the user's authenticators wait until this unit of work ends.

    What is checked after it holds until the commit. It guards the account, too: see `_end_protection`.
    """
    request.logins.guard(NAME, user.id)


def _end_protection(request: Request, user: User) -> None:
    """Delete the recovery codes and the guard if the user has no second factor any more."""
    if has_second_factor_now(request, user.id):
        return
    codes = recovery_codes.of_user_now(request, user.id)
    recovery_codes.delete_all(request, user.id)
    request.logins.unguard(NAME, user.id)
    if codes is not None:
        request.call_hook("authenticator_removed", user=user, authenticator=codes)


def rename(request: Request, user: User, identifier: UUID, name: str) -> bool:
    """Rename a passkey or security key; return whether it exists."""
    values = {"name": single_line(name)[:NAME_LENGTH].strip()}
    return bool(request.db.execute(_key(user, identifier).values(values)).rowcount)


def set_second_factor(
    request: Request, user: User, identifier: UUID, *, second_factor: bool
) -> CodeSet | None:
    """Make a key a second factor, or no longer one; return the recovery codes if there were none.

    With the last second factor the recovery codes are deleted. Raises `LookupError` if there is no such
    passkey or security key.
    """
    lock(request, user)
    keys = {each.id: each for each in request.db.execute(_of_user(user.id)) if each.kind == WEBAUTHN}
    if identifier not in keys:
        raise LookupError
    if keys[identifier].second_factor != second_factor:
        request.db.execute(_key(user, identifier).values({"second_factor": second_factor}))
        trusted_browsers.end_trust(request, user.id)
        changed = replace(as_value(keys[identifier]), second_factor=second_factor)
        request.call_hook("authenticator_changed", user=user, authenticator=changed)
    _end_protection(request, user)
    return _first_codes(request, user) if second_factor else None


def has_any_now(request: Request, user_id: UUID) -> bool:
    """Return whether a user has an authenticator, within the transaction of the request."""
    return request.db.execute(_of_user(user_id)).first() is not None


def has_second_factor_now(request: Request, user_id: UUID, *, besides: UUID | None = None) -> bool:
    """Return whether a user has a second factor, ``besides`` one, within the transaction of the request."""
    rows = request.db.execute(_of_user(user_id))
    return any(each.second_factor and each.id != besides for each in rows)


def is_last_passkey_now(request: Request, user_id: UUID, identifier: UUID) -> bool:
    """Return whether one authenticator is the only one that logs its user in without anything else."""
    rows = request.db.execute(_of_user(user_id))
    return {each.id for each in rows if each.kind == WEBAUTHN and each.discoverable is not False} == {
        identifier
    }


def _key(user: User, identifier: UUID) -> Update:
    """Return the change of a passkey or security key: other authenticators have no name and no choice."""
    table = authenticator_table.c
    of_user = table.id == identifier, table.user_id == user.id, table.kind == WEBAUTHN
    return update(authenticator_table).where(*of_user)


def _of_user(user_id: UUID) -> Select[Any]:
    return select(authenticator_table).where(authenticator_table.c.user_id == user_id)
