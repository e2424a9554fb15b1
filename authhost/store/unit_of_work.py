"""The unit of work: one transaction, what is written in it, and what is called after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.exc import DBAPIError

from authhost.errors import PLUGIN_FAILURES, AuthError, Conflict, HostClosed, UnitOfWorkClosed
from authhost.store.engine import is_deadlock
from authhost.store.prepared import Row
from authhost.store.queued_rows import QueuedRow, Writer, commit_with, insert_into
from authhost.store.transaction import Sent, Transaction

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.orm import Session as DatabaseSession

    from authhost.store.database import Database

log = logging.getLogger("authhost")


class Phase(Enum):
    """Whether a unit of work can be used, and what to do where it cannot."""

    NEW = "has not been entered; use it as `with host.request(…) as request:`"
    OPEN = ""
    ENDING = "has been committed, so nothing can be written any more; ask host.request() for another one"
    ENDED = "has ended with its `with` block; ask host.request() for another one"


class Callback(NamedTuple):
    """What is called after the commit, and who asked for it; None for the application."""

    writer: Writer | None
    run: Callable[[], None]


class UnitOfWork:
    """One transaction, as a context manager: commits at the end, rolls back on an error.

    Reads take a connection for as long as the statement runs; the first write
    opens the transaction. So no connection is held while a password is hashed,
    unless something was written in the same unit before.

    Calls of hooks are numbered by ``depth``. The first write within one sets a
    savepoint, so that a call that fails can be undone alone.
    """

    caller: Writer | None = None
    """On whose behalf the present code writes."""
    must_store = False
    """Whether rows that are queued now fail the unit where they cannot be stored."""
    depth = 0
    """How many calls of hooks are running, one inside the other."""
    _phase = Phase.NEW
    _transaction: Transaction | None = None
    _db: DatabaseSession | None = None

    def __init__(self, database: Database) -> None:
        self.database = database
        self.queued: list[QueuedRow] = []
        self.callbacks: list[Callback] = []
        self.call_savepoints: list[tuple[int, str, object]] = []
        """The running calls that have written: depth, savepoint, and the state before them."""

    @property
    def id(self) -> UUID:
        """Identifies this unit in logs and records."""
        raise NotImplementedError

    # What a subclass keeps beside the database, and undoes with it.

    def call_state(self) -> object:
        """What `restore_call_state` needs to undo what a call of a hook changes in this object."""
        return None

    def restore_call_state(self, state: Any) -> None:
        """Undo the changes to this object since `call_state` was called."""

    def on_undone(self) -> None:
        """Called when everything was rolled back."""

    def on_stored(self) -> None:
        """Called when everything was committed."""

    def before_storing(self) -> None:
        """Called when a unit that failed is about to store what outlives the failure."""

    @property
    def outlives_failure(self) -> bool:
        """Whether something is stored although the unit failed."""
        return False

    # Reading and writing.

    def check_open(self, *, writing: bool = False) -> None:
        """Raise `UnitOfWorkClosed` outside the ``with`` block, and `HostClosed` for a closed host.

        The callbacks of `on_commit` may read. They may not write: nothing would commit it.
        """
        if self._phase is not Phase.OPEN and (writing or self._phase is not Phase.ENDING):
            raise UnitOfWorkClosed(f"this request {self._phase.value}")
        if self.database.closed:
            raise HostClosed

    @property
    def transaction(self) -> Transaction:
        """The transaction; opens it, and sets the savepoint of the running call of a hook."""
        transaction = self._transaction
        if transaction is None:
            self.check_open(writing=True)
            transaction = self._transaction = self.database.transaction()
        if self.depth and not self._has_written(self.depth):
            self._settle_db()
            self.call_savepoints.append((self.depth, transaction.savepoint(), self.call_state()))
        return transaction

    def _has_written(self, depth: int) -> bool:
        return bool(self.call_savepoints) and self.call_savepoints[-1][0] == depth

    @property
    def connection(self) -> Connection:
        """The connection of the transaction, which it opens."""
        return self.transaction.connection

    @property
    def clean(self) -> bool:
        """Whether nothing was written or queued in this unit so far."""
        return self._transaction is None and not self.queued and not self.callbacks

    def read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """All rows of a statement: within the transaction if one is open, else by itself."""
        self.check_open()
        if self._transaction is None:
            return self.database.read(statement, values)
        return self._transaction.execute(statement, values).rows

    def write(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run a writing statement; return the number of rows that it met."""
        return self.transaction.execute(statement, values).rowcount

    def write_returning(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """Run a writing statement; return the rows that it returns."""
        return self.transaction.execute(statement, values).rows

    def send(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        """Run a writing statement without waiting for its result, which the returned object fetches.

        Its errors may be raised by a later statement.
        """
        return self.transaction.send(statement, values)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block writes where it fails. Its errors are raised within the block."""
        transaction = self.transaction
        self._settle_db()
        name = transaction.savepoint()
        try:
            yield
            transaction.release(name)
            transaction.flush()
        except BaseException:
            transaction.roll_back_to(name)
            raise

    def begin_savepoint(self) -> str:
        """Set a savepoint, for `release_savepoint` or `undo_to`; return its name."""
        transaction = self.transaction
        self._settle_db()
        return transaction.savepoint()

    def release_savepoint(self, name: str) -> None:
        """Keep what was written since a savepoint."""
        self._settle_db()
        self.transaction.release(name)

    def undo_to(self, name: str, mark: tuple[int, int]) -> None:
        """Undo what was written since a savepoint, and what was queued since ``mark``."""
        self._undo_db()
        if self._transaction is not None:
            self._transaction.roll_back_to(name)
        self.drop(mark)

    @property
    def db(self) -> DatabaseSession:
        """The SQLAlchemy session of this unit; a plugin's failed call undoes what it did here."""
        connection = self.connection
        if self._db is None:
            from sqlalchemy.orm import Session as DatabaseSession

            self._db = DatabaseSession(connection, join_transaction_mode="create_savepoint")
        return self._db

    def _settle_db(self) -> None:
        """End the savepoint of `db`: releasing it later would release those that were set since."""
        if self._db is not None and self._db.in_transaction():
            self._db.commit()

    def _undo_db(self) -> None:
        if self._db is not None:
            with suppress(DBAPIError):  # where the transaction has failed, its savepoint is gone
                self._db.rollback()

    # What waits for the commit.

    def insert(self, table: Table, values: Mapping[str, Any]) -> None:
        """Queue one row, which is written just before the commit with all others."""
        self.check_open(writing=True)
        insert_into(table, tuple(values))  # a wrong column is reported here, where the mistake is
        caller = self.caller
        must_store = self.must_store or (caller is not None and caller.required)
        self.queued.append(QueuedRow(caller, must_store, table, values))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once this unit has been committed."""
        self.check_open(writing=True)
        self.callbacks.append(Callback(self.caller, callback))

    def mark(self) -> tuple[int, int]:
        """How much is queued, for `drop` and `undo_call`."""
        return len(self.queued), len(self.callbacks)

    def drop(self, mark: tuple[int, int]) -> None:
        """Drop what was queued since ``mark``."""
        del self.queued[mark[0] :], self.callbacks[mark[1] :]

    # Calls of hooks.

    def keep_call(self) -> None:
        """Keep what the running call of a hook has written."""
        if not self._has_written(self.depth):
            return
        self._settle_db()
        _, savepoint, _ = self.call_savepoints[-1]
        self.transaction.release(savepoint)
        self.call_savepoints.pop()

    def undo_call(self, mark: tuple[int, int]) -> None:
        """Undo what the running call of a hook has queued since ``mark`` and written, in whatever way."""
        self.drop(mark)
        if self._transaction is None or not self._has_written(self.depth):
            return
        _, savepoint, state = self.call_savepoints.pop()
        self.restore_call_state(state)
        self._undo_db()
        self._transaction.roll_back_to(savepoint)

    # The end.

    def commit(self) -> None:
        """Store everything, then run the callbacks. The unit can go on with a new transaction."""
        self.check_open(writing=True)
        self._store()
        self._run_callbacks()

    def rollback(self) -> None:
        """Undo everything that was not committed."""
        self.check_open(writing=True)
        self._undo_all()

    def _store(self) -> None:
        self._settle_db()
        queued, self.queued = self.queued, []
        if queued or self._transaction is not None:
            transaction = self.transaction
            if transaction.ended:
                raise Conflict
            commit_with(transaction, queued, self)
        self._close()
        self.on_stored()

    def _run_callbacks(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for writer, callback in callbacks:
            if writer is not None:
                writer.run_callback(self, callback)
                continue
            try:
                callback()
            except PLUGIN_FAILURES as error:
                log.error("an on_commit callback failed: %s (request %s)", type(error).__name__, self.id)

    def _undo_all(self) -> None:
        self.queued.clear()
        self.callbacks.clear()
        self.on_undone()
        self._close()

    def _close(self) -> None:
        """Return the connection; what was not committed is rolled back."""
        self.call_savepoints.clear()
        session, self._db = self._db, None
        transaction, self._transaction = self._transaction, None
        try:
            if session is not None:
                session.close()
        finally:
            if transaction is not None:
                transaction.close()

    def __enter__(self) -> Self:
        if self._phase is not Phase.NEW:
            raise UnitOfWorkClosed(
                "this request has been entered already, and serves one `with` block; "
                "ask host.request() for another one"
            )
        if self.database.closed:
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
            outlives = self.outlives_failure
            self._undo_all()
            if not outlives:
                return
            self.before_storing()
            self._store()
        self._phase = Phase.ENDING
        self._run_callbacks()
