"""What an administrator sees of the messages to a user."""

from __future__ import annotations

import pytest
from authhost_email.tables import outbox_table, suppression_table
from sqlalchemy import insert, update
from web.office import ANN, OPERATOR, SETTINGS, Office, section

HOSTILE = "550 <b>no</b>"


@pytest.fixture
def office(make):
    return Office(make(**SETTINGS))


def shown(office, user):
    return section(office.page(user), "E-mails")


def change(office, **values):
    with office.host.engine.begin() as connection:
        connection.execute(update(outbox_table).values(**values))


def test_the_newest_messages_are_first(office):
    ann, _ = office.sign_up(ANN)
    office.host.users.send_reset(ann.id, actor=OPERATOR)
    rows = shown(office, ann)["rows"]
    assert (rows[0]["title"], rows[0]["labels"]) == ("password_reset", ["Waiting"])
    assert rows[0]["details"][0] == ANN
    assert "key" not in str(rows)


@pytest.mark.parametrize(
    ("status", "label"), [("sent", "Sent"), ("dead", "Failed"), ("suppressed", "Address suppressed")]
)
def test_what_became_of_them(office, status, label):
    ann, _ = office.sign_up(ANN)
    change(
        office, status=status, sent_at=office.host.clock() if status == "sent" else None, last_error=HOSTILE
    )
    row = shown(office, ann)["rows"][0]
    assert row["labels"] == [label]
    assert row["details"][-1] == HOSTILE
    assert any(each.startswith("Sent: ") for each in row["details"]) is (status == "sent")
    assert "<b>" not in office.browser.get(f"/admin/user?id={ann.id}").body.decode()


def test_a_suppressed_address(office):
    ann, _ = office.sign_up(ANN)
    with office.host.engine.begin() as connection:
        values = {"recipient": ANN, "reason": "bounced", "created_at": office.host.clock()}
        connection.execute(insert(suppression_table).values(**values))
    assert shown(office, ann)["text"] == [f"No message is sent to {ANN} any more: bounced"]


def test_messages_to_the_owner_of_an_address_that_is_not_confirmed_are_not_shown(office):
    office.sign_up(ANN)
    eve, _ = office.sign_up("eve@example.org")
    office.host.users.add_email(eve.id, ANN, actor=OPERATOR)
    assert {row["details"][0] for row in shown(office, eve)["rows"]} == {"eve@example.org"}


def test_no_message(office):
    user = office.host.users.create(username="robot", actor=OPERATOR)
    assert shown(office, user)["text"] == ["There is no message to this account."]


def test_the_language_of_the_administrator(office):
    ann, _ = office.sign_up(ANN)
    office.browser.headers["Accept-Language"] = "de"
    assert section(office.page(ann), "E-Mails")["rows"][0]["labels"] == ["Wartet"]
