"""Passwords: everything that touches passlib."""

from __future__ import annotations

import logging
import math
import threading
import unicodedata
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from authhost.errors import (
    AuthError,
    Busy,
    ConfigurationError,
    InvalidCredentials,
    InvalidInput,
    Unavailable,
    WeakPassword,
)
from authhost.security.characters import SHRINKS

if TYPE_CHECKING:
    from authhost.settings import Settings

log = logging.getLogger("authhost")

SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")
DIGITS = "0123456789"


class Turns:
    """Admits a number of threads at once; the others wait in the order in which they came.

    At most ``queue`` threads wait, each for at most ``wait`` seconds; beyond
    that, `Busy` is raised. A thread that has a turn may enter again.
    """

    def __init__(self, at_once: int, wait: float, queue: int) -> None:
        self._free = at_once
        self._wait, self._queue = wait, queue
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()
        self._mine = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            self._acquire()
        self._mine.depth = depth + 1

    def __exit__(self, *error: object) -> None:
        self._mine.depth -= 1
        if not self._mine.depth:
            self._release()

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._waiting)

    def _acquire(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._waiting) >= self._queue:
                raise self._busy()
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            admitted = turn.wait(self._wait)
        except BaseException:
            if self._give_up(turn):
                self._release()
            raise
        if not admitted and not self._give_up(turn):
            raise self._busy()

    def _give_up(self, turn: threading.Event) -> bool:
        """Leave the queue; return True where the turn has come at the last moment."""
        with self._lock:
            if turn.is_set():
                return True
            self._waiting.remove(turn)
            return False

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # It inherits the turn, so nobody can overtake it.
            else:
                self._free += 1

    def _busy(self) -> Busy:
        return Busy(retry_after=max(1, math.ceil(self._wait)))


class Passwords:
    """Hashes, checks and judges passwords. At most ``max_concurrent_hashes`` are computed at once.

    ``missing_backend`` is the error of a scheme whose library is not installed.
    Raises `ConfigurationError` where the first of ``password_schemes`` does not work.
    """

    def __init__(self, settings: Settings) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from passlib.context import CryptContext
            from passlib.exc import MissingBackendError, PasslibHashWarning
            from passlib.utils import MAX_PASSWORD_SIZE
            from zxcvbn.frequency_lists import FREQUENCY_LISTS

            warnings.simplefilter("error", PasslibHashWarning)  # a value that it would replace by another
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
        self._turns = Turns(
            settings.max_concurrent_hashes, settings.password_hash_wait, settings.password_hash_queue
        )
        self._min, self._max = settings.password_min_length, settings.password_max_length
        self._max_bytes: int = MAX_PASSWORD_SIZE
        self._site = settings.site_name
        self._common = frozenset(FREQUENCY_LISTS["passwords"])
        self._failing: dict[str, str] = {}
        self._samples: dict[str, str] = {}
        for scheme, fault in self.faults().items():
            if not isinstance(fault, self.missing_backend):
                self._fails(scheme, fault)

    def normalise(self, password: object) -> str:
        """Return the password in NFKC, as NIST SP 800-63B-4 asks.

        The limits hold for what is returned: ``password_max_length`` characters,
        and the 4096 bytes in UTF-8 that the hash library takes. Raises
        `WeakPassword` (``too_long``), and `InvalidInput` for what no form can send.
        """
        if not isinstance(password, str):
            raise InvalidInput("The password must be text.", field="password")
        if len(password) > self._max * SHRINKS:
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
        """Return ``password`` normalised if it meets the policy; raise `WeakPassword` with the reason.

        The whole of it is compared with a list of common passwords and with
        ``context`` (the address, the name), with repeats, digits, case and
        punctuation taken off (NIST SP 800-63B-4, 3.1.1.2). Sequences of keys
        are refused, also several in a row, or two by turns (``1q2w3e4r…``).
        """
        text = self.normalise(password)
        if len(text) < self._min:
            raise WeakPassword(
                f"The password must have at least {self._min} characters.",
                field="password",
                reason="too_short",
            )
        size = self._truncates(self._schemes[0])
        if size is not None and len(text.encode()) > size:  # Not cut off in silence (ASVS 5.0, 6.2.8).
            raise WeakPassword(
                f"The password may have at most {size} bytes.", field="password", reason="too_long"
            )
        core = _unrepeated(_core(text))
        words = {
            core,
            _unrepeated(core.strip(DIGITS)),
            _unrepeated("".join(each for each in core if each not in DIGITS)),
        } - {""}
        known = {_core(part) for each in (self._site, *context) if each for part in (each, *each.split("@"))}
        if len(set(core)) < 5 or not words.isdisjoint(known) or not words.isdisjoint(self._common):
            raise WeakPassword(field="password", reason="too_common")
        if _sequences(core) or (_sequences(core[::2]) and _sequences(core[1::2])):
            raise WeakPassword(
                "The password must not be a sequence of keys.", field="password", reason="too_common"
            )
        return text

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Reserve a place for hashing; `hash` and `verify` within it do not wait again.

        A flow counts a try inside, so that one which is refused as busy is not
        counted. Raises `Busy` where no place is free within ``password_hash_wait``
        seconds, or ``password_hash_queue`` threads wait already.
        """
        with self._turns:
            yield

    def hash(self, password: str) -> str:
        """Return the hash to store, by the first scheme; raises `Busy`, `Unavailable`."""
        failure: Exception
        with self._turns:
            try:
                hashed = str(self._context.hash(password))
            except Exception as error:
                failure = error
            else:
                self._failing.pop(self._schemes[0], None)
                return hashed
        # Outside the handler: the library's own error may quote a hash, and does not go along.
        self._fails(self._schemes[0], failure)
        raise Unavailable

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether the password is right, and a new hash to store where the parameters have changed.

        Without a stored hash, and where no scheme can read it, the work of a new
        hash is done and the answer is False: no password is right, so the
        account answers like an unknown one. The latter is logged, and named by
        ``authhost check``.

        Raises `Unavailable`, after logging it, where the hash library fails: that
        says nothing about the password. Until the scheme works again `refusal`
        gives the same answer for unknown accounts and wrong passwords, so that
        it does not tell which accounts have such a hash. Raises `Busy`.
        """
        scheme = self.scheme_of(stored) if stored is not None else None
        failure: Exception | None = None
        with self._turns:
            try:
                right, newer = self._check(password, stored if stored and scheme else self._dummy)
            except Exception as error:
                # The refusal costs what that of an unknown account does.
                with suppress(Exception):
                    self._context.verify(password, self._dummy)
                if scheme is None or not self._checks_another(password, scheme):
                    failure = error
                scheme = None if failure is None else scheme
            else:
                self._failing.pop(scheme or self._schemes[0], None)
        if failure is not None:
            # Outside the handler: the library's own error may quote the hash, and does not go along.
            self._fails(scheme or self._schemes[0], failure)
            raise Unavailable
        if scheme is not None:
            return right, newer
        if stored is not None:
            log.error("a stored password hash cannot be read; `authhost check` says how many there are")
        return False, None

    def _check(self, password: str, stored: str) -> tuple[bool, str | None]:
        """Return what passlib does, but cut off what bcrypt does not hash: its version 5 refuses more."""
        size, given = self._truncates(self._context.identify(stored)), password.encode()
        if size is None or len(given) <= size:
            right, newer = self._context.verify_and_update(password, stored)
            return bool(right), newer
        if not self._context.verify(given[:size], stored):
            return False, None
        keeps = self._truncates(self._schemes[0]) is not None
        return True, None if keeps else str(self._context.hash(password))

    def _truncates(self, scheme: str) -> int | None:
        """After how many bytes of UTF-8 the scheme cuts a password off, or None."""
        size: int | None = getattr(self._context.handler(scheme), "truncate_size", None)
        return size

    def _checks_another(self, password: str, scheme: str) -> bool:
        """Return whether the library checks another hash of the scheme: then the stored one is at fault."""
        try:
            self._check(password, self._samples[scheme])
        except Exception:
            return False
        return True

    def refusal(self) -> AuthError:
        """Return what a login without success raises: `InvalidCredentials`, for an unknown account, too.

        While a scheme fails it is `Unavailable` for all of them: an account whose
        hash cannot be checked gets that answer, and must not stand out.
        """
        return Unavailable() if self._failing else InvalidCredentials()

    def faults(self) -> dict[str, Exception]:
        """Try each scheme once, at its lowest cost; return the errors of those that fail, by scheme."""
        found: dict[str, Exception] = {}
        noise = logging.getLogger("passlib.handlers.bcrypt")
        noise.addFilter(_trapped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                for scheme in self._schemes:
                    try:
                        handler = self._cheapest(scheme)
                        sample = handler.hash("right")
                        if not handler.verify("right", sample):
                            raise ValueError("a right password is not recognised")
                        self._samples[scheme] = sample
                    except Exception as error:
                        found[scheme] = error
        finally:
            noise.removeFilter(_trapped)
        return found

    def prefixes(self) -> dict[str, tuple[str, ...]]:
        """Return what the hashes of each scheme begin with; nothing for a scheme without such a mark."""
        found: dict[str, tuple[str, ...]] = {}
        for scheme in self._schemes:
            handler = self._context.handler(scheme)
            marks = getattr(handler, "ident_values", None) or (getattr(handler, "ident", None),)
            found[scheme] = ("$argon2",) if scheme == "argon2" else tuple(filter(None, marks))
        return found

    def current_prefix(self) -> str:
        """Return what all new hashes begin with: the scheme and its parameters, as far as the salt."""
        hashes = [self._dummy, *(self.hash("any") for _ in range(3))]
        same = takewhile(lambda letters: len(set(letters)) == 1, zip(*hashes, strict=False))
        return "".join(letters[0] for letters in same)

    def scheme_of(self, stored: str) -> str | None:
        """Return the scheme that can read ``stored``, or None."""
        try:
            scheme: str | None = self._context.identify(stored)
            if scheme is not None:
                # It parses the whole hash; the same method of the context leaves out deprecated schemes.
                self._context.handler(scheme).needs_update(stored)
        except Exception:
            return None
        return scheme

    def _cheapest(self, scheme: str) -> Any:
        handler = self._context.handler(scheme)
        lowest = getattr(handler, "min_rounds", None)
        return handler.using(rounds=lowest) if lowest is not None else handler

    def _fails(self, scheme: str, error: Exception) -> None:
        self._failing[scheme] = type(error).__name__
        log.error(
            "the hash library fails for %s: %s; `authhost check` says what to do",
            scheme,
            type(error).__name__,
        )


def _trapped(record: logging.LogRecord) -> bool:
    """Leave out what passlib 1.7.4 logs about every bcrypt since 4.1, with which it works."""
    return "(trapped) error reading bcrypt version" not in record.getMessage()


def _core(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _sequences(text: str) -> bool:
    """Whether ``text`` is made of sequences of at least four keys each, forwards or backwards."""
    at = 0
    while at < len(text):
        ends = [at]
        for each in (*SEQUENCES, *(sequence[::-1] for sequence in SEQUENCES)):
            end = at
            while end < len(text) and text[at : end + 1] in each:
                end += 1
            ends.append(end)
        if max(ends) - at < 4:
            return False
        at = max(ends)
    return True


def _unrepeated(text: str) -> str:
    """``abcabc`` as ``abc``."""
    return text[: (text + text).find(text, 1)] if text else text
