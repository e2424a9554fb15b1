"""The statements of the flows. They are built once: building a statement takes longer than running it.

Parameters named ``of_…`` and ``old_…`` are conditions, the others are new values.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from authhost import records
from authhost.store.tables import (
    addresses,
    blocked_plugins,
    confirmations,
    pending_logins,
    plugin_deletions,
    resets,
    sessions,
    social_accounts,
    social_steps,
    social_tokens,
    users,
)

_parameters: list[BindParameter[Any]]
_parameters = [bindparam(name) for name in ("of_user", "of_id", "of_key", "of_digest", "now")]
of_user, of_id, of_key, of_digest, now = _parameters


def _is_key(column: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that ``column`` equals ``of_key``. MariaDB's ``=`` ignores trailing spaces."""
    return and_(column == of_key, func.length(column) == func.length(bindparam("of_key", type_=String())))


# Accounts. `USER` is a user with its primary address; the columns are those of `queries.make_user`.

PRIMARY_ADDRESS = addresses.alias("primary_address")
USER: Select[Any] = select(
    users.c.id,
    users.c.username,
    PRIMARY_ADDRESS.c.email,
    users.c.is_active,
    users.c.password,
    users.c.date_joined,
    users.c.last_login,
    PRIMARY_ADDRESS.c.verified.label("email_verified"),
    users.c.login_guards,
    users.c.deactivated_until,
    users.c.deactivation_reason,
).select_from(users.outerjoin(PRIMARY_ADDRESS, PRIMARY_ADDRESS.c.primary_of == users.c.id))
USER_BY_ID = USER.where(users.c.id == of_user)
USER_AND_SIGNUP = USER_BY_ID.add_columns(users.c.ready_at, users.c.signup_given)
USER_BY_NAME = USER.where(_is_key(users.c.username_key))
USER_BY_ADDRESS = USER.where(
    users.c.id == select(addresses.c.user_id).where(_is_key(addresses.c.claim_key)).scalar_subquery()
)
# At most two: the account that has verified the address, and the latest signup with it that has not.
USERS_BY_ADDRESS = (
    USER.join(addresses, addresses.c.user_id == users.c.id)
    .add_columns(addresses.c.verified.label("address_verified"))
    .where(
        _is_key(addresses.c.email_key),
        or_(addresses.c.verified, addresses.c.primary_of.is_not(None)),
    )
    .order_by(addresses.c.verified.desc(), addresses.c.id.desc())
    .limit(2)
)
LOCK_USER = select(users.c.id).where(users.c.id == of_user).with_for_update(key_share=True)
INSERT_USER = insert(users)
_unchanged = users.c.password.is_not_distinct_from(bindparam("old_password"))
_old_guards = bindparam("old_guards", type_=users.c.login_guards.type)
_same_guards = users.c.login_guards.is_not_distinct_from(_old_guards)
LOG_IN = update(users).where(users.c.id == of_user, users.c.is_active, _unchanged, _same_guards)
LOG_IN = LOG_IN.values(last_login=now, signup_expires=None)
LOG_IN_AND_REHASH = LOG_IN.values(password=bindparam("new_password"))
CHANGE_PASSWORD = update(users).where(users.c.id == of_user, _unchanged)
CHANGE_PASSWORD = CHANGE_PASSWORD.values(password=bindparam("new_password"))
DEACTIVATE = update(users).where(users.c.id == of_user)
DEACTIVATE = DEACTIVATE.values(
    is_active=False,
    deactivated_at=now,
    deactivated_until=bindparam("new_until"),
    deactivation_reason=bindparam("new_reason"),
)
REACTIVATE = update(users).where(users.c.id == of_user, users.c.is_active.is_(False))
REACTIVATE = REACTIVATE.values(
    is_active=True, deactivated_at=None, deactivated_until=None, deactivation_reason=None
)
END_DEACTIVATION = REACTIVATE.where(users.c.deactivated_until <= now)
DEACTIVATIONS_THAT_END = (
    select(users.c.id).where(users.c.deactivated_at.is_not(None), users.c.deactivated_until <= now)
).order_by(users.c.id)
SET_GUARDS = update(users).where(users.c.id == of_user).values(login_guards=bindparam("new_guards"))
GUARDED_USERS = select(users.c.login_guards, func.count().label("count")).where(
    users.c.login_guards.is_not(None)
)
GUARDED_USERS = GUARDED_USERS.group_by(users.c.login_guards)
DELETE_USER = delete(users).where(users.c.id == of_user)
UNCONFIRMED_SIGNUP = select(users.c.id).where(users.c.id == of_user, users.c.signup_expires.is_not(None))
_linked = exists().where(
    addresses.c.user_id == users.c.id,
    confirmations.c.email_address_id == addresses.c.id,
    confirmations.c.expires > now,
)
_EXPIRED_SIGNUPS = select(users.c.id).where(users.c.signup_expires <= now, ~_linked).order_by(users.c.id)
EXPIRED_SIGNUP = _EXPIRED_SIGNUPS.where(users.c.id == of_user)
EXPIRED_SIGNUPS = _EXPIRED_SIGNUPS.limit(bindparam("page_size"))
EXPIRED_SIGNUPS_AFTER = EXPIRED_SIGNUPS.where(users.c.id > of_id)
"""Accounts that were not confirmed in time, and have no confirmation that is still valid."""
MARK_READY = (
    update(users)
    .where(users.c.id == of_user, users.c.ready_at.is_(None))
    .values(ready_at=now, signup_expires=None, signup_given=None, awaits_owner=None)
)

# Addresses.

ADDRESSES = select(addresses).where(addresses.c.user_id == of_user).order_by(addresses.c.id)
ADDRESS_OF_USER = select(addresses).where(addresses.c.user_id == of_user, _is_key(addresses.c.email_key))
CLAIMED_ADDRESS = select(addresses).where(_is_key(addresses.c.claim_key))
INSERT_ADDRESS = insert(addresses)
DELETE_ADDRESS = delete(addresses).where(addresses.c.id == of_id)
DELETE_OTHER_ADDRESSES = delete(addresses).where(addresses.c.user_id == of_user, addresses.c.id != of_id)
DELETE_WAITING_ADDRESSES = delete(addresses).where(
    addresses.c.user_id == of_user, addresses.c.verified.is_(False), addresses.c.primary_of.is_(None)
)
CLAIM = (
    select(
        addresses,
        users.c.ready_at,
        users.c.is_active,
        users.c.awaits_owner,
        users.c.date_joined,
        users.c.last_login,
        select(func.max(sessions.c.last_seen_at))
        .where(sessions.c.user_id == addresses.c.user_id)
        .scalar_subquery()
        .label("session_seen"),
    )
    .join(users, users.c.id == addresses.c.user_id)
    .where(_is_key(addresses.c.claim_key))
)
YIELD_CLAIM = update(addresses).where(addresses.c.id == of_id, addresses.c.verified.is_(False))
YIELD_CLAIM = YIELD_CLAIM.values(claim_key=None)
DELETE_UNVERIFIED_ADDRESS = delete(addresses).where(addresses.c.id == of_id, addresses.c.verified.is_(False))
CHANGE_ADDRESS = update(addresses).where(addresses.c.id == of_id, addresses.c.verified.is_(False))
CHANGE_ADDRESS = CHANGE_ADDRESS.values(
    email=bindparam("new_email"), email_key=bindparam("new_key"), claim_key=bindparam("new_claim_key")
)
VERIFY_ADDRESS = update(addresses).where(addresses.c.id == of_id)
VERIFY_ADDRESS = VERIFY_ADDRESS.values(verified=True, claim_key=bindparam("new_claim_key"))
YIELD_PRIMARY_CLAIM = (
    update(addresses)
    .where(addresses.c.primary_of == of_user, addresses.c.verified.is_(False))
    .values(claim_key=None)
)
UNSET_PRIMARY = update(addresses).where(addresses.c.primary_of == of_user).values(primary_of=None)
SET_PRIMARY = update(addresses).where(addresses.c.id == of_id)
SET_PRIMARY = SET_PRIMARY.values(primary_of=of_user, claim_key=bindparam("new_claim_key"))

# Keys.

CONFIRMED_ADDRESS = (
    select(addresses)
    .join(confirmations, confirmations.c.email_address_id == addresses.c.id)
    .where(confirmations.c.key_digest == of_digest, confirmations.c.expires > now)
)
INSERT_CONFIRMATION = insert(confirmations)
DELETE_CONFIRMATION = delete(confirmations).where(confirmations.c.key_digest == of_digest)
DELETE_CONFIRMATIONS = delete(confirmations).where(confirmations.c.email_address_id == of_id)
DELETE_CONFIRMATIONS_OF_USER = delete(confirmations).where(
    confirmations.c.email_address_id.in_(select(addresses.c.id).where(addresses.c.user_id == of_user))
)
DELETE_OTHER_CONFIRMATIONS = DELETE_CONFIRMATIONS_OF_USER.where(confirmations.c.email_address_id != of_id)
RESET = select(resets.c.user_id, resets.c.email_address_id).where(
    resets.c.key_digest == of_digest, resets.c.expires > now
)
INSERT_RESET = insert(resets)
DELETE_RESET = delete(resets).where(resets.c.key_digest == of_digest)
DELETE_RESETS = delete(resets).where(resets.c.user_id == of_user)

# Logins that wait.

INSERT_PENDING_LOGIN = insert(pending_logins)
PENDING_LOGIN = select(
    pending_logins.c.id,
    pending_logins.c.user_id,
    pending_logins.c.email_address_id,
    pending_logins.c.password_digest,
    pending_logins.c.authentications,
    pending_logins.c.done,
    pending_logins.c.started,
    pending_logins.c.sent,
).where(pending_logins.c.token_digest == of_digest, pending_logins.c.expires > now)
DELETE_PENDING_LOGIN = delete(pending_logins).where(pending_logins.c.id == of_id)
DELETE_PENDING_LOGINS = delete(pending_logins).where(pending_logins.c.user_id == of_user)
DELETE_LOGINS_AT_STEPS = DELETE_PENDING_LOGINS.where(pending_logins.c.email_address_id.is_(None))
"""Those that wait for the steps of plugins. Others stay, so that a confirmation knows its browser."""

# Sessions.

SESSION_COLUMNS = tuple(sessions.c[name] for name in records.Session.__slots__)
_SESSION_AND_USER = USER.add_columns(*SESSION_COLUMNS).join(sessions, sessions.c.user_id == users.c.id)
SESSION_AND_USER = _SESSION_AND_USER.where(sessions.c.token_digest == of_digest)
SESSION_BY_ID = _SESSION_AND_USER.where(sessions.c.id == of_id)
# A flow acts for the token that opened its unit of work: whoever has a token that was replaced is logged out.
USER_OF_SESSION = USER.join(sessions, sessions.c.user_id == users.c.id).where(
    sessions.c.id == of_id, sessions.c.token_digest == of_digest, users.c.is_active
)
SESSIONS = select(*SESSION_COLUMNS).where(sessions.c.user_id == of_user).order_by(sessions.c.id.desc())
INSERT_SESSION = insert(sessions)
TOUCH_SESSION = update(sessions).where(sessions.c.id == of_id).values(last_seen_at=now)
CHANGE_TOKEN = update(sessions).where(sessions.c.id == of_id, sessions.c.token_digest == of_digest)
CHANGE_TOKEN = CHANGE_TOKEN.values(
    token_digest=bindparam("new_digest"),
    authenticated_at=bindparam("new_authenticated_at"),
    authentications=bindparam("new_authentications"),
)
# Whoever replaces the token or ends the session meanwhile ends the impersonation, too.
SET_IMPERSONATION = update(sessions).where(sessions.c.id == of_id, sessions.c.token_digest == of_digest)
SET_IMPERSONATION = SET_IMPERSONATION.values(impersonation_id=bindparam("new_impersonation"))
DELETE_IMPERSONATION = delete(sessions).where(sessions.c.id == of_id).returning(*SESSION_COLUMNS)
DELETE_SESSIONS = delete(sessions).where(sessions.c.user_id == of_user).returning(*SESSION_COLUMNS)
DELETE_SESSION = DELETE_SESSIONS.where(sessions.c.id == of_id)
DELETE_OWN_SESSION = DELETE_SESSION.where(sessions.c.token_digest == of_digest)
DELETE_OTHER_SESSIONS = DELETE_SESSIONS.where(sessions.c.id != of_id)
_unused_since = bindparam("unused_since", type_=sessions.c.last_seen_at.type)
_expired = or_(sessions.c.expires_at <= now, sessions.c.last_seen_at < _unused_since)
_expired_after = and_(_expired, sessions.c.id > of_id)
EXPIRED_SESSIONS = (
    select(sessions.c.id).where(_expired_after).order_by(sessions.c.id).limit(bindparam("page_size"))
)
_expired_until = and_(_expired_after, sessions.c.id <= bindparam("last_id", type_=sessions.c.id.type))
DELETE_EXPIRED_SESSIONS = delete(sessions).where(_expired_until).returning(*SESSION_COLUMNS)

# Accounts at providers.

SOCIAL_COLUMNS = tuple(social_accounts.c[name] for name in records.SocialAccount.__slots__)
SOCIAL_ACCOUNT = select(*SOCIAL_COLUMNS).where(
    social_accounts.c.issuer == bindparam("of_issuer"), social_accounts.c.uid == bindparam("of_uid")
)
SOCIAL_ACCOUNTS = select(*SOCIAL_COLUMNS).where(social_accounts.c.user_id == of_user)
SOCIAL_ACCOUNTS = SOCIAL_ACCOUNTS.order_by(social_accounts.c.id)
SOCIAL_TOKENS = (
    select(social_tokens.c.account_id, social_tokens.c.sealed)
    .join(social_accounts, social_accounts.c.id == social_tokens.c.account_id)
    .where(social_accounts.c.user_id == of_user)
)
INSERT_SOCIAL_ACCOUNT = insert(social_accounts)
UPDATE_SOCIAL_ACCOUNT = update(social_accounts).where(social_accounts.c.id == of_id)
UPDATE_SOCIAL_ACCOUNT = UPDATE_SOCIAL_ACCOUNT.values(
    provider=bindparam("new_provider"),
    extra_data=bindparam("new_data", type_=social_accounts.c.extra_data.type),
    name=bindparam("new_name"),
    username=bindparam("new_username"),
    picture=bindparam("new_picture"),
    last_login=now,
)
DELETE_SOCIAL_ACCOUNT = delete(social_accounts).where(
    social_accounts.c.id == of_id, social_accounts.c.user_id == of_user
)
SOCIAL_TOKEN = select(social_tokens).where(social_tokens.c.account_id == of_id)
INSERT_SOCIAL_TOKEN = insert(social_tokens)
UPDATE_SOCIAL_TOKEN = update(social_tokens).where(social_tokens.c.account_id == of_id)
UPDATE_SOCIAL_TOKEN = UPDATE_SOCIAL_TOKEN.values(
    provider=bindparam("new_provider"), sealed=bindparam("new_sealed"), updated_at=now
)
REPLACE_SOCIAL_TOKEN = UPDATE_SOCIAL_TOKEN.where(social_tokens.c.sealed == bindparam("old_sealed"))
INSERT_STEP = insert(social_steps)
STEP = select(social_steps.c.sealed).where(
    social_steps.c.key_digest == of_digest, social_steps.c.expires > now
)
DELETE_STEP = delete(social_steps).where(social_steps.c.key_digest == of_digest)

# For an account that is given to the owner of its mailbox: what somebody else has set does not stay.
WIPE_PASSWORD = update(users).where(users.c.id == of_user).values(password=None)

# What plugins still have to delete of deleted accounts.

INSERT_PLUGIN_DELETION = insert(plugin_deletions)
PLUGIN_DELETION = select(plugin_deletions.c.sealed).where(plugin_deletions.c.id == of_id)
PLUGIN_DELETIONS = (
    select(plugin_deletions.c.id, plugin_deletions.c.plugin, plugin_deletions.c.user_id)
    .where(plugin_deletions.c.id > of_id)
    .order_by(plugin_deletions.c.id)
    .limit(bindparam("page_size"))
)
PLUGIN_DELETION_COUNTS = select(plugin_deletions.c.plugin, func.count()).group_by(plugin_deletions.c.plugin)
COUNT_PLUGIN_DELETION = (
    update(plugin_deletions)
    .where(plugin_deletions.c.id == of_id)
    .values(attempts=plugin_deletions.c.attempts + 1)
)
DELETE_PLUGIN_DELETION = delete(plugin_deletions).where(plugin_deletions.c.id == of_id)

# Plugins that are blocked at run time.

BLOCKED_PLUGINS = select(blocked_plugins).order_by(blocked_plugins.c.plugin)
BLOCK_PLUGIN = insert(blocked_plugins)
UNBLOCK_PLUGIN = delete(blocked_plugins).where(_is_key(blocked_plugins.c.plugin))
