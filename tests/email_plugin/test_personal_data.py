"""What the plugin stores about a user is exported, and deleted with the account."""

from __future__ import annotations

from authhost_email.tables import device_table, outbox_table, suppression_table
from conftest import PASSWORD
from sqlalchemy import insert, select

from email_plugin.helpers import ANN, BOB, rows

EVE = "eve@example.org"


def suppress(host, *recipients):
    with host.engine.begin() as connection:
        for recipient in recipients:
            values = {"recipient": recipient, "reason": "550", "created_at": host.now}
            connection.execute(insert(suppression_table), values)


def stored(host, table):
    with host.engine.connect() as connection:
        return connection.execute(select(table)).all()


def change(host, name, *args, **values):
    with host.request() as request:
        return getattr(request.accounts, name)(*args, **values)


def test_messages_suppression_and_devices_are_deleted_with_the_account(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    bob = run(host, "signup", email=BOB, password=PASSWORD).user
    change(host, "verify_email", ann.id, ANN)
    suppress(host, ANN, BOB)
    with host.engine.begin() as connection:
        for user in (ann, bob):
            connection.execute(
                insert(device_table), {"user_id": user.id, "digest": b"d" * 32, "seen_at": host.now}
            )
    run(host, "request_password_reset", email=ANN)
    change(host, "delete", ann.id)
    assert {row.recipient for row in rows(host, "recipient")} == {BOB}
    assert [row.recipient for row in stored(host, suppression_table)] == [BOB]
    assert [row.user_id for row in stored(host, device_table)] == [bob.id]


def test_an_unverified_address_gives_no_right_to_messages_of_others(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    eve = run(host, "signup", email=EVE, password=PASSWORD).user
    change(host, "add_email", eve.id, BOB)
    suppress(host, BOB)
    with host.request() as request:
        host.account.request_password_reset(request, email=BOB)  # a message without an account
    data = change(host, "export", eve.id)["plugins"]["email"]
    assert BOB not in {each["recipient"] for each in data["messages"]}
    assert data["suppressed"] == []
    change(host, "delete", eve.id)
    assert [row.recipient for row in stored(host, suppression_table)] == [BOB]
    assert {row.recipient for row in stored(host, outbox_table)} == {ANN, BOB}
    assert ann.id in {row.user_id for row in stored(host, outbox_table)}


def test_export(make, run):
    host = make(email_verification="none")
    ann = run(host, "signup", email=ANN, password=PASSWORD).user
    change(host, "verify_email", ann.id, ANN)
    suppress(host, ANN)
    data = change(host, "export", ann.id)["plugins"]["email"]
    welcome = next(each for each in data["messages"] if each["kind"] == "welcome")
    assert welcome == {
        "created_at": host.now.isoformat(),
        "kind": "welcome",
        "recipient": ANN,
        "status": "pending",
        "sent_at": None,
    }
    assert data["suppressed"] == [{"recipient": ANN, "reason": "550", "created_at": host.now.isoformat()}]
    assert data["devices"] == []
