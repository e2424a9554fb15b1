"""The hook `email_delivery_failed`: called once for each message that is given up, and recorded."""

from __future__ import annotations

import json

import pytest
from authhost_email.plugin import EmailPlugin
from authhost_email.tables import outbox_table
from authhost_hookspecs import hookimpl
from sqlalchemy import select, update

from email_plugin.helpers import ANN, BOB, Mailbox, deliver_repeatedly, outbox, queue, rows


class Listener:
    def __init__(self):
        self.calls, self.error = [], None

    @hookimpl
    def email_delivery_failed(self, request, message_id, kind, user_id, reason):
        status = select(outbox_table.c.status).where(outbox_table.c.id == message_id)
        stored = request.db.execute(status).scalar_one()
        self.calls.append((kind, user_id, reason, stored))
        if self.error is not None:
            raise self.error


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def open_host(make_host, tmp_path, listener):
    def open_host(email, plugins=None, **settings):
        given = {"delivery": "manual", "directory": str(tmp_path / "mail"), **email}
        plugins = {"email": EmailPlugin(), "listener": listener, **(plugins or {})}
        return make_host(plugins, plugin_settings={"email": given}, **settings)

    return open_host


def smtp(server, **email):
    return {"transport": "smtp", "smtp_port": server.port, "smtp_tls": "none", **email}


def test_rejected_message_is_reported_and_recorded(open_host, listener):
    audit = pytest.importorskip("authhost_audit.plugin")
    from authhost_audit.tables import event_table

    server = Mailbox()
    with server.running():
        host = open_host(smtp(server), {"audit": audit.AuditPlugin()})
        user_id = host.new_id()
        queue(host, "nobody@example.org", "welcome", user_id=user_id)
        queue(host, ANN)
        assert outbox(host).deliver_pending() == 1
        assert outbox(host).deliver_pending() == 0
    assert listener.calls == [("welcome", user_id, "rejected", "dead")]
    (identifier,) = (row.id for row in rows(host, "id", "status") if row.status == "dead")
    failed = select(event_table).where(event_table.c.event == "email_delivery_failed")
    with host.reader.connect() as connection:
        (row,) = connection.execute(failed).all()
    assert (row.user_id, row.outcome, row.reason, row.plugin) == (user_id, "failed", "rejected", "email")
    assert json.loads(row.data) == {"kind": "welcome", "message": str(identifier)}
    assert "nobody" not in str(row)
    assert host.plugin_stats()["audit", "email_delivery_failed"].calls == 1


def test_last_attempt_is_reported_once(open_host, listener, clock):
    server = Mailbox(["busy"] * 9)
    with server.running():
        host = open_host(smtp(server, max_attempts=3))
        queue(host, ANN)
        deliver_repeatedly(host, clock, 5)
    assert listener.calls == [("welcome", None, "attempts_exhausted", "dead")]


def test_unreadable_row_is_reported(open_host, listener, fake):
    host = open_host({"transport": "fake"})
    queue(host, ANN)
    with host.engine.begin() as connection:
        connection.execute(update(outbox_table).values(kind="of_a_later_version"))
    outbox(host).deliver_pending()
    assert listener.calls == [("of_a_later_version", None, "cannot_compose", "dead")]


def test_failing_plugin_does_not_keep_the_message_alive(open_host, listener, fake, caplog):
    host = open_host({"transport": "fake"})
    queue(host, ANN, "of_a_later_version")
    queue(host, BOB)
    listener.error = KeyError("s3cret")
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status") == [("dead",), ("sent",)]
    assert "plugin listener failed in email_delivery_failed: KeyError at " in caplog.text
    assert "s3cret" not in caplog.text


def test_required_plugin_that_fails_keeps_the_message_for_later(open_host, listener, fake, clock, caplog):
    host = open_host({"transport": "fake"}, required_plugins=("listener",))
    queue(host, ANN, "of_a_later_version")
    queue(host, BOB)
    listener.error = KeyError()
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status") == [("sending",), ("sent",)]
    assert "cannot be given up: RequiredPluginFailed" in caplog.text
    listener.error = None
    clock.forward(hours=2)
    deliver_repeatedly(host, clock, 1)
    assert rows(host, "status") == [("dead",), ("sent",)]


def test_plugin_works_without_a_listener(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN, "of_a_later_version")
    outbox(host).deliver_pending()
    assert rows(host, "status") == [("dead",)]
