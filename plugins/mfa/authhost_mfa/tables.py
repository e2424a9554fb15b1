"""The tables: authenticators, recovery codes, counters, trusted browsers, mailbox codes, used challenges."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects import mysql

from authhost_mfa.webauthn.tables import add_used_challenge_table

metadata = MetaData()

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}.items()
}
NAME_LENGTH, USER_AGENT_LENGTH, CREDENTIAL_ID_BYTES = 100, 512, 1023


def _time(name: str, *, nullable: bool = True) -> Column[Any]:
    kind = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    return Column(name, kind, nullable=nullable)


def _bytes(name: str, length: int, **options: Any) -> Column[Any]:
    kind = LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")
    return Column(name, kind, **options)


authenticator_table = Table(
    "authhost_mfa_authenticator",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("user_id", Uuid(), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    # Whether a login requires it, or another one, once it is enrolled.
    Column("second_factor", Boolean(), nullable=False),
    _time("created_at", nullable=False),
    _time("last_used_at"),
    # TOTP. The user's id: an account has at most one of these authenticators.
    Column("totp_of", Uuid(), unique=True),
    # Encrypted for this row.
    Column("secret", Text()),
    # The latest period whose code was used: each code is accepted once.
    Column("last_step", BigInteger()),
    # WebAuthn. The SHA-256 of the credential's id, which is too long for an index.
    _bytes("credential_digest", 32, unique=True),
    _bytes("credential_id", CREDENTIAL_ID_BYTES),
    Column("public_key", LargeBinary()),
    Column("sign_count", BigInteger()),
    Column("transports", String(200)),
    Column("aaguid", String(36)),
    Column("backup_eligible", Boolean()),
    Column("backed_up", Boolean()),
    Column("user_verified", Boolean()),
    Column("discoverable", Boolean()),
    **OPTIONS,
)


SEALED = {"authhost_mfa_authenticator.secret": "mfa totp {id}"}
"""The purpose for which a secret is encrypted: it decrypts only in its row."""


def secret_purpose(identifier: UUID) -> str:
    """Return the purpose for which the secret of a row is encrypted."""
    return SEALED["authhost_mfa_authenticator.secret"].format(id=identifier)


recovery_code_table = Table(
    "authhost_mfa_recovery_code",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("user_id", Uuid(), nullable=False, index=True),
    _bytes("code_digest", 32, nullable=False, unique=True),
    _time("created_at", nullable=False),
    **OPTIONS,
)

account_table = Table(
    "authhost_mfa_account",
    metadata,
    Column("user_id", Uuid(), primary_key=True),
    # The user's id for WebAuthn, which tells nothing: authenticators show it to other sites.
    _bytes("user_handle", 64, nullable=False, unique=True),
    # Consecutive wrong codes, over all processes, and when the next one may be tried.
    Column("failures", Integer(), nullable=False),
    _time("next_try_at"),
    # Tries since `refused_since` that a limit has refused; see `refused_tries`.
    Column("refused", Integer(), nullable=False, server_default="0"),
    _time("refused_since"),
    # The method that was used last, to offer it first.
    Column("last_kind", String(32)),
    **OPTIONS,
)

trusted_browser_table = Table(
    "authhost_mfa_trusted_browser",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("user_id", Uuid(), nullable=False, index=True),
    _bytes("token_digest", 32, nullable=False, unique=True),
    # A keyed hash of the password and the authenticators, so that a change of either ends the trust.
    Column("fingerprint", String(64), nullable=False),
    Column("user_agent", String(USER_AGENT_LENGTH), nullable=False),
    _time("created_at", nullable=False),
    _time("expires_at", nullable=False),
    **OPTIONS,
)

mailbox_codes_table = Table(
    "authhost_mfa_mailbox_codes",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("user_id", Uuid(), nullable=False, index=True),
    # A keyed hash of the pending login in which the codes were asked for: they are valid only there.
    Column("login", String(64), nullable=False),
    # A keyed hash of both codes; empty if none were sent, or they are used.
    Column("codes_digest", String(64)),
    Column("tries", Integer(), nullable=False),
    _time("created_at", nullable=False),
    **OPTIONS,
)

used_challenge_table = add_used_challenge_table(metadata, **OPTIONS)
