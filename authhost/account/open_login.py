"""A login between the first proof of identity and the session, and what it still needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from authhost_hookspecs import Factor

from authhost.account.flow import attach_user
from authhost.errors import LoginUnavailable, Vetoed
from authhost.records import Authentication, PendingLogin, PendingStep, User
from authhost.request import Request

EMAIL_VERIFICATION = "email_verification"
EMAIL_STEP = PendingStep(EMAIL_VERIFICATION, "/confirm-email", ("email",))
FACTORS: dict[str, tuple[Factor, ...]] = {
    "password": ("knowledge",),
    "email_confirmation": ("possession",),
    "password_reset": ("possession",),
}
"""What the methods of the core prove. For a login by a provider see `App.factors`."""


def authentication_by(request: Request, method: str) -> Authentication:
    """Return the authentication that was given now, by a method of the core."""
    return Authentication(method, request.now, None, FACTORS[method])


@dataclass(frozen=True, slots=True)
class OpenLogin:
    """A login of ``user`` that has begun. ``password`` is the stored hash that it is bound to.

    ``done`` are the keys of the steps of plugins that are complete, ``rehashed`` is a newer hash of the
    same password. ``row_id`` and ``address_id`` are those of the row of a pending login.
    """

    user: User
    authentications: tuple[Authentication, ...]
    started: datetime
    password: str | None = field(default=None, repr=False)
    rehashed: str | None = field(default=None, repr=False)
    done: tuple[str, ...] = ()
    row_id: UUID | None = None
    address_id: UUID | None = None
    sent: datetime | None = None

    @classmethod
    def begin(
        cls,
        request: Request,
        user: User,
        method: str,
        *,
        password: str | None,
        rehashed: str | None = None,
        provider: str | None = None,
        factors: tuple[Factor, ...] | None = None,
    ) -> Self:
        """Return a login whose first proof was given now, by ``method``.

        ``factors`` are by default those of a method of the core.
        """
        now = request.now
        if factors is None:
            factors = FACTORS[method]
        first = Authentication(method, now, provider, factors)
        return cls(user, (first,), now, password, rehashed)

    @property
    def first(self) -> Authentication:
        """The first proof of identity."""
        return self.authentications[0]

    def with_authentication(self, authentication: Authentication) -> Self:
        """Return the login with one more authentication."""
        return replace(self, authentications=(*self.authentications, authentication))

    def for_plugins(self, request: Request, steps: tuple[PendingStep, ...] = ()) -> PendingLogin:
        """Return what plugins may see of it, which waits for ``steps``."""
        # Under the oldest key: it must not change while the operator changes the key.
        tag = request.services.digests.of_plugin_by_age(f"password of {self.user.id}: {self.password}")[-1]
        keys = tuple(each.key for each in steps)
        return PendingLogin(self.user, self.authentications, self.started, tag, keys)


@contextmanager
def running(request: Request, login: OpenLogin) -> Iterator[None]:
    """Show ``login`` to the hooks of the block as ``request.logins.pending``."""
    outer, request.running_login = request.running_login, login.for_plugins(request)
    try:
        yield
    finally:
        request.running_login = outer


def plugin_steps(request: Request, login: OpenLogin) -> tuple[PendingStep, ...]:
    """Return what plugins still require of a login; those that must come last are at the end.

    Raises `Vetoed` if a plugin fails, and `LoginUnavailable` if a plugin that guards the account is
    not loaded.
    """
    require_guards(request, login.user)
    try:
        with running(request, login):
            found = request.services.hooks.login_steps(request, login.user)
    except Vetoed as refusal:
        attach_user(refusal, login.user)
        raise
    steps = [
        PendingStep(f"{plugin}.{step.key}", f"/{plugin}{step.path}", step.methods, step.last)
        for plugin, step in found
    ]
    return tuple(sorted((each for each in steps if each.key not in login.done), key=lambda each: each.last))


def require_guards(request: Request, user: User) -> None:
    """Raise `LoginUnavailable` if a plugin that guards the account is not loaded."""
    services = request.services
    for name in user.login_guards:
        if name not in services.login_guards and name not in services.settings.login_without_plugins:
            raise attach_user(LoginUnavailable(plugin=name), user)


def must_wait(step: PendingStep, steps: tuple[PendingStep, ...]) -> bool:
    """Return whether others of ``steps`` must be completed before ``step``, which is a last one."""
    return step.last and any(not each.last for each in steps)
