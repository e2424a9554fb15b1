"""Hashes and verifies passwords. Only this module uses passlib."""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NewType

from authhost.errors import (
    AuthError,
    ConfigurationError,
    InvalidCredentials,
    InvalidInput,
    Unavailable,
    WeakPassword,
)
from authhost.security.characters import MAX_SHRINK_FACTOR
from authhost.security.concurrency import ConcurrencyLimit
from authhost.security.password_rules import PasswordRules

if TYPE_CHECKING:
    from authhost.settings import Settings

log = logging.getLogger("authhost")

RESET_REQUIRED = "!reset!"
"""Precedes a stored hash whose password logs in no more. A version that does not know it cannot read it."""

CheckedPassword = NewType("CheckedPassword", str)
"""A new password that the policy and the plugins have accepted; `account.new_password` returns it."""


class Passwords:
    """Hashes and verifies passwords, at most ``max_concurrent_hashes`` at once, and checks new ones.

    ``missing_backend`` is the exception of a scheme whose library is not installed.
    Raises `ConfigurationError` if the first of ``password_schemes`` does not work.
    """

    def __init__(self, settings: Settings) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from passlib.context import CryptContext
            from passlib.exc import MissingBackendError, PasslibHashWarning
            from passlib.utils import MAX_PASSWORD_SIZE
            from zxcvbn.frequency_lists import FREQUENCY_LISTS

            warnings.simplefilter("error", PasslibHashWarning)  # passlib would change the value
            self.missing_backend: type[Exception] = MissingBackendError
            first = settings.password_schemes[0] if settings.password_schemes else "nothing"
            try:
                self._context = CryptContext(
                    schemes=list(settings.password_schemes),
                    deprecated="auto",
                    **settings.password_hash_options,
                )
                self._schemes: tuple[str, ...] = self._context.schemes()
                self._dummy = str(self._context.hash("authhost: no account has this password"))
            except Exception as error:
                raise ConfigurationError(
                    f"passwords cannot be hashed by {first} ({type(error).__name__}: {error}); "
                    "see password_schemes and password_hash_options"
                ) from error
        self._slots = ConcurrencyLimit(
            settings.max_concurrent_hashes, settings.password_hash_wait, settings.password_hash_queue
        )
        self._min, self._max = settings.password_min_length, settings.password_max_length
        self._max_bytes: int = MAX_PASSWORD_SIZE
        self._rules = PasswordRules(settings.site_name, FREQUENCY_LISTS["passwords"])
        self._failing: dict[str, str] = {}
        self._samples: dict[str, str] = {}
        for scheme, fault in self.test_schemes().items():
            if not isinstance(fault, self.missing_backend):
                self._mark_failing(scheme, fault)

    @property
    def waiting(self) -> int:
        """The number of threads that wait until they may hash a password."""
        return self._slots.waiting

    @property
    def failing(self) -> tuple[str, ...]:
        """The schemes whose hashes cannot be verified at the moment."""
        return tuple(self._failing)

    def normalise(self, password: object) -> str:
        """Return the password in NFKC (NIST SP 800-63B-4).

        The limits apply to the result: ``password_max_length`` characters, and
        4096 bytes in UTF-8, the maximum of the hash library. Raises `WeakPassword`
        (``too_long``), and `InvalidInput` for characters that no form can send.
        """
        if not isinstance(password, str):
            raise InvalidInput("The password must be text.", field="password")
        if len(password) > self._max * MAX_SHRINK_FACTOR:
            raise self._too_long()
        if "\0" in password or (not password.isascii() and any("\ud800" <= c <= "\udfff" for c in password)):
            raise InvalidInput("The password has characters that cannot be stored.", field="password")
        text = unicodedata.normalize("NFKC", password)
        if len(text) > self._max or len(text.encode()) > self._max_bytes:
            raise self._too_long()
        return text

    def _too_long(self) -> WeakPassword:
        return WeakPassword(
            f"The password may have at most {self._max} characters.", field="password", reason="too_long"
        )

    def accept(self, password: object, *context: str | None) -> str:
        """Return the new password ``password``, normalised; raise `WeakPassword` with the reason.

        The length must be within the settings, and `PasswordRules` must accept it.
        ``context`` is the address and the username of the account. Before it is
        hashed, the plugins check it: `account.new_password.check_new_password`.
        """
        text = self.normalise(password)
        if len(text) < self._min:
            raise WeakPassword(
                f"The password must have at least {self._min} characters.",
                field="password",
                reason="too_short",
            )
        size = self._truncation_size(self._schemes[0])
        if size is not None and len(text.encode()) > size:  # not truncated silently (ASVS 5.0, 6.2.8)
            raise WeakPassword(
                f"The password may have at most {size} bytes.", field="password", reason="too_long"
            )
        self._rules.check(text, context)
        return text

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Reserve a slot for hashing; `hash` and `verify` inside the block do not wait again.

        A flow counts the attempt inside the block, so that an attempt that is
        refused as busy is not counted. Raises `Busy` if no slot becomes free within
        ``password_hash_wait`` seconds, or if ``password_hash_queue`` threads wait already.
        """
        with self._slots:
            yield

    def hash(self, password: CheckedPassword) -> str:
        """Return the hash to store, of the first scheme. Raises `Busy`, `Unavailable`."""
        failure: Exception
        with self._slots:
            try:
                hashed = str(self._context.hash(password))
            except Exception as error:
                failure = error
            else:
                self._failing.pop(self._schemes[0], None)
                return hashed
        # Outside the handler, so that the library's error, which may contain a hash, is not chained.
        self._mark_failing(self._schemes[0], failure)
        raise Unavailable

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether the password is right, and a new hash to store if the parameters have changed.

        If ``stored`` is None, or if no scheme can read it, a dummy hash is verified
        and the result is False. So the account cannot be told from an unknown one,
        by the answer or by its time. An unreadable hash is logged, and ``authhost
        check`` reports it.

        Raises `Unavailable`, and logs it, if the hash library fails: the password
        may be right or wrong. Until the scheme works again, `refusal` returns the
        same error for unknown accounts and wrong passwords, so that it does not
        reveal which accounts have such a hash. Raises `Busy`. The caller calls `needs_reset`.
        """
        stored = stored.removeprefix(RESET_REQUIRED) if stored is not None else None
        scheme = self.scheme_of(stored) if stored is not None else None
        failure: Exception | None = None
        with self._slots:
            try:
                right, newer = self._check(password, stored if stored and scheme else self._dummy)
            except Exception as error:
                # It must take as long as the refusal of an unknown account.
                with suppress(Exception):
                    self._context.verify(password, self._dummy)
                if scheme is None or not self._verifies_sample(password, scheme):
                    failure = error
                scheme = None if failure is None else scheme
            else:
                self._failing.pop(scheme or self._schemes[0], None)
        if failure is not None:
            # Outside the handler, so that the library's error, which may contain the hash, is not chained.
            self._mark_failing(scheme or self._schemes[0], failure)
            raise Unavailable
        if scheme is not None:
            return right, newer
        if stored is not None:
            log.error("a stored password hash cannot be read; `authhost check` says how many there are")
        return False, None

    @staticmethod
    def require_reset(stored: str) -> str:
        """Return the stored hash with the mark that a new password is required."""
        return RESET_REQUIRED + stored.removeprefix(RESET_REQUIRED)

    @staticmethod
    def needs_reset(stored: str | None) -> bool:
        """Return whether a new password is required instead of the one that was verified."""
        return stored is not None and stored.startswith(RESET_REQUIRED)

    def _check(self, password: str, stored: str) -> tuple[bool, str | None]:
        """Verify by passlib, after truncating the password for bcrypt: bcrypt 5 refuses longer passwords."""
        size, given = self._truncation_size(self._context.identify(stored)), password.encode()
        if size is None or len(given) <= size:
            right, newer = self._context.verify_and_update(password, stored)
            return bool(right), newer
        if not self._context.verify(given[:size], stored):
            return False, None
        keeps = self._truncation_size(self._schemes[0]) is not None
        return True, None if keeps else str(self._context.hash(password))

    def _truncation_size(self, scheme: str) -> int | None:
        """Return after how many bytes of UTF-8 the scheme truncates a password, or None."""
        size: int | None = getattr(self._context.handler(scheme), "truncate_size", None)
        return size

    def _verifies_sample(self, password: str, scheme: str) -> bool:
        """Return whether the library verifies another hash of the scheme: then the stored one is broken."""
        try:
            self._check(password, self._samples[scheme])
        except Exception:
            return False
        return True

    def refusal(self) -> AuthError:
        """Return the error of a failed login: `InvalidCredentials`, also for an unknown account.

        While a scheme fails, it is `Unavailable` for all accounts, so that an account
        whose hash cannot be verified does not differ from others.
        """
        return Unavailable() if self._failing else InvalidCredentials()

    def test_schemes(self) -> dict[str, Exception]:
        """Test each scheme once, at its lowest cost; return the errors of those that fail, by scheme."""
        found: dict[str, Exception] = {}
        noise = logging.getLogger("passlib.handlers.bcrypt")
        noise.addFilter(_not_bcrypt_version)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                for scheme in self._schemes:
                    try:
                        handler = self._at_lowest_cost(scheme)
                        sample = handler.hash("right")
                        if not handler.verify("right", sample):
                            raise ValueError("a right password is not recognised")
                        self._samples[scheme] = sample
                    except Exception as error:
                        found[scheme] = error
        finally:
            noise.removeFilter(_not_bcrypt_version)
        return found

    def prefixes(self) -> dict[str, tuple[str, ...]]:
        """Return the prefixes of the hashes of each scheme; an empty tuple for a scheme without prefix."""
        found: dict[str, tuple[str, ...]] = {}
        for scheme in self._schemes:
            handler = self._context.handler(scheme)
            prefixes = getattr(handler, "ident_values", None) or (getattr(handler, "ident", None),)
            found[scheme] = ("$argon2",) if scheme == "argon2" else tuple(filter(None, prefixes))
        return found

    def current_prefix(self) -> str:
        """Return the common prefix of all new hashes: the scheme and its parameters, up to the salt."""
        hashes = [self._dummy, *(self.hash(CheckedPassword("any")) for _ in range(3))]
        same = takewhile(lambda letters: len(set(letters)) == 1, zip(*hashes, strict=False))
        return "".join(letters[0] for letters in same)

    def scheme_of(self, stored: str) -> str | None:
        """Return the scheme that can read ``stored``, or None."""
        try:
            scheme: str | None = self._context.identify(stored)
            if scheme is not None:
                # This parses the complete hash. The same method of the context skips deprecated schemes.
                self._context.handler(scheme).needs_update(stored)
        except Exception:
            return None
        return scheme

    def _at_lowest_cost(self, scheme: str) -> Any:
        handler = self._context.handler(scheme)
        lowest = getattr(handler, "min_rounds", None)
        return handler.using(rounds=lowest) if lowest is not None else handler

    def _mark_failing(self, scheme: str, error: Exception) -> None:
        self._failing[scheme] = type(error).__name__
        log.error(
            "the hash library fails for %s: %s; `authhost check` says what to do",
            scheme,
            type(error).__name__,
        )


def _not_bcrypt_version(record: logging.LogRecord) -> bool:
    """Filter out the message that passlib 1.7.4 logs for bcrypt 4.1 and later, which it works with."""
    return "(trapped) error reading bcrypt version" not in record.getMessage()
