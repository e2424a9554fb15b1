"""New passwords: plugins check them before they are hashed, and an administrator can require one."""

from __future__ import annotations

from authhost.account.flow import attach_user
from authhost.errors import PasswordResetRequired, Vetoed
from authhost.records import User
from authhost.request import Request
from authhost.security.passwords import CheckedPassword


def check_new_password(request: Request, password: str, user: User | None, *, field: str) -> CheckedPassword:
    """Call `check_password`; return the password for `Passwords.hash`, which takes no other.

    It is called after the rate limit, since plugins may call a server, and outside
    `Passwords.slot`. ``field`` is the flow's argument of the password: a
    refusal names it if the plugin names none. Raises `Vetoed`.
    """
    allowed, request.may_begin = request.may_begin, False
    try:
        request.services.hooks.check_password(request, password, user)
    except Vetoed as vetoed:
        refusal = vetoed
    else:
        return CheckedPassword(password)
    finally:
        request.may_begin = allowed
    # Outside the handler, so that nothing of the plugin is chained.
    raise attach_user(_without_password(password, refusal, field), user)


def check_usable(request: Request, stored: str | None, user: User) -> None:
    """Raise `PasswordResetRequired` if the password that was verified may prove nothing any more."""
    if request.services.passwords.needs_reset(stored):
        raise attach_user(PasswordResetRequired(), user)


def _without_password(password: str, refusal: Vetoed, field: str) -> Vetoed:
    """Return the refusal with its field, and without its texts if they contain the password."""
    fields = dict(refusal.fields)
    if fields["plugin_code"] != "plugin_failed":
        fields = {"field": field, **fields}
    if any(password in str(each) for each in (refusal, *fields.values())):
        return Vetoed(plugin_code="plugin_failed", plugin=fields["plugin"])
    return Vetoed(str(refusal), **fields)
