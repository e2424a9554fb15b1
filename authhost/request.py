"""The unit of work: one request, one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Executable, Insert, NestedTransaction, Row, Table, insert
from sqlalchemy.exc import DBAPIError

from authhost.errors import (
    AuthError,
    Conflict,
    HostClosed,
    InvalidInput,
    RequiredPluginFailed,
    UnitOfWorkClosed,
)
from authhost.pluginhost.guard import FAILURES, GuardedPlugin
from authhost.records import Authentication, Session, User
from authhost.security.inputs import email as parse_email
from authhost.security.inputs import ip_address as parse_ip_address
from authhost.security.keys import digest
from authhost.store import queries, statements
from authhost.store.engine import is_deadlock, was_ended

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.orm import Session as DatabaseSession

    from authhost.host import AuthHost
    from authhost.settings import Settings

log = logging.getLogger("authhost")

USER_AGENT_LENGTH = 512
LANGUAGE_LENGTH = 512


class Phase(Enum):
    """Where a unit of work is in its life."""

    NEW = "has not been entered; use it as `with host.request(…) as request:`"
    OPEN = ""
    ENDING = "has been committed, so nothing can be written any more; ask host.request() for another one"
    ENDED = "has ended with its `with` block; ask host.request() for another one"


class Callback(NamedTuple):
    """What is called after the commit, and the plugin that asked for it, if any."""

    plugin: GuardedPlugin | None
    run: Callable[[], None]


class QueuedRow(NamedTuple):
    """A plugin's row that waits for the commit."""

    plugin: str
    must_store: bool
    table: Table
    values: Mapping[str, Any]


class BrowserState(NamedTuple):
    """Who is logged in in the browser of a unit of work, and the login that waits there."""

    loaded: bool
    session: Session | None
    user: User | None
    session_token: str | None
    pending_token: str | None


class Request:
    """One unit of work, and the first argument of every hook (`authhost_hookspecs.Request`).

    A context manager: commits at the end, rolls back on an error. Reads take a
    connection for as long as the statement runs; the first write opens the
    transaction. So nothing is held while a password is hashed, unless the
    application wrote something in the same unit before.
    """

    def __init__(
        self,
        host: AuthHost,
        *,
        ip_address: str | None,
        user_agent: str,
        session_token: str | None,
        pending_token: str | None,
        language: str | None,
        native: Any,
        device_token: str | None = None,
    ) -> None:
        self.host = host
        self.id = self.new_id()
        self.ip_address = parse_ip_address(ip_address)
        self.user_agent = _user_agent(user_agent)
        self.language = _language(language)
        self.native = native
        self.caller: GuardedPlugin | None = None
        self.identifier_digest: str | None = None
        self.repeated = 1
        self.provider: str | None = None
        self.must_store = False
        self.pending_token = pending_token
        self.depth = 0
        """How many calls of hooks are under way, one within the other."""
        self.savepoints: list[int] = []
        """The depths of those that have written, so that there is a savepoint to go back to."""
        self._before: list[tuple[Any, ...]] = []
        """What each of these calls goes back to: who was logged in, and what the flow was about."""
        self._phase = Phase.NEW
        self._token = session_token
        self.device_token = device_token
        """The token that the browser sent, or that a flow of this unit gave it: keep it in its cookie."""
        self._loaded = False
        self._session: Session | None = None
        self._user: User | None = None
        self._connection: Connection | None = None
        self._db: DatabaseSession | None = None
        self.queued: list[QueuedRow] = []
        self.callbacks: list[Callback] = []
        self.counted: list[Callable[[], None]] = []
        """Each takes back what a rate limit has counted; called where the flow is undone."""
        self.tries: list[Callable[[], None]] = []
        """The same for what the present flow tries; called where it is refused as busy."""
        self._refusals: list[tuple[str, AuthError, User | None, int]] = []

    # What plugins and applications read.

    @property
    def now(self) -> datetime:
        """The host's clock, in UTC."""
        return self.host.clock()

    @property
    def settings(self) -> Settings:
        """The host's settings."""
        return self.host.settings

    @property
    def session_token(self) -> str | None:
        """The token that the client sent or that a flow of this unit made."""
        return self._token

    @property
    def session(self) -> Session | None:
        """The session, or None."""
        self._load()
        return self._session

    @property
    def user(self) -> User | None:
        """Who is logged in, or None."""
        self._load()
        return self._user

    @property
    def authentication(self) -> tuple[Authentication, ...]:
        """How the person came in, and how they proved it again since; empty where nobody is logged in."""
        session = self.session
        if session is None:
            return ()
        first = Authentication(session.method, session.created_at, session.provider)
        if session.authenticated_at == session.created_at:
            return (first,)
        return (first, Authentication("password", session.authenticated_at))

    def user_by_email(self, email: str) -> User | None:
        """The account that owns ``email`` and has verified it, or None."""
        self.check_open()
        try:
            address = queries.claimed_address(self, parse_email(email).key)
        except InvalidInput:
            return None
        if address is None or not address.verified:
            return None
        account = queries.account_by_id(self, address.user_id)
        return account.user if account else None

    def plugin_settings(self, plugin_name: str) -> Any:
        """What the operator set for a plugin."""
        return self.host.plugin_settings(plugin_name)

    def new_id(self) -> UUID:
        """A new, time-ordered identifier (UUID version 7, RFC 9562)."""
        return self.host.new_id()

    def keyed_hash(self, value: str) -> str:
        """A hash of ``value`` that nobody can guess at without ``secret_key``, as hex."""
        return self.host.keyed_hash(value)

    def build_url(self, name: str, **values: str) -> str:
        """The absolute address of page ``name`` (setting ``urls``); raises `KeyError` for an unknown one."""
        return self.host.build_url(name, **values)

    def seal(self, text: str, purpose: str = "") -> str:
        """Encrypt ``text`` with the host's keys, bound to ``purpose``; see `AuthHost.seal`."""
        return self.host.seal(text, purpose)

    def open(self, sealed: str, purpose: str = "") -> str:
        """Return the text that `seal` was given for ``purpose``; raises `CannotOpen`."""
        return self.host.open(sealed, purpose)

    # What they write.

    @property
    def db(self) -> DatabaseSession:
        """The SQLAlchemy session of this unit; a plugin's failed call undoes what it did here."""
        connection = self.connection
        if self._db is None:
            from sqlalchemy.orm import Session as DatabaseSession

            self._db = DatabaseSession(connection, join_transaction_mode="create_savepoint")
        return self._db

    def insert(self, table: Table, values: Mapping[str, Any]) -> None:
        """Queue one row, written just before the commit with all others."""
        self.check_open(writing=True)
        _insert_into(table, tuple(values))  # a wrong column is named here, where the mistake is
        caller = self.caller
        must_store = self.must_store or (caller is not None and caller.required)
        self.queued.append(QueuedRow(caller.name if caller else "", must_store, table, values))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once this unit has been committed."""
        self.check_open(writing=True)
        self.callbacks.append(Callback(self.caller, callback))

    # What the guard uses.

    def mark(self) -> tuple[int, int]:
        """Where the queues stand, for `undo`."""
        return len(self.queued), len(self.callbacks)

    def undo(self, mark: tuple[int, int]) -> None:
        """Drop what was queued since ``mark``, and what this call of a hook wrote, by whatever way."""
        self.drop(mark)
        if not self.savepoints or self.savepoints[-1] != self.depth or self._connection is None:
            return
        self.savepoints.pop()
        state, self.identifier_digest, self.provider = self._before.pop()
        self.restore(state)
        if self._db is not None:
            self._db.rollback()
        if not was_ended(self._connection):
            with suppress(DBAPIError):  # a plugin may have ended the transaction, savepoint and all
                self._connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {self._savepoint}")
                self._connection.exec_driver_sql(f"RELEASE SAVEPOINT {self._savepoint}")

    def drop(self, mark: tuple[int, int]) -> None:
        """Drop what was queued since ``mark``."""
        del self.queued[mark[0] :], self.callbacks[mark[1] :]

    def release_call(self) -> None:
        """Keep what this call of a hook wrote."""
        if self.savepoints[-1] != self.depth:
            return
        self._settle_db()
        self.connection.exec_driver_sql(f"RELEASE SAVEPOINT {self._savepoint}")
        self.savepoints.pop()
        self._before.pop()

    def savepoint(self) -> NestedTransaction:
        """Begin what a flow undoes when it fails."""
        connection = self.connection
        self._settle_db()
        return connection.begin_nested()

    def _settle_db(self) -> None:
        """End the savepoint of `db`: released later, it would take those with it that were set since."""
        if self._db is not None and self._db.in_transaction():
            self._db.commit()

    @property
    def _savepoint(self) -> str:
        return f"authhost_call_{self.depth}"

    def check_open(self, *, writing: bool = False) -> None:
        """Raise `UnitOfWorkClosed` outside the ``with`` block, and `HostClosed` for a closed host.

        The callbacks of `on_commit` may read; they may not write, since nothing would commit that.
        """
        if self._phase is not Phase.OPEN and (writing or self._phase is not Phase.ENDING):
            raise UnitOfWorkClosed(f"this request {self._phase.value}")
        if self.host.closed:
            raise HostClosed

    # What the flows use.

    @property
    def connection(self) -> Connection:
        """The connection of the transaction; opens it."""
        if self._connection is None:
            self.check_open(writing=True)
            self._connection = self.host.engine.connect()
            self._connection.begin()
        if self.depth and (not self.savepoints or self.savepoints[-1] != self.depth):
            # The first write of a call of a hook, be it by a flow that the plugin calls.
            self._settle_db()
            self._connection.exec_driver_sql(f"SAVEPOINT {self._savepoint}")
            self.savepoints.append(self.depth)
            self._before.append((self.state(), self.identifier_digest, self.provider))
        return self._connection

    @property
    def clean(self) -> bool:
        """Whether nothing was written or queued in this unit so far."""
        return self._connection is None and not self.queued and not self.callbacks

    def alone(self, flow: str) -> None:
        """For a flow that asks somebody else: no transaction waits for that. Raises ``RuntimeError``."""
        if not self.clean:
            raise RuntimeError(f"{flow} asks a provider, so it needs a unit of work of its own")

    def read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of ``statement``: within the transaction if one is open, else by itself."""
        self.check_open()
        if self._connection is not None:
            return self._connection.execute(statement, values).all()
        with self.host.reader.connect() as connection:
            return connection.execute(statement, values).all()

    def write(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run a writing statement; return the number of rows that it met."""
        return self.connection.execute(statement, values).rowcount

    def meant(self, key: str) -> None:
        """Tell the plugins which name or address was typed, as a keyed hash of its key alone."""
        self.identifier_digest = self.host.key_digest(key)

    def known_device(self, user: User | None) -> str | None:
        """The identifier of this browser if it has logged in to ``user``'s account before, else None."""
        return self.host.devices.find(self.device_token, user.id, self.now) if user else None

    def remember_device(self, user: User) -> str:
        """Give this browser a token by which `known_device` knows it from now on; return it."""
        self.device_token = self.host.devices.token(user.id, self.now, self.device_token)
        return self.device_token

    def log_in(self, session: Session, user: User, token: str) -> None:
        """From here on this unit is ``user``'s."""
        self._loaded, self._session, self._user, self._token = True, session, user, token

    def log_out(self) -> None:
        """From here on nobody is logged in."""
        self._loaded, self._session, self._user, self._token = True, None, None, None

    def refresh(self, user: User) -> None:
        """What is known of ``user`` has changed."""
        if self.user is not None and self.user.id == user.id:
            self._user = user

    def state(self) -> BrowserState:
        """Who is logged in, and what waits, for `restore`."""
        return BrowserState(self._loaded, self._session, self._user, self._token, self.pending_token)

    def restore(self, state: BrowserState) -> None:
        """Undo what `log_in` and `log_out` did."""
        self._loaded, self._session, self._user, self._token, self.pending_token = state

    def refused(self, flow: str, error: AuthError, user: User | None, repeated: int = 1) -> None:
        """Tell the plugins of a refusal, or of so many at once. It is stored though the flow is not."""
        self._refusals.append((flow, error, user, repeated))
        self._tell(flow, error, user, repeated)

    def _tell(self, flow: str, error: AuthError, user: User | None, repeated: int) -> None:
        self.repeated = repeated
        try:
            self.host.hooks.flow_refused(self, flow, error, user)
        finally:
            self.repeated = 1

    def _load(self) -> None:
        self.check_open()
        if self._loaded:
            return
        self._loaded = True
        if not self._token or not isinstance(self._token, str) or len(self._token) > 128:
            return
        found = queries.session_by_digest(self, digest(self._token))
        if found is None:
            return
        session, user = found
        now, settings = self.now, self.settings
        idle = now - session.last_seen_at
        if session.expires_at <= now or idle > timedelta(seconds=settings.session_idle) or not user.is_active:
            return
        self._session, self._user = session, user
        if idle > timedelta(seconds=settings.session_touch):
            with self.host.engine.begin() if self.clean else _Joined(self.connection) as connection:
                connection.execute(statements.TOUCH_SESSION, {"of_id": session.id, "now": now})

    # The transaction.

    def commit(self) -> None:
        """Store everything, then run the callbacks. The unit can go on with a new transaction."""
        self.check_open(writing=True)
        self._store()
        self._call_back()

    def _store(self) -> None:
        self._settle_db()
        if self.queued:
            self._store_queued()
        if self._connection is not None:
            if was_ended(self._connection):
                raise Conflict
            self._connection.commit()
        self._close()
        self._refusals.clear()
        self.counted.clear()

    def _call_back(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for plugin, callback in callbacks:
            if plugin is not None:
                plugin.after_commit(self, callback)
                continue
            try:
                callback()
            except FAILURES as error:
                log.error("an on_commit callback failed: %s (request %s)", type(error).__name__, self.id)

    def rollback(self) -> None:
        """Undo everything that was not committed."""
        self.check_open(writing=True)
        self._undo_all()

    def _undo_all(self) -> None:
        self.queued.clear()
        self.callbacks.clear()
        self.uncount(0)
        if self._connection is not None:
            self._connection.rollback()
        self._close()

    def take_back_tries(self) -> None:
        """Let what the present flow tried not count."""
        for give_back in self.tries:
            give_back()
        self.tries.clear()

    def uncount(self, since: int) -> None:
        """Take back what rate limits have counted since there were so many."""
        counted = self.counted[since:]
        del self.counted[since:]
        for give_back in counted:
            give_back()

    def _close(self) -> None:
        self.savepoints.clear()
        self._before.clear()
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _store_queued(self) -> None:
        queued, self.queued = self.queued, []
        try:
            self._insert_undoably(queued)
        except FAILURES:
            if was_ended(self.connection):
                raise
            for name in dict.fromkeys(row.plugin for row in queued):
                self._store_alone(name, [row for row in queued if row.plugin == name])

    def _store_alone(self, name: str, rows: list[QueuedRow]) -> None:
        try:
            self._insert_undoably(rows)
        except FAILURES as error:
            if was_ended(self.connection):
                raise
            if any(row.must_store for row in rows):
                raise RequiredPluginFailed(name, "insert") from error
            log.error(
                "rows of plugin %s were not stored: %s (tables %s, request %s)",
                name,
                type(error).__name__,
                ", ".join(sorted({row.table.name for row in rows})),
                self.id,
            )

    def _insert_undoably(self, rows: list[QueuedRow]) -> None:
        """All rows or none. One row needs no savepoint where a statement that fails undoes itself."""
        connection = self.connection
        if len(rows) == 1 and connection.dialect.name != "postgresql":
            self._insert_rows(rows)
            return
        # By hand, at a third of the price of SQLAlchemy's: this is on the path of every flow.
        connection.exec_driver_sql("SAVEPOINT authhost_queued")
        try:
            self._insert_rows(rows)
        except BaseException:
            if not was_ended(connection):
                connection.exec_driver_sql("ROLLBACK TO SAVEPOINT authhost_queued")
            raise
        connection.exec_driver_sql("RELEASE SAVEPOINT authhost_queued")

    def _insert_rows(self, rows: list[QueuedRow]) -> None:
        groups: dict[tuple[Table, tuple[str, ...]], list[Mapping[str, Any]]] = {}
        for row in rows:
            groups.setdefault((row.table, tuple(row.values)), []).append(row.values)
        for (table, names), values in groups.items():
            self.connection.execute(_insert_into(table, names), values)

    def __enter__(self) -> Request:
        if self._phase is not Phase.NEW:
            raise UnitOfWorkClosed(
                "this request has been entered already, and serves one `with` block; "
                "ask host.request() for another one"
            )
        if self.host.closed:
            raise HostClosed
        self._phase = Phase.OPEN
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._end(error)
        finally:
            self._phase = Phase.ENDED
            self._undo_all()  # nothing keeps a transaction open

    def _end(self, error: BaseException | None) -> None:
        if error is None or isinstance(error, AuthError):
            try:
                self._store()
            except BaseException as failure:
                self._undo_all()
                if isinstance(failure, DBAPIError) and is_deadlock(failure):
                    raise Conflict from failure
                raise
        else:
            refusals, self._refusals = self._refusals, []
            self._undo_all()
            if not refusals:
                return
            # An earlier flow of this unit refused: that much is stored all the same.
            for refusal in refusals:
                self._tell(*refusal)
            self._store()
        self._phase = Phase.ENDING
        self._call_back()


@lru_cache(maxsize=256)
def _insert_into(table: Table, names: tuple[str, ...]) -> Insert:
    """Raises ``ValueError`` for a column that is not there: SQLAlchemy would leave it out in silence."""
    for name in names:
        if name not in table.c:
            raise ValueError(f"{table.name} has no column {name!r}")
    return insert(table)


class _Joined:
    """A transaction that somebody else ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Connection:
        return self._connection

    def __exit__(self, *error: object) -> None:
        return None


def _language(text: str | None) -> str | None:
    if text is not None and not isinstance(text, str):
        raise InvalidInput("The language must be text.", field="language")
    return text[:LANGUAGE_LENGTH] if text else None


def _user_agent(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidInput("The user agent must be text.", field="user_agent")
    return "".join(c if c.isprintable() else " " for c in text[:USER_AGENT_LENGTH])
