"""Tests of which logins are reported to the user."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from email import message_from_bytes

import pytest
from aiosmtpd.controller import Controller
from authhost_new_device import plugin
from authhost_new_device.plugin import described
from authhost_new_device.tables import device_table
from sqlalchemy import func, select

from authhost import AuthHost, Settings
from authhost.testing import PASSWORD

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
NEWER_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:134.0) Gecko/20100101 Firefox/134.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) Safari/604.1"


class Inbox:
    """Keeps the mails of an SMTP server, which accepts a mail only while `open` is set."""

    def __init__(self):
        self.mails = []
        self.open = threading.Event()
        self.open.set()

    async def handle_DATA(self, server, session, envelope):
        await asyncio.to_thread(self.open.wait, 10)
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def smtp(inbox):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield port
    controller.stop()


@pytest.fixture
def authhost_plugins():
    return {"newdevice": plugin}


@pytest.fixture
def authhost_settings(smtp):
    given = {"smtp_host": "127.0.0.1", "smtp_port": smtp, "sender": "security@example.org"}
    return {"plugin_settings": {"newdevice": given}, "email_verification": "none", "site_name": "Teapots"}


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


def test_new_device_is_reported_once(auth_host, log_in, inbox):
    for user_agent in (FIREFOX, NEWER_FIREFOX, PHONE, PHONE):
        log_in(user_agent)
    assert devices(auth_host) == 2
    auth_host.close()
    [(recipients, mail)] = inbox.mails
    assert recipients == ["ann@example.org"]
    assert mail["From"] == "security@example.org"
    assert mail["Subject"] == "Teapots: login from a new device"
    text = mail.get_payload()
    assert f"{auth_host.now:%Y-%m-%d}" in text
    assert "iPhone" not in text


def test_device_of_the_signup_is_not_reported(auth_host, log_in, inbox):
    log_in(FIREFOX)
    auth_host.close()
    assert inbox.mails == []


def test_login_does_not_wait_for_the_server_but_close_does(auth_host, log_in, inbox):
    inbox.open.clear()
    assert log_in(PHONE).authenticated
    assert inbox.mails == []
    inbox.open.set()
    auth_host.close()
    assert len(inbox.mails) == 1


def test_empty_user_agent_is_a_device(auth_host, log_in, inbox):
    log_in("")
    log_in("")
    auth_host.close()
    assert len(inbox.mails) == 1


def test_login_that_is_rolled_back_is_not_reported(auth_host, log_in, inbox):
    with (
        pytest.raises(RuntimeError, match="the application"),
        auth_host.request(user_agent=PHONE) as request,
    ):
        auth_host.account.login(request, identifier="ann@example.org", password=PASSWORD)
        raise RuntimeError("the application failed")
    assert devices(auth_host) == 1
    auth_host.close()
    assert inbox.mails == []


def test_two_logins_in_one_request_are_one_device(auth_host, log_in, inbox):
    with auth_host.request(user_agent=PHONE) as request:
        for _ in range(2):
            auth_host.account.login(request, identifier="ann@example.org", password=PASSWORD)
    auth_host.close()
    assert len(inbox.mails) == 1


def test_simultaneous_logins_from_a_new_device_send_one_mail(auth_host, log_in, inbox):
    def login():
        with auth_host.request(user_agent=PHONE) as request:
            auth_host.account.login(request, identifier="ann@example.org", password=PASSWORD)

    threads = [threading.Thread(target=login) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert devices(auth_host) == 2
    auth_host.close()
    assert len(inbox.mails) == 1


def test_unreachable_server_is_logged_without_the_address(auth_host, log_in, smtp, inbox, caplog):
    mailer = plugin._mailers[auth_host.plugin_settings("newdevice")]
    mailer._port = 1  # no server listens there
    assert log_in(PHONE).authenticated
    auth_host.close()
    assert "a notice was not sent: ConnectionRefusedError" in caplog.text
    assert "ann@" not in caplog.text


def test_without_a_server_the_device_is_logged_without_the_address(tmp_path, caplog):
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{tmp_path / 'quiet.sqlite3'}",
        email_verification="none",
        rate_limits=False,
    )
    with (
        caplog.at_level(logging.INFO, "authhost.newdevice"),
        AuthHost(settings, plugins={"newdevice": plugin}, discover=False, upgrade_database=True) as host,
    ):
        with host.request(user_agent=FIREFOX) as request:
            user = host.account.signup(request, email="ann@example.org", password=PASSWORD).user
        with host.request(user_agent=PHONE) as request:
            host.account.login(request, identifier="ann@example.org", password=PASSWORD)
        assert f"user {user.id} logged in from a new device" in caplog.text
        assert "ann@" not in caplog.text


def test_two_hosts_have_two_mailers(auth_host, log_in, inbox, smtp, tmp_path):
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{tmp_path / 'other.sqlite3'}",
        email_verification="none",
        plugin_settings={"newdevice": {"smtp_host": "127.0.0.1", "smtp_port": smtp}},
    )
    with AuthHost(settings, plugins={"newdevice": plugin}, discover=False, upgrade_database=True):
        assert len(plugin._mailers) == 2
    log_in(PHONE)  # the first host's mailer still works
    auth_host.close()
    assert len(inbox.mails) == 1
    assert plugin._mailers == {}


def test_versions_are_ignored():
    assert described(FIREFOX) == described(NEWER_FIREFOX) != described(PHONE)
