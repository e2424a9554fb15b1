"""Finds accounts. Every search uses an index, so that it takes no longer with millions of accounts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, func, or_, select

from authhost.errors import AmbiguousUser, HostClosed, InvalidInput, UserNotFound
from authhost.records import User
from authhost.security.inputs import email_key, key_of, text
from authhost.services import Services
from authhost.store import queries, statements
from authhost.store.prepared import Row
from authhost.store.tables import addresses, sessions, social_accounts, unverified_primary, users

UserFilter = Literal["active", "deactivated", "verified", "unverified", "guarded", "passwordless"]
"""What `Directory.list` can select."""
MAX_TEXT, MAX_LIMIT, MAX_CANDIDATES = 254, 1000, 10
HEX = re.compile(r"[0-9a-f]{4,32}")
LAST = "\U0010ffff"
"""No text sorts after it. Not a character that a name or an address can have."""


@dataclass(frozen=True, slots=True)
class UserStats:
    """Numbers of accounts. ``recent`` logged in within 30 days."""

    total: int
    active: int
    deactivated: int
    verified: int
    with_password: int
    with_social_account: int
    guarded: int
    recent: int
    sessions: int


@dataclass(frozen=True, slots=True)
class UserPage:
    """Some accounts, the newest first, and where the pages beside this one begin."""

    users: Sequence[User]
    newer: UUID | None
    """``after`` of the page with newer accounts, or None if there are none."""
    older: UUID | None
    """``before`` of the page with older accounts, or None if there are none."""


class Directory:
    """Reads accounts for administrators; part of `Users`."""

    def __init__(self, current: Callable[[], Services]) -> None:
        self._current = current

    @property
    def _services(self) -> Services:
        """The current services: plugins may be blocked while the host is open."""
        return self._current()

    def get(self, name: str) -> User:
        """Return the account with this identifier, address or username, or whose identifier begins so.

        An address is that of the account that claims it. Raises `InvalidInput`, `UserNotFound`, and
        `AmbiguousUser` if several identifiers begin so.
        """
        given = text(name, "name", MAX_TEXT)
        with self._connection() as connection:
            found = self._rows(connection, statements.USER_BY_NAME, of_key=key_of(given))
            found = found or self._rows(connection, statements.USER_BY_ADDRESS, of_key=_key_of_address(given))
            found = found or self._rows(connection, _newest(_by_identifier(given), MAX_CANDIDATES))
        if not found:
            raise UserNotFound(f"There is no account {given!r}.", name=given)
        if len(found) > 1:
            raise AmbiguousUser(name=given, candidates=tuple(str(each.id) for each in found))
        return found[0]

    def find(self, beginning: str, *filters: UserFilter, limit: int = 20) -> Sequence[User]:
        """Return accounts whose identifier, username or one of whose addresses begins so; the newest first.

        Unverified addresses count, too. ``limit`` is at most 1000. ``filters`` select some of the first
        1000 accounts that begin so, not of all. Raises `InvalidInput`.
        """
        given = text(beginning.strip() if isinstance(beginning, str) else beginning, "beginning", MAX_TEXT)
        wanted, candidates = self._conditions(filters), MAX_LIMIT if filters else _limit(limit)
        begins = _begins(addresses.c.email_key, _key_of_address(given))
        by_address = select(addresses.c.user_id).where(begins).limit(candidates)
        by_username = select(users.c.id).where(_begins(users.c.username_key, key_of(given))).limit(candidates)
        by_identifier = select(users.c.id).where(_by_identifier(given)).order_by(users.c.id.desc())
        with self._connection() as connection:
            ids = {*connection.execute(by_address).scalars(), *connection.execute(by_username).scalars()}
            ids |= {*connection.execute(by_identifier.limit(candidates)).scalars()}
            found = _newest(and_(users.c.id.in_(ids), *wanted), _limit(limit))
            return self._rows(connection, found) if ids else ()

    def list(
        self, *filters: UserFilter, before: UUID | None = None, since: datetime | None = None, limit: int = 20
    ) -> Sequence[User]:
        """Return the newest accounts to which all ``filters`` apply.

        ``before`` is the identifier of the last account of the page before, ``since`` the earliest time of
        the signup. ``unverified`` are those with a primary address that nobody has confirmed. The filters
        ``deactivated``, ``unverified``, ``guarded`` and ``passwordless`` use indexes, except on MariaDB.
        Without an index, accounts are read until enough are found. Raises `InvalidInput`.
        """
        conditions = [*self._conditions(filters)]
        if before is not None:
            conditions.append(users.c.id < before)
        if since is not None:
            conditions.append(users.c.date_joined >= since)
        with self._connection() as connection:
            return self._rows(connection, _newest(and_(True, *conditions), _limit(limit)))

    def page(
        self, *filters: UserFilter, before: UUID | None = None, after: UUID | None = None, limit: int = 20
    ) -> UserPage:
        """Return the newest accounts to which all ``filters`` apply, as in `list`: one page of a list.

        ``after`` asks for the accounts that are next to this one, and newer. Raises `InvalidInput`.
        """
        if after is None:
            found = self.list(*filters, before=before, limit=_limit(limit) + 1)
            newer = found[0].id if found and before is not None else before
            return UserPage(found[:limit], newer, found[limit - 1].id if len(found) > limit else None)
        conditions = and_(users.c.id > after, *self._conditions(filters))
        with self._connection() as connection:
            wanted = statements.USER.where(conditions).order_by(users.c.id).limit(_limit(limit) + 1)
            found = self._rows(connection, wanted)
        if not found:
            return self.page(*filters, limit=limit)
        shown = found[:limit][::-1]
        return UserPage(shown, shown[0].id if len(found) > limit else None, shown[-1].id)

    def all(self, *filters: UserFilter, page: int = 500) -> Iterator[User]:
        """Yield all accounts to which ``filters`` apply, the newest first, a page at a time."""
        before: UUID | None = None
        while found := self.list(*filters, before=before, limit=page):
            yield from found
            before = found[-1].id

    def stats(self) -> UserStats:
        """Count the accounts. It reads all of them: seconds for millions."""
        now = self._services.clock()
        month, filters = now - timedelta(days=30), _filters(now)

        def count(condition: ColumnElement[bool]) -> ColumnElement[int]:
            return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

        of_users = select(
            func.count().label("total"),
            count(filters["active"]).label("active"),
            count(filters["deactivated"]).label("deactivated"),
            count(users.c.password.is_not(None)).label("with_password"),
            count(filters["guarded"]).label("guarded"),
            count(users.c.last_login >= month).label("recent"),
        ).select_from(users)
        verified = select(func.count()).where(addresses.c.primary_of.is_not(None), addresses.c.verified)
        connected = select(func.count(social_accounts.c.user_id.distinct()))
        open_sessions = select(func.count()).where(sessions.c.expires_at > now)
        with self._connection() as connection:
            numbers = connection.execute(of_users).one()._mapping
            others = {
                "verified": connection.execute(verified).scalar_one(),
                "with_social_account": connection.execute(connected).scalar_one(),
                "sessions": connection.execute(open_sessions).scalar_one(),
            }
        return UserStats(**{name: int(number) for name, number in {**numbers, **others}.items()})

    def _conditions(self, filters: Sequence[UserFilter]) -> Sequence[ColumnElement[bool]]:
        known = _filters(self._services.clock())
        return [known[each] if each in known else _unknown(each) for each in filters]

    def _connection(self) -> Connection:
        self._check_open()
        return self._services.database.reader.connect()

    def _rows(self, connection: Connection, statement: Select[Any], **values: Any) -> Sequence[User]:
        now = self._services.clock()
        return [queries.make_user(cast("Row", row), now) for row in connection.execute(statement, values)]

    def _check_open(self) -> None:
        if self._services.database.closed:
            raise HostClosed


def _filters(now: datetime) -> dict[str, ColumnElement[bool]]:
    """Return the conditions of `UserFilter` at the time ``now``."""
    active = or_(users.c.is_active, func.coalesce(users.c.deactivated_until <= now, false()))
    verified = func.coalesce(statements.PRIMARY_ADDRESS.c.verified, false())
    unverified = select(addresses.c.primary_of).where(unverified_primary)
    return {
        "active": active,
        "deactivated": and_(users.c.is_active == false(), ~active),
        "verified": verified,
        "unverified": users.c.id.in_(unverified),
        "guarded": users.c.login_guards.is_not(None),
        "passwordless": users.c.password.is_(None),
    }


def _newest(condition: ColumnElement[bool], limit: int) -> Select[Any]:
    return statements.USER.where(condition).order_by(users.c.id.desc()).limit(limit)


def _begins(column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Return the condition that the text begins so, as a range, for which every database uses its index."""
    return and_(column >= beginning, column < beginning + LAST)


def _key_of_address(beginning: str) -> str:
    """Return the beginning of an address in the form in which addresses are stored, as far as it has one."""
    local, at, domain = unicodedata.normalize("NFC", beginning).lower().rpartition("@")
    with suppress(UnicodeError):  # an internationalised domain has that form only if it is complete
        return email_key(f"{local}@{domain}") if at else domain
    return f"{local}@{domain}"


def _by_identifier(beginning: str) -> ColumnElement[bool]:
    """Return the condition that the identifier begins with these digits; it is false for other texts."""
    digits = beginning.lower().replace("-", "")
    if not HEX.fullmatch(digits):
        return users.c.id.in_(())
    return users.c.id.between(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))


def _limit(limit: int) -> int:
    if not 0 < limit <= MAX_LIMIT:
        raise InvalidInput(f"limit must be 1 to {MAX_LIMIT}.", field="limit")
    return limit


def _unknown(name: object) -> ColumnElement[bool]:
    raise InvalidInput(f"{name!r} is none of {', '.join(get_args(UserFilter))}.", field="filters")
