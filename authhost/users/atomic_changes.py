"""What all administrative changes do: lock the account, change all or nothing, and record refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from authhost.account.flow import refuse_while_impersonating
from authhost.errors import AuthError, Conflict, InvalidInput, UserNotFound
from authhost.records import User
from authhost.request import Request
from authhost.store import queries
from authhost.store.engine import is_deadlock
from authhost.store.unit_of_work import BoundToUnit


class AtomicChanges(BoundToUnit):
    """Changes of accounts in the unit of work of one request."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    @contextmanager
    def _changing(self, name: str, user_id: UUID) -> Iterator[User]:
        """Lock an account and yield its user. Undo everything if the block raises an error."""
        with self._recorded(name) as users:
            user = self._lock(user_id)
            users.append(user)
            yield user

    @contextmanager
    def _recorded(self, name: str) -> Iterator[list[User]]:
        """Undo everything if the block raises an error. It adds the account to the list once known.

        A refusal outside hooks is recorded like that of a flow. Raises `Conflict` after a
        deadlock if nothing else was written before: like a flow, the change may then be
        tried again.
        """
        request = self._request
        request.check_open(writing=True)
        flow, whole, users = request.flow_state(), request.clean and not request.depth, list[User]()
        try:
            refuse_while_impersonating(request)
            with request.atomic():
                yield users
        except AuthError as refusal:
            self._record(name, refusal, next(iter(users), None))
            raise
        except DBAPIError as error:
            if not (whole and is_deadlock(error)):
                raise
            request.undo_all()
            conflict = Conflict()
            self._record(name, conflict, next(iter(users), None))
            raise conflict from error
        finally:
            # A verification that completes a signup has set what that signup was given.
            request.restore_flow(flow)

    def _lock(self, user_id: UUID) -> User:
        if not isinstance(user_id, UUID):
            raise InvalidInput("user_id must be a UUID.", field="user_id")
        queries.lock_account(self._request, user_id)
        account = queries.account_by_id(self._request, user_id)
        if account is None:
            raise UserNotFound
        return account.user

    def _record(self, name: str, refusal: AuthError, user: User | None) -> None:
        """Call `flow_refused`, unless a hook has asked for the change: its refusal may be expected there."""
        refusal.__dict__.pop("user", None)
        request, flow = self._request, f"accounts_{name}"
        if request.depth:
            return
        request.begin_flow()
        repeated = request.services.refusals.count(request, flow, refusal, user)
        if repeated:
            request.refused(flow, refusal, user, repeated)
