"""Rate limits: how often something may be done, and by whom it is counted."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol, Self

from authhost.errors import ConfigurationError, InvalidCredentials, RateLimited
from authhost.security.counters import Counters, MemoryCounters, Rate, RedisCounters
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

KINDS = frozenset({"ip", "user", "key", "key+ip"})
BY_KEY = frozenset({"key", "key+ip"})
Counted = list[tuple[Rate, str]]


class Client(Protocol):
    """Who does something, as rate limits see them: the unit of work."""

    counted: list[Callable[[], None]]
    """Each undoes a count; called where the flow is undone."""
    tries: list[Callable[[], None]]
    """Each undoes a count; called where the flow is refused as `Busy`."""

    @property
    def ip_address(self) -> str | None: ...

    @property
    def user(self) -> User | None:
        """Who is logged in."""
        ...

    def known_device(self, user: User | None) -> str | None:
        """The identifier of a browser that has logged in to the account of ``user`` before."""
        ...


class RateLimits:
    """Counts actions, in memory or in Redis. Of what it counts by, it stores a digest only."""

    def __init__(self, settings: Settings) -> None:
        self._rates: dict[str, list[Rate]] = {}
        self._counters: Counters = MemoryCounters()
        self._warned = False
        if settings.rate_limits is False:
            return
        if settings.redis_url is not None:
            self._counters = _redis(settings.redis_url)
        overrides = settings.rate_limits if isinstance(settings.rate_limits, Mapping) else {}
        for action, rates in {**DEFAULTS, **overrides}.items():
            if action not in DEFAULTS:
                near = get_close_matches(action, DEFAULTS, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(DEFAULTS)}"
                raise ConfigurationError(f"rate_limits: there is no action {action!r}{hint}")
            self._rates[action] = _parsed(action, rates)

    def reachable(self) -> bool:
        """Whether the place where it counts answers."""
        return self._counters.check()

    def hit(self, request: Client, action: str, key: str = "") -> None:
        """Count one ``action``; raises `RateLimited` with ``retry_after`` in seconds.

        It is not counted in the end where the flow is refused as `Busy`: nothing was tried.
        """
        self._try(request, (action, key))

    def hit_for(self, request: Client, user: User | None, action: str, key: str = "") -> None:
        """Count one ``action`` that concerns ``user``; raises `RateLimited`.

        A browser that has logged in to the account before has a counter of its
        own, so that others in its network do not lock it out.
        """
        device = request.known_device(user)
        self._try(request, (action, key) if device is None else ("known_device", device))

    def allows(self, request: Client, *actions: tuple[str, str]) -> bool:
        """Count each (action, key), or none where one of them is too many: False then.

        It is not counted in the end where the flow is undone, such as by a
        message that could not be delivered.
        """
        try:
            counted = self._take(request, *actions)
        except RateLimited:
            return False
        request.counted.append(lambda: self._give_back(counted))
        return True

    def password_check(self, request: Client, users: Sequence[User], name: str = "") -> PasswordCheck:
        """Count a check of a password: ``with limits.password_check(request, users, name) as check: …``.

        All flows that check a password share the counters of an account. A login
        also counts by the ``name`` that was typed, and for each of the ``users``
        that it may mean: so an unknown name is limited like a known one, and
        stays limited when an account of that name is made. A browser that has
        logged in to the account before has counters of its own, so that the
        failures of others do not lock it out. Entering raises `RateLimited`. The
        check is counted before it is made, so that a hundred at once are no more
        than a hundred in a row. It stays counted if the block raises
        `InvalidCredentials` or calls `PasswordCheck.failed`; any other error takes
        it back, and success also deletes the failures before it.
        """
        return PasswordCheck(self, request, users, name)

    def forget_failures(self, request: Client, user: User, names: Iterable[str] = ()) -> None:
        """Delete the failures of an account and of its names, of this network and of all together."""
        for key in (_account(user), *map(_name, names)):
            self._clear(request, ("login_failed", key), BY_KEY)

    def forget_mails(self, request: Client, email_keys: Iterable[str]) -> None:
        """Let a reset be asked for again: the links that were sent before work no longer."""
        for key in email_keys:
            self._clear(request, ("reset_password_mail", key), BY_KEY)

    def _try(self, request: Client, action: tuple[str, str]) -> None:
        counted = self._take(request, action)
        request.tries.append(lambda: self._give_back(counted))

    def _take(self, request: Client, *actions: tuple[str, str], kinds: Collection[str] = KINDS) -> Counted:
        """Count all or nothing, by those ``kinds`` alone."""
        counted: Counted = []
        for action, key in actions:
            for rate, who in self._counted_by(request, action, key):
                if rate.per not in kinds:
                    continue
                if not self._counters.take(rate, who):
                    self._give_back(counted)
                    wait = math.ceil(self._counters.wait(rate, who))
                    raise RateLimited(retry_after=max(1, wait), action=action)
                counted.append((rate, who))
        return counted

    def _give_back(self, counted: Counted) -> None:
        for rate, who in counted:
            self._counters.give_back(rate, who)

    def _clear(self, request: Client, action: tuple[str, str], kinds: Iterable[str]) -> None:
        for rate, who in self._counted_by(request, *action):
            if rate.per in kinds:
                self._counters.clear(rate, who)

    def _counted_by(self, request: Client, action: str, key: str) -> Counted:
        found: Counted = []
        for rate in self._rates.get(action, ()):
            who = self._who(request, rate.per, key)
            if who:
                found.append((rate, _digest(who)))
        return found

    def _who(self, request: Client, per: str, key: str) -> str:
        if per == "key":
            return key
        if per == "user" and request.user is not None:
            return str(request.user.id)
        if request.ip_address is None:
            self._warn()
        place = network(request.ip_address) if request.ip_address is not None else ""
        if per == "key+ip":
            return f"{place} {key}" if key else ""
        return place

    def _warn(self) -> None:
        """Say once that nothing is counted by IP address."""
        if not self._warned:
            self._warned = True
            log.warning(
                "limits by IP address do not count: host.request() got no ip_address; "
                "hand over the client's address"
            )


class PasswordCheck:
    """One check of a password, of `RateLimits.password_check`."""

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
                self._limits._give_back(self._counted)
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
        """Say that the password was wrong, whatever error tells it: the check stays counted."""
        self._failed = True

    def passed(self, user: User) -> None:
        """Say whose password was right: only the failures of that account are deleted."""
        self._passed = user

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._failed or isinstance(error, InvalidCredentials):
            return
        self._limits._give_back(self._counted)
        user = self._passed or next(iter(self._users), None)
        if error is not None or user is None:
            return
        device = self._request.known_device(user)
        if device is not None:
            self._limits._clear(self._request, ("known_device_failed", device), BY_KEY)
        if device is not None or _is_logged_in(self._request, user):
            self._limits.forget_failures(self._request, user, [self._name] if self._name else [])
            return
        # Elsewhere somebody may be guessing: a login from an unknown browser says nothing about that.
        for key in (_account(user), _name(self._name)):
            self._limits._clear(self._request, ("login_failed", key), {"key+ip"})


def _is_logged_in(request: Client, user: User | None) -> bool:
    return user is not None and request.user is not None and request.user.id == user.id


def _account(user: User) -> str:
    return f"user {user.id}"


def _name(name: str) -> str:
    return f"name {name}"


def _parsed(action: str, rates: str) -> list[Rate]:
    from limits import parse

    parts = [each.strip().rpartition("/") for each in rates.split(",") if each.strip()]
    if any(per not in KINDS for _, _, per in parts):
        raise ConfigurationError(
            f"rate_limits: {action} = {rates!r} must end in /ip, /user, /key or /key+ip; "
            'an example is "10/minute/ip"'
        )
    try:
        items = [(parse(rate), per) for rate, _, per in parts]
    except ValueError as error:
        raise ConfigurationError(f"rate_limits: {action} = {rates!r}: {error}") from error
    return [Rate(action, item.amount, item.get_expiry(), per) for item, per in items]


def _redis(url: str) -> Counters:
    from limits.errors import ConfigurationError as LimitsConfigurationError
    from limits.storage import RedisStorage, storage_from_string

    try:
        # A Redis that takes a connection and is silent would hold each login for ever.
        storage = storage_from_string(url, socket_timeout=2, socket_connect_timeout=2)
    except LimitsConfigurationError:
        storage = None
    if not isinstance(storage, RedisStorage):
        raise ConfigurationError(
            "redis_url does not serve; it looks like redis://host:6379/0, "
            "and needs `pip install authhost[redis]`"
        )
    return RedisCounters(storage)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
