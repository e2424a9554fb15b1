"""The encrypted secrets of authenticator apps, after a change of the host's keys."""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import CannotOpen, Host
from sqlalchemy import select, update

from authhost_mfa.tables import authenticator_table, secret_purpose

SAMPLE = 100
"""How many secrets `authhost check` decrypts, the oldest ones."""


def encrypt_again(host: Host) -> Iterator[bool]:
    """Encrypt every secret with the first of the host's keys; yield for each whether it could be decrypted.

    Does not change a secret that was removed or replaced meanwhile. Can be repeated.
    """
    table = authenticator_table.c
    with host.reader.connect() as connection:
        rows = connection.execute(select(table.id, table.secret).where(table.secret.is_not(None))).all()
    for row in rows:
        purpose = secret_purpose(row.id)
        try:
            sealed = host.seal(host.open(row.secret, purpose), purpose)
        except CannotOpen:
            yield False
            continue
        unchanged = table.id == row.id, table.secret == row.secret
        with host.engine.begin() as connection:
            connection.execute(update(authenticator_table).where(*unchanged).values(secret=sealed))
        yield True


def unreadable(host: Host) -> int:
    """Return how many of the oldest `SAMPLE` secrets no key of the host decrypts."""
    table = authenticator_table.c
    oldest = select(table.id, table.secret).where(table.secret.is_not(None)).order_by(table.id).limit(SAMPLE)
    count = 0
    with host.reader.connect() as connection:
        for row in connection.execute(oldest):
            try:
                host.open(row.secret, secret_purpose(row.id))
            except CannotOpen:
                count += 1
    return count
