"""Helpers of the tests: read, seal and manipulate the trail."""

from __future__ import annotations

from authhost_audit.checkpoints import seal_and_push
from authhost_audit.sealing import seal
from authhost_audit.search import Query, search
from authhost_audit.settings import AuditSettings
from authhost_audit.signing import new_key
from authhost_audit.tables import batch_table, event_table, leaf_table
from authhost_audit.verification import verify
from authhost_audit.violations import Violation
from conftest import PASSWORD
from sqlalchemy import delete, select, text

ANN, BOB = "ann@example.org", "bob@example.org"
SIGNING, PUBLIC = new_key()
EARLIER, EARLIER_PUBLIC = new_key()


def settings_of(host) -> AuditSettings:
    return host.plugin_settings("audit")


def records(host, **query):
    return list(search(host, Query(**query)))


def named(host, event):
    [record] = records(host, event=event)
    return record


def seal_all(host):
    return list(seal(host, settings_of(host)))


def violations(host, checkpoint=None):
    return [each for each in verify(host, settings_of(host), checkpoint) if isinstance(each, Violation)]


def tamper(host, statement):
    """Change the tables as the owner of the database. Returns the number of changed rows."""
    with host.engine.begin() as connection:
        if host.engine.dialect.name == "postgresql":
            connection.execute(text("SELECT set_config('authhost.audit', 'keeping', true)"))
        return connection.execute(statement).rowcount


def copy(trail, record):
    with trail.engine.connect() as connection:
        return connection.execute(select(event_table).where(event_table.c.id == record)).one()


def run_login(host):
    with host.request(ip_address="127.0.0.1") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)


def first_record(trail, number=2):
    with trail.engine.connect() as connection:
        return connection.execute(
            select(leaf_table.c.event_id).where(leaf_table.c.batch == number, leaf_table.c.position == 3)
        ).scalar_one()


def reseal_without_record(trail, settings):
    """Remove a record as the owner of the database, and seal all other records again."""
    record = first_record(trail)
    for table in (batch_table, leaf_table):
        tamper(trail, delete(table))
    tamper(trail, delete(event_table).where(event_table.c.id == record))
    return list(seal(trail, settings))


def seal_and_push_all(host, file):
    """Seal all records and send the checkpoints, as the service does."""
    settings = AuditSettings(signing_key=SIGNING, checkpoint_file=str(file))
    for _, missed in seal_and_push(host, settings):
        assert missed == []


def signed_checkpoint(batch):
    from authhost_audit.digests import batch_header, canonical
    from authhost_audit.signing import Signer

    signature = Signer(AuditSettings(signing_key=SIGNING)).sign(canonical(batch_header(batch)))
    return {**batch_header(batch), "signature": signature.hex()}
