"""How a message leaves."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest
from authhost_email import transports
from authhost_email.errors import NoSuchTransport
from authhost_email.settings import EmailSettings
from authhost_email.transports import Permanent, transport_of
from authhost_email.worker import deliver
from conftest import PASSWORD
from sqlalchemy import text

from email_plugin.post import Fake, one, outbox, queue


def test_sendmail(tmp_path):
    """A script in the place of the mail system's program."""
    program = tmp_path / "sendmail"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/stdin\nexit ${{CODE:-0}}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    settings = EmailSettings(transport="sendmail", sendmail=str(program), from_address="a@example.org")
    transport_of(settings).send(*one(settings, to="-oQ/tmp@example.org"))
    assert (tmp_path / "arguments").read_text() == "-i -f a@example.org -- -oQ/tmp@example.org\n"
    assert b"Message-ID" in (tmp_path / "stdin").read_bytes()
    for code, kind in (("67", Permanent), ("75", OSError)):
        os.environ["CODE"] = code
        try:
            with pytest.raises(kind, match=code):
                transport_of(settings).send(*one(settings))
        finally:
            del os.environ["CODE"]


def test_console_and_other_transports(capsys, monkeypatch):
    transport_of(EmailSettings(transport="console")).send(*one(EmailSettings()))
    assert "Subject: Welcome to Example" in capsys.readouterr().err
    entry = type("Entry", (), {"load": lambda self: Fake})()
    monkeypatch.setattr(transports, "entry_points", lambda group, name: [entry] if name == "brought" else [])
    assert isinstance(transport_of(EmailSettings(transport="brought")), Fake)
    with pytest.raises(ValueError, match=r"there are smtp, file, console, sendmail"):
        transport_of(EmailSettings(transport="pigeon"))


def test_a_transport_that_cannot_be_made_is_a_sentence(monkeypatch):
    def load():
        raise ImportError("No module named 'boto3'")

    entry = SimpleNamespace(value="authhost_ses:Ses", load=load)
    monkeypatch.setattr(transports, "entry_points", lambda group, name: [entry])
    with pytest.raises(
        NoSuchTransport, match=r"'ses' .authhost_ses:Ses. cannot be made: ImportError: No module"
    ):
        transport_of(EmailSettings(transport="ses"))


def test_files_are_the_owners_alone(tmp_path):
    """They hold keys; the folder may have been there before."""
    folder = tmp_path / "mail"
    folder.mkdir(mode=0o755)
    old = os.umask(0o022)
    try:
        transport_of(EmailSettings(directory=str(folder))).send(*one(EmailSettings()))
    finally:
        os.umask(old)
    [file] = folder.glob("*.eml")
    assert not stat.S_IMODE(file.stat().st_mode) & 0o077


def test_a_transport_that_there_is_not_is_named_in_the_log(make, run, caplog):
    host = make(email={"transport": "pigeon", "delivery": "inline"})
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert "there is no transport 'pigeon'; there are smtp, file" in caplog.text


def test_what_the_database_said_is_in_the_log(make, caplog):
    host = make()
    with host.engine.begin() as connection:
        connection.execute(text("DROP TABLE authhost_email_suppression"))
    queue(host, "ann@example.org")
    assert deliver(outbox(host)) == 0
    assert "authhost_email_suppression" in caplog.text
