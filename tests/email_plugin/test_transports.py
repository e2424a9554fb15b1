"""The transports except SMTP."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest
from authhost_email import transports
from authhost_email.errors import UnknownTransport
from authhost_email.settings import EmailSettings
from authhost_email.transports import Permanent, create_transport
from authhost_email.worker import deliver
from conftest import PASSWORD
from sqlalchemy import text

from email_plugin.helpers import Fake, build_message, outbox, queue


def test_sendmail(tmp_path):
    """A script replaces the sendmail program."""
    program = tmp_path / "sendmail"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/stdin\nexit ${{CODE:-0}}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    settings = EmailSettings(transport="sendmail", sendmail=str(program), from_address="a@example.org")
    create_transport(settings).send(*build_message(settings, to="-oQ/tmp@example.org"))
    assert (tmp_path / "arguments").read_text() == "-i -f a@example.org -- -oQ/tmp@example.org\n"
    assert b"Message-ID" in (tmp_path / "stdin").read_bytes()
    for code, kind in (("67", Permanent), ("75", OSError)):
        os.environ["CODE"] = code
        try:
            with pytest.raises(kind, match=code):
                create_transport(settings).send(*build_message(settings))
        finally:
            del os.environ["CODE"]


def test_console_and_entry_point_transports(capsys, monkeypatch):
    create_transport(EmailSettings(transport="console")).send(*build_message(EmailSettings()))
    assert "Subject: Welcome to Example" in capsys.readouterr().err
    entry = type("Entry", (), {"load": lambda self: Fake})()
    monkeypatch.setattr(transports, "entry_points", lambda group, name: [entry] if name == "brought" else [])
    assert isinstance(create_transport(EmailSettings(transport="brought")), Fake)
    with pytest.raises(ValueError, match=r"use one of smtp, file, console, sendmail"):
        create_transport(EmailSettings(transport="pigeon"))


def test_a_transport_that_cannot_be_created(monkeypatch):
    def load():
        raise ImportError("No module named 'boto3'")

    entry = SimpleNamespace(value="authhost_ses:Ses", load=load)
    monkeypatch.setattr(transports, "entry_points", lambda group, name: [entry])
    with pytest.raises(
        UnknownTransport, match=r"'ses' .authhost_ses:Ses. cannot be created: ImportError: No module"
    ):
        create_transport(EmailSettings(transport="ses"))


def test_files_are_readable_for_the_owner_only(tmp_path):
    """Messages contain keys, and the folder may have existed before with wider permissions."""
    folder = tmp_path / "mail"
    folder.mkdir(mode=0o755)
    old = os.umask(0o022)
    try:
        create_transport(EmailSettings(directory=str(folder))).send(*build_message(EmailSettings()))
    finally:
        os.umask(old)
    [file] = folder.glob("*.eml")
    assert not stat.S_IMODE(file.stat().st_mode) & 0o077


def test_an_unknown_transport_is_logged(make, run, caplog):
    host = make(email={"transport": "pigeon", "delivery": "inline"})
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert "there is no transport 'pigeon'; use one of smtp, file" in caplog.text


def test_database_errors_are_logged(make, caplog):
    host = make()
    with host.engine.begin() as connection:
        connection.execute(text("DROP TABLE authhost_email_suppression"))
    queue(host, "ann@example.org")
    assert deliver(outbox(host)).sent == 0
    assert "authhost_email_suppression" in caplog.text
