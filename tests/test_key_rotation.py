"""A new key in ``encryption_keys``: everything that is stored encrypted is encrypted again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from authhost_hookspecs import Actor, hookimpl
from conftest import PASSWORD
from sqlalchemy import LargeBinary, delete, select

from authhost.operations.key_rotation import count, rotate, sealed_columns
from authhost.security.encryption import Undecipherable
from authhost.store.tables import KEY_DIGEST, metadata, plugin_deletions, social_tokens

ROOT = Actor("operator", name="root")
OLD, NEW = "old-encryption-key-" * 2, "new-encryption-key-" * 2


class Keeper:
    """Fails to delete its data, so that the host keeps the user of the deletion."""

    @hookimpl
    def user_deleted(self):
        raise RuntimeError


@pytest.fixture
def make(make_host, scripted, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site", "trust_emails": True}

    def make(*keys):
        return make_host(
            plugins={"keeper": Keeper()},
            providers={"corp": {"client_secret": "of-the-site", **app}},
            store_social_tokens=True,
            encryption_keys=keys,
            email_verification="mandatory",
        )

    return make


@pytest.fixture
def stored(make, arrive, run, scripted):
    """A host with the old key that has stored a value in each encrypted column."""
    host = make(OLD)
    arrive(host, "corp", scripted.agree)
    with host.request(given={"invitation": "1"}) as request:
        host.account.signup(request, email="waits@example.org", password=PASSWORD)
    with host.request() as request:
        host.socialaccount.begin(request, provider="corp")
    gone = host.users.create("gone@example.org", actor=ROOT)
    host.users.delete(gone.id, actor=ROOT)
    return host


def values(host):
    with host.engine.connect() as connection:
        return {
            str(column): connection.execute(select(column).where(column.is_not(None))).scalars().all()
            for column in sealed_columns()
        }


def test_every_binary_column_is_a_digest_or_is_rotated():
    binary = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.type is not KEY_DIGEST
    ]
    assert binary == [str(column) for column in sealed_columns()]


def test_every_encrypted_value_is_readable_with_the_new_key_only(make, stored):
    before, both = values(stored), make(NEW, OLD)
    assert all(before.values()), "a column without a value is not tested"
    total = sum(map(len, before.values()))
    assert (count(both.services), sum(rotate(both.services))) == (total, total)
    encryption = make(NEW).services.encryption
    for column, found in values(both).items():
        opened = [encryption.open(each) for each in found]
        assert opened == [stored.services.encryption.open(each) for each in before[column]]


def test_a_missing_key_is_reported(make, stored):
    with pytest.raises(Undecipherable, match="encryption_keys"):
        list(rotate(make(NEW).services))


def test_expired_values_with_a_lost_key_stop_nothing(make, stored, clock):
    with stored.engine.begin() as connection:
        connection.execute(delete(social_tokens))
        connection.execute(delete(plugin_deletions))
    before = values(stored)
    clock.now += timedelta(days=400)
    lost = make(NEW)
    assert sum(rotate(lost.services)) == 0
    assert values(lost) == before
