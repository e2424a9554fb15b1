"""Rate limits: how often an action is allowed, and what it is counted by."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol, Self

from authhost.errors import ConfigurationError, InvalidCredentials, RateLimited
from authhost.security.counters import KINDS, Counters, MemoryCounters, Rate, connect_redis, parse_rates
from authhost.security.inputs import network

if TYPE_CHECKING:
    from types import TracebackType

    from authhost.records import User
    from authhost.settings import Settings

log = logging.getLogger("authhost")

DEFAULTS: Mapping[str, str] = {
    "signup": "20/minute/ip, 60/hour/ip",
    "login": "30/minute/ip",
    "login_failed": "10/minute/ip, 5/5 minute/key+ip, 100/30 day/key",
    "known_device": "20/minute/key",
    "known_device_failed": "5/5 minute/key, 100/30 day/key",
    "reset_password": "20/minute/ip, 60/hour/ip",
    "reset_password_mail": "1/3 minute/key+ip, 5/15 minute/key",
    "reset_password_from_key": "20/minute/ip",
    "confirm_email": "1/3 minute/key",
    "confirm_email_mail": "20/hour/key+ip",
    "signup_notice": "1/3 minute/key+ip, 20/hour/key",
    "confirm_email_from_key": "20/minute/ip",
    "change_password": "5/minute/user",
    "manage_email": "10/minute/user, 30/hour/user",
    "reauthenticate": "10/minute/user",
    "social": "30/minute/ip",
    "social_complete": "30/minute/ip",
    "invalid_input": "30/minute/ip",
}
"""Per action: amount / period / what it is counted by.

``ip`` is the network of the client (an IPv4 address, or the /64 of an IPv6
address), ``user`` the logged-in user, ``key`` the account, name or address that
the action concerns, ``key+ip`` both together. 100 failures of one account are
the most that NIST SP 800-63B-4, 3.2.2, allows.
"""

BY_KEY = frozenset({"key", "key+ip"})
Counted = list[tuple[Rate, str]]


class Client(Protocol):
    """The client of an action. The unit of work implements it."""

    counted: list[Callable[[], None]]
    """Functions that undo a count. They are called if the flow is rolled back."""
    tries: list[Callable[[], None]]
    """Functions that undo a count. They are called if the flow is refused as `Busy`."""

    @property
    def ip_address(self) -> str | None: ...

    @property
    def user(self) -> User | None:
        """The logged-in user."""
        ...

    def known_device(self, user: User | None) -> str | None:
        """Return the device identifier of a browser that has logged in to the account of ``user`` before."""
        ...


class RateLimits:
    """Counts actions, in memory or in Redis. Only digests of names and addresses are stored."""

    def __init__(self, settings: Settings) -> None:
        self._rates: dict[str, list[Rate]] = {}
        self._counters: Counters = MemoryCounters()
        self._warned = False
        if settings.rate_limits is False:
            return
        if settings.redis_url is not None:
            self._counters = connect_redis(settings.redis_url)
        overrides = settings.rate_limits if isinstance(settings.rate_limits, Mapping) else {}
        for action, rates in {**DEFAULTS, **overrides}.items():
            if action not in DEFAULTS:
                near = get_close_matches(action, DEFAULTS, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(DEFAULTS)}"
                raise ConfigurationError(f"rate_limits: there is no action {action!r}{hint}")
            self._rates[action] = parse_rates(action, rates)

    def reachable(self) -> bool:
        """Return whether the storage of the counters answers."""
        return self._counters.check()

    def hit(self, request: Client, action: str, key: str = "") -> None:
        """Count one ``action``; raises `RateLimited` with ``retry_after`` in seconds.

        The count is undone if the flow is refused as `Busy`, since nothing was attempted.
        """
        self._count(request, (action, key))

    def hit_for(self, request: Client, user: User | None, action: str, key: str = "") -> None:
        """Count one ``action`` that concerns ``user``; raises `RateLimited`.

        A browser that has logged in to the account before has its own counter, so
        that other clients of its network cannot lock it out.
        """
        device = request.known_device(user)
        self._count(request, (action, key) if device is None else ("known_device", device))

    def allows(self, request: Client, *actions: tuple[str, str]) -> bool:
        """Count each (action, key) and return True; return False, and count none, if a limit is reached.

        The counts are undone if the flow is rolled back, for example because a
        message could not be delivered.
        """
        try:
            counted = self._take(request, *actions)
        except RateLimited:
            return False
        request.counted.append(lambda: self._undo(counted))
        return True

    def password_check(self, request: Client, users: Sequence[User], name: str = "") -> PasswordCheck:
        """Count a check of a password: ``with limits.password_check(request, users, name) as check: …``.

        All flows that check a password share the counters of an account. A login
        also counts by the typed ``name``, and for each of the ``users`` that the name
        can refer to. So an unknown name is limited like a known one, and stays
        limited if an account with that name is created. A browser that has logged in
        to the account before has its own counters, so that failures of others cannot
        lock it out. Entering raises `RateLimited`. The check is counted before it is
        made, so that parallel checks are limited like sequential ones. The count
        stays if the block raises `InvalidCredentials` or calls
        `PasswordCheck.failed`. Any other error undoes it, and success also deletes
        the earlier failures.
        """
        return PasswordCheck(self, request, users, name)

    def reset_failures(self, request: Client, user: User, names: Iterable[str] = ()) -> None:
        """Delete the failures of an account and of its names: those of this network, and the total."""
        for key in (_account(user), *map(_name, names)):
            self._clear(request, ("login_failed", key), BY_KEY)

    def reset_mail_limit(self, request: Client, email_keys: Iterable[str]) -> None:
        """Allow a password reset to be requested again, after the earlier links were invalidated."""
        for key in email_keys:
            self._clear(request, ("reset_password_mail", key), BY_KEY)

    def _count(self, request: Client, action: tuple[str, str]) -> None:
        counted = self._take(request, action)
        request.tries.append(lambda: self._undo(counted))

    def _take(self, request: Client, *actions: tuple[str, str], kinds: Collection[str] = KINDS) -> Counted:
        """Count all actions or none, only by these ``kinds``; raises `RateLimited`."""
        counted: Counted = []
        for action, key in actions:
            for rate, who in self._rates_of(request, action, key):
                if rate.per not in kinds:
                    continue
                if not self._counters.acquire(rate, who):
                    self._undo(counted)
                    wait = math.ceil(self._counters.retry_after(rate, who))
                    raise RateLimited(retry_after=max(1, wait), action=action)
                counted.append((rate, who))
        return counted

    def _undo(self, counted: Counted) -> None:
        for rate, who in counted:
            self._counters.undo(rate, who)

    def _clear(self, request: Client, action: tuple[str, str], kinds: Iterable[str]) -> None:
        for rate, who in self._rates_of(request, *action):
            if rate.per in kinds:
                self._counters.clear(rate, who)

    def _rates_of(self, request: Client, action: str, key: str) -> Counted:
        found: Counted = []
        for rate in self._rates.get(action, ()):
            who = self._counted_value(request, rate.per, key)
            if who:
                found.append((rate, _digest(who)))
        return found

    def _counted_value(self, request: Client, per: str, key: str) -> str:
        if per == "key":
            return key
        if per == "user" and request.user is not None:
            return str(request.user.id)
        if request.ip_address is None:
            self._warn_once()
        place = network(request.ip_address) if request.ip_address is not None else ""
        if per == "key+ip":
            return f"{place} {key}" if key else ""
        return place

    def _warn_once(self) -> None:
        """Log once that limits by IP address are not applied."""
        if not self._warned:
            self._warned = True
            log.warning(
                "limits by IP address are not applied: host.request() got no ip_address; "
                "pass the client's address"
            )


class PasswordCheck:
    """One check of a password; see `RateLimits.password_check`."""

    def __init__(self, limits: RateLimits, request: Client, users: Sequence[User], name: str) -> None:
        self._limits, self._request, self._users, self._name = limits, request, users, name
        self._counted: Counted = []
        self._passed: User | None = None
        self._failed = False

    def __enter__(self) -> Self:
        first, *others = self._actions()
        self._counted = self._limits._take(self._request, first)
        for action in others:
            try:
                self._counted += self._limits._take(self._request, action, kinds=BY_KEY)
            except RateLimited:
                self._limits._undo(self._counted)
                raise
        return self

    def _actions(self) -> list[tuple[str, str]]:
        for user in self._users:
            device = self._request.known_device(user)
            if device is not None:
                return [("known_device_failed", device)]
        keys = [_account(user) for user in self._users]
        if self._name or not keys:
            keys.append(_name(self._name))
        return [("login_failed", key) for key in keys]

    def failed(self) -> None:
        """Mark the password as wrong: the check stays counted, whatever error is raised."""
        self._failed = True

    def passed(self, user: User) -> None:
        """Set the user whose password was right: only the failures of that account are deleted."""
        self._passed = user

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._failed or isinstance(error, InvalidCredentials):
            return
        self._limits._undo(self._counted)
        user = self._passed or next(iter(self._users), None)
        if error is not None or user is None:
            return
        device = self._request.known_device(user)
        if device is not None:
            self._limits._clear(self._request, ("known_device_failed", device), BY_KEY)
        if device is not None or _is_logged_in(self._request, user):
            self._limits.reset_failures(self._request, user, [self._name] if self._name else [])
            return
        # A login from an unknown browser does not show that failures from other networks were no guesses.
        for key in (_account(user), _name(self._name)):
            self._limits._clear(self._request, ("login_failed", key), {"key+ip"})


def _is_logged_in(request: Client, user: User | None) -> bool:
    return user is not None and request.user is not None and request.user.id == user.id


def _account(user: User) -> str:
    return f"user {user.id}"


def _name(name: str) -> str:
    return f"name {name}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
