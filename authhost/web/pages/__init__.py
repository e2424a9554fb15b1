"""The pages of the core, by path below the prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from authhost_hookspecs import Page

from authhost.web.admin import user_list, user_page
from authhost.web.pages import account, emails, impersonation, overview, password, sessions, social
from authhost.web.visit import Visit

PAGES: Mapping[str, Callable[[Visit], Page]] = {
    "/": overview.overview,
    "/login": account.login,
    "/signup": account.signup,
    "/logout": account.logout,
    "/reauthenticate": account.reauthenticate,
    "/close": account.close,
    "/confirm-email": emails.confirm,
    "/emails": emails.emails,
    "/forgot-password": password.forgot,
    "/reset-password": password.reset,
    "/password": password.password,
    "/impersonation/begin": impersonation.begin,
    "/sessions": sessions.sessions,
    "/connections": social.connections,
    "/social/signup": social.signup,
    user_list.LIST: user_list.users,
    user_list.CREATE: user_list.create,
    user_list.USER: user_page.user,
    user_page.DELETE: user_page.delete,
}

__all__ = ["PAGES"]
