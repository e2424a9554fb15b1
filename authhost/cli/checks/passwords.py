"""Checks of the password hashes: the libraries and the stored hashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from authhost.cli.checks.problem import Problem
from authhost.security.passwords import RESET_REQUIRED
from authhost.store.tables import users

if TYPE_CHECKING:
    from authhost.host import AuthHost

SAMPLE_SIZE = 1000


def check_hash_library(host: AuthHost) -> Iterator[Problem]:
    """Find schemes whose library is installed but does not work."""
    faults = host.services.passwords.test_schemes()
    for scheme, error in faults.items():
        if not isinstance(error, host.services.passwords.missing_backend):
            yield Problem(
                "error",
                f"the hash library fails for {scheme} ({type(error).__name__}): "
                "accounts with this scheme cannot log in",
                "pip install 'bcrypt>=4,<5'"
                if "bcrypt" in scheme
                else "install a version that works with passlib",
            )


def check_stored_hashes(host: AuthHost) -> Iterator[Problem]:
    """Find accounts whose password hash cannot be verified or should be replaced."""
    faults = host.services.passwords.test_schemes()
    if host.settings.password_schemes[0] in faults:
        return
    try:
        counts, unreadable = _count_other_hashes(host)
    except SQLAlchemyError:
        return  # the check of the database reports it
    for scheme in [each for each in counts if each in faults]:
        if isinstance(faults[scheme], host.services.passwords.missing_backend):
            yield Problem(
                "error",
                f"{counts[scheme]} accounts have a password hash of {scheme}, whose library is not installed",
                f"pip install authhost[{scheme}]"
                if scheme == "bcrypt"
                else f"install the library of {scheme}",
            )
    if counts:
        listed = ", ".join(f"{scheme} {count}" for scheme, count in sorted(counts.items()))
        yield Problem(
            "warning",
            f"{sum(counts.values())} accounts have an imported or former password hash ({listed}): "
            "a failed login takes a different time for them than for an unknown name, which reveals "
            "that they exist (ASVS 5.0, 6.3.8)",
            "the next login replaces the hash; for accounts that do not log in, see the page on keys and "
            "backups",
        )
    if unreadable:
        yield Problem(
            "warning",
            f"{unreadable} accounts have a password hash that no scheme in password_schemes can read",
            "add its scheme to password_schemes, or ask these people to reset their password",
        )


def _count_other_hashes(host: AuthHost) -> tuple[dict[str, int], int]:
    """Return the number of accounts whose hash differs from that of new passwords, and of unreadable hashes.

    The first number is per scheme. Classifies hashes by their prefix in SQL, and
    parses a sample of `SAMPLE_SIZE`.
    """

    def starts_with(prefix: str) -> ColumnElement[bool]:
        return func.substr(users.c.password, 1, len(prefix)) == prefix

    passwords = host.services.passwords
    prefixes = [(prefix, scheme) for scheme, each in passwords.prefixes().items() for prefix in each]
    current = starts_with(passwords.current_prefix())
    by_prefix = ((starts_with(prefix), scheme) for prefix, scheme in prefixes)
    kind = case((current, ""), *by_prefix, else_="?").label("kind")
    # A hash that is marked is readable, and is replaced by a reset.
    stored = and_(users.c.password.is_not(None), ~starts_with(RESET_REQUIRED))
    with host.reader.connect() as connection:
        rows = connection.execute(select(kind, func.count()).where(stored).group_by("kind")).all()
        counts = {str(name): int(count) for name, count in rows if name}
        unknown, unreadable = counts.pop("?", 0), 0
        if counts or unknown:
            sample = select(users.c.password).where(stored, ~current).limit(SAMPLE_SIZE)
            for hashed in connection.execute(sample).scalars():
                scheme = passwords.scheme_of(hashed)
                counted_as = next((name for prefix, name in prefixes if hashed.startswith(prefix)), None)
                if scheme is None:
                    unreadable += 1
                    if counted_as is not None:
                        counts[counted_as] -= 1
                elif counted_as is None:
                    counts[scheme] = counts.get(scheme, 0) + 1
    return {scheme: count for scheme, count in counts.items() if count}, unreadable
