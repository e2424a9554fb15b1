"""Tests of which logins are reported to the user."""

from __future__ import annotations

import threading

import pytest
from authhost_hookspecs import hookimpl
from authhost_new_device import plugin
from authhost_new_device.plugin import described
from authhost_new_device.tables import device_table
from sqlalchemy import func, select

from authhost.testing import PASSWORD

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
NEWER_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:134.0) Gecko/20100101 Firefox/134.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) Safari/604.1"


class Outbox:
    """Delivers each message after the commit, like the plugin of a site does, or refuses all."""

    def __init__(self):
        self.sent, self.refuses = [], False

    @hookimpl
    def deliver_message(self, request, message):
        if self.refuses:
            raise OSError("no space left")
        request.on_commit(lambda: self.sent.append(message))
        return True


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
def mailbox(outbox):
    """The messages of the kit's mailbox would be there before the commit."""
    return outbox


@pytest.fixture
def authhost_plugins():
    return {"newdevice": plugin}


@pytest.fixture
def authhost_settings():
    return {"email_verification": "none", "site_name": "Teapots"}


@pytest.fixture
def log_in(run_flow):
    def log_in(user_agent):
        run_flow.forget()
        run_flow.user_agent = user_agent
        return run_flow("login", identifier="ann@example.org", password=PASSWORD)

    run_flow.user_agent = FIREFOX
    run_flow("signup", email="ann@example.org", password=PASSWORD)
    return log_in


def devices(host):
    with host.reader.connect() as connection:
        return connection.execute(select(func.count()).select_from(device_table)).scalar_one()


def test_new_device_is_reported_once(auth_host, log_in, outbox):
    for user_agent in (FIREFOX, NEWER_FIREFOX, PHONE, PHONE):
        user = log_in(user_agent).user
    assert devices(auth_host) == 2
    [message] = outbox.sent
    assert (message.recipient, message.plugin, message.user_id) == ("ann@example.org", "newdevice", user.id)
    assert message.subject == "Teapots: login from a new device"
    assert f"{auth_host.now:%Y-%m-%d}" in message.text
    assert "iPhone" not in message.text


def test_device_of_the_signup_is_not_reported(log_in, outbox):
    log_in(FIREFOX)
    assert outbox.sent == []


def test_empty_user_agent_is_a_device(log_in, outbox):
    log_in("")
    log_in("")
    assert len(outbox.sent) == 1


def test_login_that_is_rolled_back_is_not_reported(auth_host, log_in, outbox):
    with (
        pytest.raises(RuntimeError, match="the application"),
        auth_host.request(user_agent=PHONE) as request,
    ):
        auth_host.account.login(request, identifier="ann@example.org", password=PASSWORD)
        raise RuntimeError("the application failed")
    assert devices(auth_host) == 1
    assert outbox.sent == []


def test_two_logins_in_one_request_are_one_device(auth_host, log_in, outbox):
    with auth_host.request(user_agent=PHONE) as request:
        for _ in range(2):
            auth_host.account.login(request, identifier="ann@example.org", password=PASSWORD)
    assert len(outbox.sent) == 1


def test_simultaneous_logins_from_a_new_device_send_one_notice(auth_host, log_in, outbox):
    def login():
        with auth_host.request(user_agent=PHONE) as request:
            auth_host.account.login(request, identifier="ann@example.org", password=PASSWORD)

    threads = [threading.Thread(target=login) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert devices(auth_host) == 2
    assert len(outbox.sent) == 1


def test_notice_that_nobody_delivers_is_logged_without_the_address(auth_host, log_in, outbox, caplog):
    outbox.refuses = True
    assert log_in(PHONE).authenticated
    assert devices(auth_host) == 2
    assert "got no notice of a new device: delivery_failed" in caplog.text
    assert "ann@" not in caplog.text


def test_versions_are_ignored():
    assert described(FIREFOX) == described(NEWER_FIREFOX) != described(PHONE)


def test_export_has_the_time_zone_on_every_database(auth_host, log_in):
    user_id = log_in(PHONE).user.id
    with auth_host.request() as request:
        exported = request.accounts.export(user_id)["plugins"]["newdevice"]
    assert {each["first_seen"] for each in exported["devices"]} == {auth_host.now.isoformat()}
