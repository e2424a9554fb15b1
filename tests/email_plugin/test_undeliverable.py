"""A message that cannot be sent does not delay others."""

from __future__ import annotations

from contextlib import suppress

import pytest
from authhost_email.tables import outbox_table
from sqlalchemy import text, update

from email_plugin.helpers import ANN, BOB, deliver_repeatedly, outbox, queue, rows


def test_a_template_that_fails_is_given_up(make, fake, tmp_path):
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "welcome.j2").write_text("{% set subject = nobody.here %}")
    host = make(email={"transport": "fake", "templates": str(tmp_path)})
    queue(host, ANN)
    queue(host, ANN, "password_set")
    assert outbox(host).deliver_pending() == 1
    said = "welcome (en) cannot be composed: UndefinedError"
    assert rows(host, "status", "last_error")[0] == ("dead", said)


def test_a_wrong_template_is_named_with_its_line(make, fake, tmp_path):
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "welcome.j2").write_text("{% set subject = 1 %}\n{% set paragraphs = %}")
    host = make(email={"transport": "fake", "templates": str(tmp_path)})
    queue(host, ANN)
    queue(host, ANN, "no_such_kind")
    outbox(host).deliver_pending()
    wrong, missing = (error for (error,) in rows(host, "last_error"))
    assert wrong.endswith("/messages/welcome.j2, line 2")
    assert missing.endswith("there is no template messages/no_such_kind.j2")


@pytest.mark.parametrize(
    "template",
    [
        '{% set subject = "Ahoy, " + name %}{% set paragraphs = [] %}',  # TypeError where there is no name
        "{% set paragraphs = [] %}",  # AttributeError: no subject
        '{% set subject = "x" %}{% set paragraphs = [1 // 0] %}',  # ZeroDivisionError
    ],
)
def test_each_error_of_a_template_is_given_up(make, fake, clock, tmp_path, template):
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "welcome.j2").write_text(template)
    host = make(email={"transport": "fake", "templates": str(tmp_path)})
    queue(host, ANN)
    queue(host, BOB, "password_set")
    errors = deliver_repeatedly(host, clock)
    assert [to for to, _ in fake.sent] == [BOB]
    assert rows(host, "status", "attempts")[0] == ("dead", 1)
    assert errors == []


def test_a_transport_that_raises_another_error(make, fake, clock):
    """Such as httpx.HTTPError, which is not an OSError."""
    host = make(email={"transport": "fake", "max_attempts": 3})
    queue(host, ANN)
    queue(host, BOB)
    fake.script[ANN] = [RuntimeError("oops")] * 99
    errors = deliver_repeatedly(host, clock, 5)
    assert [to for to, _ in fake.sent] == [BOB]
    assert rows(host, "status")[0] == ("dead",)
    assert errors == []


def test_a_message_that_kills_each_worker_is_given_up(make, fake, clock, monkeypatch):
    """For instance because it uses all memory. No attempt ends, but the number of attempts is limited."""
    host = make(email={"transport": "fake", "max_attempts": 3})
    queue(host, ANN)
    queue(host, BOB)
    tries = []

    def killed(self, identifier, recipient, message):
        if recipient == ANN:
            tries.append(recipient)
            raise KeyboardInterrupt
        self.sent.append((recipient, str(message["Message-ID"])))

    monkeypatch.setattr(fake, "send", killed)
    for _ in range(5):
        with suppress(KeyboardInterrupt):
            outbox(host).deliver_pending()
        clock.forward(hours=2)
    assert len(tries) == 3
    assert rows(host, "status") == [("dead",), ("sent",)]


def test_the_text_of_an_unknown_error_is_not_stored(make, fake, clock):
    """The text may quote the message, which contains a key."""
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    fake.script[ANN] = [RuntimeError("could not send https://example.org/the-key")]
    outbox(host).deliver_pending()
    assert rows(host, "last_error")[0][0].startswith("fake: failed with RuntimeError, whose text")


def test_an_unknown_kind_is_given_up_at_once(make, fake):
    """jinja2.TemplateNotFound is an OSError."""
    host = make(email={"transport": "fake"})
    queue(host, ANN, "no_such_kind")
    queue(host, ANN)
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status")[0] == ("dead",)


def test_an_unknown_language_is_sent_in_english(make, fake):
    """A missing catalog raises FileNotFoundError, which is an OSError."""
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    with host.engine.begin() as connection:
        connection.execute(update(outbox_table).values(language="it"))
    queue(host, ANN)
    outbox(host).deliver_pending()
    assert rows(host, "status")[1] == ("sent",)


def test_a_candidate_without_a_user(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN, "new_device_login", status="candidate")  # no user_id
    queue(host, BOB)
    errors = deliver_repeatedly(host, clock, 2)
    assert [to for to, _ in fake.sent] == [BOB]
    assert errors == []
    assert rows(host, "last_error")[0] == ("the stored data cannot be read: KeyError",)


def test_broken_json(make, fake, clock):
    host = make(email={"transport": "fake"})
    if host.engine.dialect.name != "sqlite":
        pytest.skip("the server refuses it")
    queue(host, ANN)
    with host.engine.begin() as connection:
        connection.execute(text("UPDATE authhost_email_outbox SET context = '{'"))
    queue(host, BOB)
    deliver_repeatedly(host, clock, 2)
    assert [to for to, _ in fake.sent] == [BOB]
