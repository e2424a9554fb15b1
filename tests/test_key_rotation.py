"""A new key in ``encryption_keys``: everything that is stored encrypted is encrypted again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from authhost_email.plugin import EmailPlugin
from authhost_email.tables import link_purpose, outbox_table
from authhost_hookspecs import Actor, PluginTables, hookimpl
from authhost_mfa.plugin import MfaPlugin
from authhost_mfa.tables import authenticator_table, secret_purpose
from conftest import PASSWORD
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, Uuid, delete, insert, select, update

from authhost.operations import sealed_columns as rotation
from authhost.operations.sealed_columns import count, encrypt_again, key_use, sealed_columns
from authhost.security.encryption import Encryption
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
            {"mfa": MfaPlugin(), "email": EmailPlugin(), "keeper": Keeper()},
            providers={"corp": {"client_secret": "of-the-site", **app}},
            store_social_tokens=True,
            encryption_keys=keys,
            email_verification="mandatory",
            base_url="https://example.org",
            plugin_settings={"email": {"delivery": "manual"}},
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
    identifier = host.new_id()
    row = {"id": identifier, "user_id": identifier, "kind": "totp", "name": "", "second_factor": False}
    row |= {"created_at": host.now, "secret": host.seal("JBSWY3DPEHPK3PXP", secret_purpose(identifier))}
    with host.engine.begin() as connection:
        connection.execute(insert(authenticator_table), row)
    return host


def values(host):
    with host.engine.connect() as connection:
        return {
            each.name: connection.execute(
                select(each.column).where(each.column.is_not(None)).order_by(*each.column.table.primary_key)
            )
            .scalars()
            .all()
            for each in sealed_columns(host)
        }


def encrypted(host):
    return sum(each.encrypted for each in encrypt_again(host))


def test_every_binary_column_is_a_digest_or_is_rotated(make):
    binary = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.type is not KEY_DIGEST
    ]
    names = [each.name for each in sealed_columns(make(OLD))]
    assert names == [*binary, "authhost_email_outbox.sealed_link", "authhost_mfa_authenticator.secret"]


def test_every_encrypted_value_is_readable_with_the_new_key_only(make, stored):
    before, both = values(stored), make(NEW, OLD)
    assert all(before.values()), "a column without a value is not tested"
    total = sum(map(len, before.values()))
    assert count(both) == total
    assert key_use(both) == ({1: total}, {})
    assert encrypted(both) == total
    assert key_use(make(NEW)) == ({0: total}, {})
    assert encrypted(both) == 0, "it has nothing to do again"
    encryption, mail = make(NEW).services.encryption, outbox_table.c
    for column, found in values(both).items():
        if isinstance(found[0], bytes):
            opened = [encryption.open(each) for each in found]
            assert opened == [stored.services.encryption.open(each) for each in before[column]]
    with both.engine.connect() as connection:
        with_link = select(mail.id, mail.recipient, mail.sealed_link).where(mail.sealed_link.is_not(None))
        link = connection.execute(with_link).first()
        app = connection.execute(select(authenticator_table.c.id, authenticator_table.c.secret)).one()
    assert "http" in make(NEW).open(link.sealed_link, link_purpose(link.id, link.recipient))
    assert make(NEW).open(app.secret, secret_purpose(app.id)) == "JBSWY3DPEHPK3PXP"


def test_values_whose_key_is_missing_are_counted_and_kept(make, stored):
    before, lost = values(stored), make(NEW)
    batches = list(encrypt_again(lost))
    assert {each.column: each.unreadable for each in batches} == {k: len(v) for k, v in before.items()}
    assert sum(each.encrypted for each in batches) == 0
    assert key_use(lost) == ({}, {k: len(v) for k, v in before.items()})
    assert values(lost) == before


def test_expired_values_with_a_lost_key_stop_nothing(make, stored, clock):
    with stored.engine.begin() as connection:
        connection.execute(delete(social_tokens))
        connection.execute(delete(plugin_deletions))
        connection.execute(delete(outbox_table))
        connection.execute(delete(authenticator_table))
    before = values(stored)
    clock.now += timedelta(days=400)
    lost = make(NEW)
    assert key_use(lost) == ({}, {})
    assert [each.unreadable + each.encrypted for each in encrypt_again(lost)] == [0, 0]
    assert values(lost) == before


def test_an_interrupted_run_is_continued(make, stored, monkeypatch):
    monkeypatch.setattr(rotation, "BATCH_SIZE", 1)
    both = make(NEW, OLD)
    total = count(both)
    first = next(encrypt_again(both))
    assert first.encrypted == 1
    assert key_use(both).by_key == {0: 1, 1: total - 1}
    assert encrypted(both) == total - 1
    assert key_use(both).by_key == {0: total}


def test_a_value_that_is_replaced_meanwhile_is_not_lost(make, stored, monkeypatch):
    both, real, written = make(NEW, OLD), Encryption.rotate, []

    def slow(self, sealed):
        written.append(stored.services.encryption.seal({"replaced": "meanwhile"}))
        with stored.engine.begin() as connection:
            connection.execute(update(social_tokens).values(sealed=written[-1]))
        return real(self, sealed)

    monkeypatch.setattr(Encryption, "rotate", slow)
    list(encrypt_again(both))
    assert values(both)["authhost_social_token.sealed"] == written[-1:]
    monkeypatch.undo()
    assert encrypted(both) == 1
    (found,) = values(both)["authhost_social_token.sealed"]
    assert make(NEW).services.encryption.open(found) == {"replaced": "meanwhile"}


def test_a_value_of_another_row_is_counted_and_kept(make, stored):
    with stored.engine.begin() as connection:
        moved = stored.seal("JBSWY3DPEHPK3PXP", secret_purpose(stored.new_id()))
        connection.execute(update(authenticator_table).values(secret=moved))
    batches = {each.column: each for each in encrypt_again(make(NEW, OLD))}
    assert batches["authhost_mfa_authenticator.secret"].unreadable == 1
    assert values(stored)["authhost_mfa_authenticator.secret"] == [moved]


tables = MetaData()
Table(
    "authhost_x_pair",
    tables,
    Column("a", Uuid, primary_key=True),
    Column("b", Uuid, primary_key=True),
    Column("text", Text),
)
Table("authhost_x_row", tables, Column("id", Uuid, primary_key=True), Column("text", Text))


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        ({"authhost_x_row.no": "x"}, "names the sealed column 'authhost_x_row.no', which is not"),
        ({"authhost_x_other.text": "x"}, "which is not in its metadata; write it as table.column"),
        ({"text": "x"}, "which is not in its metadata; write it as table.column"),
        ({"authhost_x_row.text": "x {no}"}, "names the column 'no' in the purpose of authhost_x_row.text"),
        ({"authhost_x_pair.text": "x {a}"}, "the primary key of its table is not one column"),
        ({"authhost_x_row.text": "x {id!r}"}, "may have only names of columns in braces"),
        ({"authhost_x_row.text": "x {id.hex}"}, "may have only names of columns in braces"),
        ({"authhost_x_row.text": "x {}"}, "may have only names of columns in braces"),
    ],
)
def test_a_wrong_declaration_is_refused_with_a_remedy(make_host, sealed, reason):
    class Wrong:
        @hookimpl
        def register_tables(self):
            return PluginTables(tables, "authhost.store.migrations", sealed=sealed)

    host = make_host({"x": Wrong()})
    (record,) = [each for each in host.registry.records if each.name == "x"]
    assert record.status == "refused"
    assert reason in record.reason
