"""The account flows, such as ``host.account.signup(request, …)``."""

from collections.abc import Callable
from uuid import UUID

import authhost_hookspecs as contract

from authhost.account.confirmation import change_pending_email, confirm_email, send_confirmation
from authhost.account.deactivation import deactivate
from authhost.account.emails import add_email, list_emails, make_primary, remove_email
from authhost.account.impersonation import stop_impersonation
from authhost.account.login import login, reauthenticate
from authhost.account.password import change_password, request_password_reset, reset_password, set_password
from authhost.account.sessions import (
    cancel_login,
    end_other_sessions,
    end_session,
    list_sessions,
    logout,
)
from authhost.account.signup import signup


class Account:
    """The account flows. ``host.account(user_id)`` returns what is stored of an account.

    ``read`` reads an account, or returns None if there is none.
    """

    def __init__(self, read: Callable[[UUID], contract.Account | None]) -> None:
        self._read = read

    def __call__(self, user_id: UUID) -> contract.Account | None:
        """Return what is stored of an account now, or None if there is no such account."""
        return self._read(user_id)

    signup = staticmethod(signup)
    login = staticmethod(login)
    cancel_login = staticmethod(cancel_login)
    logout = staticmethod(logout)
    reauthenticate = staticmethod(reauthenticate)
    stop_impersonation = staticmethod(stop_impersonation)
    list_sessions = staticmethod(list_sessions)
    end_session = staticmethod(end_session)
    end_other_sessions = staticmethod(end_other_sessions)
    deactivate = staticmethod(deactivate)
    confirm_email = staticmethod(confirm_email)
    send_confirmation = staticmethod(send_confirmation)
    change_pending_email = staticmethod(change_pending_email)
    add_email = staticmethod(add_email)
    remove_email = staticmethod(remove_email)
    make_primary = staticmethod(make_primary)
    list_emails = staticmethod(list_emails)
    set_password = staticmethod(set_password)
    change_password = staticmethod(change_password)
    request_password_reset = staticmethod(request_password_reset)
    reset_password = staticmethod(reset_password)


__all__ = ["Account"]
