"""Links in the outbox are encrypted, and deleted when they expire."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from alembic import command
from authhost_email.outbox import change_status
from authhost_email.tables import outbox_table
from conftest import PASSWORD
from sqlalchemy import select, text, update

from authhost.security.encryption import Encryption
from authhost.store import migrate
from email_plugin.helpers import ANN, BOB, key_in, link_of, mails, outbox, queue, rows

OLD, NEW = "o" * 40, "n" * 40
LINK = "http://localhost:8000/account/reset-password/" + "k" * 43


def stored_rows(host):
    """Return everything in the outbox that a person with access to the database can read."""
    with host.engine.connect() as connection:
        return repr(connection.execute(select(outbox_table)).all())


def test_no_key_of_a_link_is_in_the_outbox_in_any_status(make, fake, run, clock, monkeypatch):
    """The flows produce messages of all statuses."""
    host = make(email={"transport": "fake", "max_attempts": 2}, email_verification="mandatory")
    seen, keys = [], []
    real = Encryption.seal_text

    def watched(self, link, purpose):
        keys.append(link)
        return real(self, link, purpose)

    monkeypatch.setattr(Encryption, "seal_text", watched)
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    run(host, "confirm_email", token, key=keys[-1].rsplit("/", 1)[1])
    run(host, "signup", email=ANN, password=PASSWORD)
    for number in range(4):
        run(host, "request_password_reset", email=ANN)
        if number == 1:
            fake.script[ANN] = [ConnectionError("down")] * 9
        outbox(host).deliver_pending()
        seen.append(stored_rows(host))
        clock.forward(seconds=70)
        outbox(host).deliver_pending()
        seen.append(stored_rows(host))
    run(host, "request_password_reset", email=ANN)
    newest = rows(host, "id")[-1][0]
    assert change_status(host, newest, "cancelled", of=("pending",))
    seen.append(stored_rows(host))
    clock.forward(hours=5)
    outbox(host).deliver_pending()
    seen.append(stored_rows(host))
    assert len(keys) >= 7
    statuses = {status for (status,) in rows(host, "status")}
    assert {"sent", "dead", "cancelled"} <= statuses, statuses
    for link in keys:
        for part in (link, link.rsplit("/", 1)[1]):
            assert part == "login" or all(part not in each for each in seen)
    assert rows(host, "sealed_link") == [(None,)] * len(rows(host, "id"))


def test_the_content_of_a_dead_message_is_deleted_when_its_link_expires(make, fake, clock):
    host = make(email={"transport": "fake", "max_attempts": 1})
    fake.script[ANN] = [ConnectionError("down")]
    ends = clock.now + timedelta(hours=1)
    queue(host, ANN, "password_reset", link=LINK, expires=ends)
    queue(host, BOB, "password_changed")
    outbox(host).deliver_pending()
    [(sealed, context), _] = rows(host, "sealed_link", "context")
    assert sealed is not None
    assert context is not None
    clock.forward(hours=1)
    outbox(host).deliver_pending()
    kept = ("status", "sealed_link", "context", "last_error")
    assert rows(host, *kept)[0] == ("dead", None, None, "fake: down")
    assert not change_status(host, rows(host, "id")[0][0], "pending", of=("dead",))


def test_a_former_key_decrypts_waiting_messages(make, tmp_path):
    before = make(encryption_keys=(OLD,))
    queue(before, ANN, "password_reset", link=LINK)
    after = make(encryption_keys=(NEW, OLD))
    assert outbox(after).deliver_pending() == 1
    assert key_in(mails(tmp_path)[0]) == "k" * 43


def test_a_link_that_no_key_decrypts_is_given_up_with_a_remedy(make, clock):
    before = make(encryption_keys=(OLD,))
    queue(before, ANN, "password_reset", link=LINK)
    clock.forward(seconds=1)
    after = make(encryption_keys=(NEW,))
    queue(after, ANN, "password_changed")
    queue(after, BOB, "password_reset", link=LINK)
    assert outbox(after).deliver_pending() == 2
    status, error = rows(after, "status", "last_error")[0]
    assert status == "dead"
    assert "encryption_keys" in error
    assert "authhost email retry" in error
    assert error.endswith("ask again")
    assert change_status(before, rows(before, "id")[0][0], "pending", of=("dead",))
    assert outbox(before).deliver_pending() == 1


@pytest.mark.parametrize("changed", ["recipient", "sealed_link"])
def test_a_link_cannot_be_moved_to_another_recipient(make, fake, changed):
    """A person with write access to the outbox cannot send another person's link to their own address."""
    host = make(email={"transport": "fake"})
    queue(host, ANN, "password_reset", link=LINK)
    queue(host, BOB, "password_reset", link=LINK)
    moved = {"recipient": "evil@evil.example"} if changed == "recipient" else {}
    if changed == "sealed_link":
        moved = {"sealed_link": rows(host, "sealed_link")[0][0]}
    with host.engine.begin() as connection:
        connection.execute(update(outbox_table).where(outbox_table.c.recipient == BOB).values(moved))
    outbox(host).deliver_pending()
    assert [to for to, _ in fake.sent] == [ANN]
    assert rows(host, "status")[1] == ("dead",)


def row_of_version_0_1(host, status, context):
    """Insert a row as version 0.1 of the plugin wrote it, with the link in its context."""
    queue(host, ANN, "password_reset")
    identifier = rows(host, "id")[-1][0]
    here = outbox_table.c.id == identifier
    with host.engine.begin() as connection:
        connection.execute(update(outbox_table).where(here).values(status=status, context=context))
    return identifier


def test_a_row_of_version_0_1_is_encrypted_at_the_next_attempt(make, fake, clock):
    host = make(email={"transport": "fake"})
    context = {"site_name": "Example", "name": "ann", "time": None, "link": LINK, "expires": None}
    row_of_version_0_1(host, "pending", context)
    fake.script[ANN] = [ConnectionError("down")]
    outbox(host).deliver_pending()
    assert LINK not in stored_rows(host)
    assert link_of(host) == LINK
    clock.forward(minutes=1)
    assert outbox(host).deliver_pending() == 1


def test_the_migration_erases_final_messages_and_keeps_waiting_ones(make, fake, clock):
    host = make(email={"transport": "fake"})
    expires = clock.now + timedelta(hours=1)
    context = {"site_name": "Example", "time": None, "link": LINK, "expires": expires.isoformat()}
    for status in ("pending", "dead", "sending"):
        row_of_version_0_1(host, status, context)
    row_of_version_0_1(host, "dead", {"site_name": "Example", "time": None})
    with migrate.open_history("email", host.migrations["email"]) as (config, _):
        alembic = {"version_table": "authhost_email_version", "applied": lambda step: []}
        with host.engine.begin() as connection:
            config.attributes.update(alembic, connection=connection)
            command.downgrade(config, "0001")
        with host.engine.begin() as connection:
            if connection.dialect.name == "sqlite":  # an unreadable row must not stop the upgrade
                broken = "UPDATE authhost_email_outbox SET context = '{' WHERE context NOT LIKE '%link%'"
                connection.execute(text(broken))
        with host.engine.begin() as connection:
            config.attributes.update(alembic, connection=connection)
            command.upgrade(config, "head")
    with host.engine.connect() as connection:
        found = connection.execute(text("SELECT context FROM authhost_email_outbox ORDER BY id")).all()
    texts = [context if isinstance(context, str) else json.dumps(context) for (context,) in found]
    assert [LINK in each for each in texts] == [True, False, True, False]
    assert [each is not None for (each,) in rows(host, "expires_at")] == [True, False, True, False]


def test_the_flow_encrypts_the_link(make, run):
    """The link is encrypted before it is stored, even if the message is never delivered."""
    host = make()
    run(host, "signup", email=ANN, password=PASSWORD)
    assert link_of(host).startswith("http://localhost:8000/account/confirm-email/")
    assert link_of(host)[-43:] not in stored_rows(host)
