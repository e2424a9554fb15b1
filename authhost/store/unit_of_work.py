"""The unit of work: one transaction, its queued rows, and the callbacks after its commit."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.exc import DBAPIError

from authhost.errors import (
    PLUGIN_FAILURES,
    AuthError,
    Conflict,
    HostClosed,
    NestedTooDeep,
    UnitOfWorkClosed,
)
from authhost.records import Unpicklable
from authhost.store.engine import is_deadlock
from authhost.store.prepared import Row
from authhost.store.queued_rows import QueuedRow, Writer, commit_with, insert_into, insert_now
from authhost.store.transaction import Sent, Transaction
from authhost.telemetry.current import Identified, current_unit

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.orm import Session as DatabaseSession

    from authhost.store.database import Database

log = logging.getLogger("authhost")

MAX_DEPTH = 8
"""How deep calls of hooks may be nested: a hook may call a flow, whose hooks may call a flow, and so on."""


class Phase(Enum):
    """The phases of a unit of work. The value is the reason why it cannot be used, and the remedy."""

    NEW = "has not been entered; use it as `with host.request(…) as request:`"
    OPEN = ""
    ENDING = "has been committed, so nothing can be written any more; ask host.request() for another one"
    ENDED = "has ended with its `with` block; ask host.request() for another one"


class Callback(NamedTuple):
    """A callback of `on_commit`, and the plugin that registered it, or None for the application."""

    writer: Writer | None
    run: Callable[[], object]


class Mark(NamedTuple):
    """What a unit of work has queued, and its `call_state`, before a flow or a call of a hook."""

    rows: int
    stored: int
    callbacks: int
    state: object


class BoundToUnit(Unpicklable):
    """An object that cannot be used after its unit of work: the unit itself, and parts of it."""

    __slots__ = ()


class UnitOfWork(BoundToUnit, ABC):
    """One transaction, as a context manager: commits at the end, rolls back on an error.

    A read holds a connection while the statement runs; the first write opens the
    transaction. So no connection is held while a password is hashed, unless the
    unit has written something before.

    ``depth`` counts the nested calls of hooks. The first write within a call sets a
    savepoint, so that the writes of a failed call can be undone separately.
    """

    caller: Writer | None = None
    """The plugin whose code is running, or None for the flow and the application."""
    must_store = False
    """Whether the unit fails if rows that are queued now cannot be stored."""
    depth = 0
    """The number of nested calls of hooks that are running."""
    failed_calls: tuple[tuple[str, str], ...] = ()
    """The calls of hooks that have failed so far: plugin and hook."""
    runs_callbacks = False
    """Whether callbacks of `on_commit` are running."""
    may_begin = True
    """Whether a transaction may be opened."""
    _phase = Phase.NEW
    _transaction: Transaction | None = None
    _db: DatabaseSession | None = None
    _outer: Identified | None = None
    """The unit of work within whose block this one was entered."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.queued: list[QueuedRow] = []
        self.stored = 0
        """How many of the first queued rows are in the transaction already, by `store_queued`."""
        self.callbacks: list[Callback] = []
        self.call_savepoints: list[tuple[int, str]] = []
        """The running calls that have written something: depth and savepoint."""

    @property
    @abstractmethod
    def id(self) -> UUID:
        """Identifies this unit in logs and records."""

    @property
    @abstractmethod
    def now(self) -> datetime:
        """The current time, in UTC."""

    # A subclass has state that is restored with a rollback.

    @abstractmethod
    def call_state(self) -> object:
        """Return the state of this object for `restore_call_state`, before a call of a hook."""

    @abstractmethod
    def restore_call_state(self, state: Any) -> None:
        """Restore the state of this object that `call_state` returned."""

    @abstractmethod
    def on_undone(self) -> None:
        """Called with a rollback of everything; restores the state of the last commit or the beginning."""

    @abstractmethod
    def on_stored(self) -> None:
        """Called after a commit."""

    @abstractmethod
    def before_storing(self) -> None:
        """Called if `outlives_failure`, after the rollback and before its rows are stored."""

    @property
    @abstractmethod
    def outlives_failure(self) -> bool:
        """Whether `before_storing` writes something that is stored although the unit has failed."""

    # Reading and writing.

    def check_open(self, *, writing: bool = False) -> None:
        """Raise `UnitOfWorkClosed` outside the ``with`` block, and `HostClosed` for a closed host.

        Callbacks of `on_commit` can read. They cannot write, since nothing would commit it.
        """
        if self._phase is not Phase.OPEN and (writing or self._phase is not Phase.ENDING):
            raise UnitOfWorkClosed(f"this request {self._phase.value}")
        if self.database.closed:
            raise HostClosed

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Run a flow or a change, perhaps within a hook; raises `NestedTooDeep`.

        Rows that its hooks queue need not be stored because the outer hook's must.
        """
        if self.depth > MAX_DEPTH:
            raise NestedTooDeep(MAX_DEPTH)
        must_store, self.must_store = self.must_store, False
        try:
            yield
        finally:
            self.must_store = must_store

    @property
    def transaction(self) -> Transaction:
        """The transaction. Opens it if needed, and sets the savepoint of the running call of a hook."""
        transaction = self._transaction
        if transaction is None:
            self.check_open(writing=True)
            if not self.may_begin:
                raise RuntimeError(
                    "the transaction has not begun here; read with request.host.reader, "
                    "and write rows with request.insert"
                )
            transaction = self._transaction = self.database.transaction()
        if self.depth and not self._has_written(self.depth):
            self._settle_db()
            self.call_savepoints.append((self.depth, transaction.savepoint()))
        return transaction

    def _has_written(self, depth: int) -> bool:
        return bool(self.call_savepoints) and self.call_savepoints[-1][0] == depth

    @property
    def connection(self) -> Connection:
        """The connection of the transaction, which is opened if needed."""
        return self.transaction.connection

    @property
    def clean(self) -> bool:
        """Whether this unit has written and queued nothing so far."""
        return self._transaction is None and not self.queued and not self.callbacks

    def read(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """Return all rows of a statement, within the transaction if one is open."""
        self.check_open()
        if self._transaction is None:
            return self.database.read(statement, values)
        return self._transaction.execute(statement, values).rows

    def write(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run a writing statement; return the number of rows that it matched."""
        return self.transaction.execute(statement, values).rowcount

    def write_returning(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """Run a writing statement with RETURNING; return its rows."""
        return self.transaction.execute(statement, values).rows

    def send_statement(self, statement: Executable, values: Mapping[str, Any]) -> Sent:
        """Run a writing statement without waiting for its result, which the returned object fetches.

        Its errors may be raised by a later statement.
        """
        return self.transaction.send(statement, values)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the writes of the block if it fails. Errors of its statements are raised within the block."""
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

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Undo everything that the block did if it fails, also what its hooks queued; see `nested`."""
        with self.nested():
            mark, name = self.mark(), self.begin_savepoint()
            try:
                yield
                self.release_savepoint(name)
            except BaseException:
                self.undo_to(name, mark)
                self.restore_call_state(mark.state)
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

    def undo_to(self, name: str, mark: Mark) -> None:
        """Undo what was written since a savepoint, and what was queued since ``mark``."""
        self._undo_db()
        if self._transaction is not None:
            self._transaction.roll_back_to(name)
        self.drop(mark)

    @property
    def db(self) -> DatabaseSession:
        """The SQLAlchemy session of this unit. If a call of a hook fails, its changes here are undone."""
        connection = self.connection
        if self._db is None:
            from sqlalchemy.orm import Session as DatabaseSession

            self._db = DatabaseSession(connection, join_transaction_mode="create_savepoint")
        return self._db

    def _settle_db(self) -> None:
        """End the savepoint of `db`: if it were released later, newer savepoints would be released, too."""
        if self._db is not None and self._db.in_transaction():
            self._db.commit()

    def _undo_db(self) -> None:
        if self._db is not None:
            with suppress(DBAPIError):  # a failed transaction has no savepoints
                self._db.rollback()

    # Rows and callbacks that wait for the commit.

    def insert(self, table: Table, values: Mapping[str, Any]) -> None:
        """Queue one row. All queued rows are written just before the commit."""
        self.check_open(writing=True)
        insert_into(table, tuple(values))  # raises here for a wrong column, with the traceback of the caller
        caller = self.caller
        must_store = self.must_store or (caller is not None and caller.required)
        self.queued.append(QueuedRow(caller, must_store, table, values))

    def store_queued(self) -> None:
        """Insert the queued rows now, so that later statements find them.

        They stay in `queued`: if the transaction is rolled back to an earlier savepoint,
        those that were queued before it are inserted again.
        """
        rows = self.queued[self.stored :]
        if rows:
            self._settle_db()
            insert_now(self.transaction, rows, self)
            self.stored = len(self.queued)

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` after the commit of this unit."""
        self.check_open(writing=True)
        self.callbacks.append(Callback(self.caller, callback))

    def after_commit(self, run: Callable[[], object]) -> None:
        """Like `on_commit`, for the host itself: the call is not counted as one of the plugin's callbacks.

        Within a callback of `on_commit` it runs at once. A hook of a flow that the
        callback calls has to wait for the next commit.
        """
        self.check_open(writing=not self.runs_callbacks)
        if self.runs_callbacks and not self.depth:
            run()
            return
        self.callbacks.append(Callback(None, run))

    def mark(self) -> Mark:
        """Return the state for `drop`, `undo_writes` and `undo_call`."""
        return Mark(len(self.queued), self.stored, len(self.callbacks), self.call_state())

    def drop(self, mark: Mark) -> None:
        """Drop the rows and callbacks that were queued since ``mark``, whose writes are undone."""
        del self.queued[mark.rows :], self.callbacks[mark.callbacks :]
        self.stored = mark.stored

    # Calls of hooks.

    def keep_call(self) -> None:
        """Keep the writes of the running call of a hook, unless the call that contains it fails."""
        if not self._has_written(self.depth):
            return
        self._settle_db()
        transaction, outer = self.transaction, self.depth - 1
        _, savepoint = self.call_savepoints.pop()
        if outer and not self._has_written(outer):
            # The outer call has written nothing itself: its savepoint would be at this place.
            self.call_savepoints.append((outer, savepoint))
            return
        transaction.release(savepoint)

    def undo_writes(self, mark: Mark) -> None:
        """Undo all writes of the running call of a hook, and drop what was queued since ``mark``."""
        self.drop(mark)
        if self._transaction is None or not self._has_written(self.depth):
            return
        _, savepoint = self.call_savepoints.pop()
        self._undo_db()
        self._transaction.roll_back_to(savepoint)

    def undo_call(self, mark: Mark) -> None:
        """Undo everything that the running call of a hook did since ``mark``, also nested flows and hooks."""
        self.undo_writes(mark)
        self.restore_call_state(mark.state)

    def check_sent(self) -> None:
        """Raise the error of a statement that was sent before the running call of a hook, if it failed.

        It is not a failure of the plugin, and no later statement of this unit can be stored.
        """
        if self._transaction is not None:
            self._transaction.check_sent()

    # The end.

    def commit(self) -> None:
        """Store everything, then run the callbacks. Later writes of the unit open a new transaction.

        If that fails, everything since the last commit is undone. Raises
        ``RuntimeError`` within a hook, like `rollback`.
        """
        self._check_outside_hooks("commit")
        self._store_or_undo()
        self._run_callbacks()

    def rollback(self) -> None:
        """Undo everything that was not committed."""
        self._check_outside_hooks("rollback")
        self.undo_all()

    def _check_outside_hooks(self, name: str) -> None:
        self.check_open(writing=True)
        if self.depth:
            raise RuntimeError(
                f"a hook cannot call {name}: the transaction belongs to the flow that called the hook; "
                "raise an error to undo what this hook did, and use request.on_commit to act after the commit"
            )

    def _store_or_undo(self) -> None:
        """Store everything, or nothing if that fails. Raises `Conflict` after a deadlock."""
        try:
            self._store()
        except BaseException as failure:
            self.undo_all()
            if isinstance(failure, DBAPIError) and is_deadlock(failure):
                raise Conflict from failure
            raise

    def _store(self) -> None:
        self._settle_db()
        queued = self.queued[self.stored :]
        self.queued, self.stored = [], 0
        if queued or self._transaction is not None:
            transaction = self.transaction
            if transaction.ended:
                raise Conflict
            commit_with(transaction, queued, self)
        self._close()
        self.on_stored()

    def _run_callbacks(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        caller, outer, self.runs_callbacks = self.caller, self.runs_callbacks, True
        try:
            for writer, callback in callbacks:
                self.caller = writer
                self._run_callback(writer, callback)
        finally:
            self.caller, self.runs_callbacks = caller, outer

    def _run_callback(self, writer: Writer | None, callback: Callable[[], object]) -> None:
        if writer is not None:
            writer.run_callback(self, callback)
            return
        try:
            callback()
        except PLUGIN_FAILURES as error:
            log.error("an on_commit callback failed: %s (request %s)", type(error).__name__, self.id)

    def undo_all(self) -> None:
        """Undo everything that was not committed, also within a hook of which this is all that was done."""
        self.queued.clear()
        self.callbacks.clear()
        self.stored = 0
        self.on_undone()
        self._close()

    def _close(self) -> None:
        """Return the connection to the pool. A transaction that was not committed is rolled back."""
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
                "this request has been entered already, and is for one `with` block; "
                "ask host.request() for another one"
            )
        if self.database.closed:
            raise HostClosed
        self._phase = Phase.OPEN
        self._outer = current_unit.get()
        current_unit.set(self)
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
            # Not by a token: frameworks may leave the block in another context than they entered it.
            current_unit.set(self._outer)
            self.undo_all()  # otherwise an error in `_end` could leave the transaction open

    def _end(self, error: BaseException | None) -> None:
        if error is None or isinstance(error, AuthError):
            self._store_or_undo()
        else:
            outlives = self.outlives_failure
            self.undo_all()
            if not outlives:
                return
            self.before_storing()
            self._store()
        self._phase = Phase.ENDING
        self._run_callbacks()
