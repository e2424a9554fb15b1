"""The messages: when they are sent, their language and their content."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as default_policy
from pathlib import Path
from uuid import UUID

import html5lib
import pytest
from authhost_email import rendering
from authhost_email.languages import LANGUAGES, direction, negotiate_language
from authhost_email.rendering import KINDS, compose, render
from authhost_email.samples import KINDS_WITH_LINK, RECIPIENT, sample
from authhost_email.settings import EmailSettings
from authhost_email.tables import device_table, outbox_table
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import example, given, strategies as st
from sqlalchemy import delete, func, select

from email_plugin.helpers import ANN, BOB, key_in, kinds, mails, outbox, queue, rows

LOCALE = Path(rendering.__file__).parent / "locale"


def test_each_account_event_sends_a_message(host, run, tmp_path):
    """All events of which a user is notified."""
    token = run(host, "signup", email=ANN, password=PASSWORD, username="ann").session_token
    outbox(host).deliver_pending()
    run(host, "confirm_email", token, key=key_in(mails(tmp_path)[0]))
    token = run(
        host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD
    ).session_token
    run(host, "add_email", token, email="second@example.org")
    outbox(host).deliver_pending()
    key = next(key_in(each) for each in mails(tmp_path) if each["To"] == "second@example.org")
    run(host, "confirm_email", token, key=key)
    run(host, "make_primary", token, email="second@example.org")
    run(host, "remove_email", token, email=ANN)
    run(host, "request_password_reset", email="second@example.org")
    run(host, "request_password_reset", email="nobody@example.org")
    outbox(host).deliver_pending()
    notified = Counter((each["To"], each["Subject"]) for each in mails(tmp_path))
    assert notified == Counter(
        {
            (ANN, "Confirm your e-mail address"): 1,
            (ANN, "Welcome to authhost"): 1,
            (ANN, "Your password was changed"): 1,
            (ANN, "An e-mail address was added"): 1,
            ("second@example.org", "Confirm your e-mail address"): 1,
            (ANN, "Your primary e-mail address changed"): 1,
            ("second@example.org", "Your primary e-mail address changed"): 1,
            ("second@example.org", "An e-mail address was removed"): 1,
            (ANN, "An e-mail address was removed"): 1,
            ("second@example.org", "Reset your password"): 1,
            ("nobody@example.org", "No account with this address"): 1,
        }
    )
    assert {status for (status,) in rows(host, "status")} == {"sent"}
    assert {context for (context,) in rows(host, "context")} == {None}


def test_a_login_from_a_new_device(host, run, tmp_path):
    run(host, "signup", email=ANN, password=PASSWORD)

    def login(agent):
        with host.request(user_agent=agent, ip_address="192.0.2.7") as request:
            host.account.login(request, identifier=ANN, password=PASSWORD)

    outbox(host).deliver_pending()  # the first login of an account is not reported
    for agent in ("Firefox", "Firefox", "Chrome"):
        login(agent)
        outbox(host).deliver_pending()
    notices = [each for each in mails(tmp_path) if each["Subject"] == "A login from a new device"]
    assert ["Firefox" in str(each) for each in notices] == [True, False]
    assert "192.0.2.7" in notices[1].get_body(("plain",)).get_content()
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(device_table)).scalar_one() == 3
    assert "new_device_login" not in kinds(delete_outbox(host))


def delete_outbox(host):
    with host.engine.begin() as connection:
        connection.execute(delete(outbox_table))
    return host


def test_a_rolled_back_flow_sends_no_message(host, run):
    with pytest.raises(ZeroDivisionError), host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
        raise ZeroDivisionError
    assert rows(host, "id") == []


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-AT,en;q=0.8", "de"),
        ("pt-BR", "pt"),
        ("zh-Hant-TW", "zh"),
        ("xx, fr;q=0.5", "fr"),
        ("de;q=0, es", "es"),
        ("PT", "pt"),
        ("DE-at", "de"),
        ("en;q=0.1, fr; Q=0.5, de;q=0.9", "de"),
        ("de;q=much, es;q=0.1", "es"),
        ("*", "en"),
        (";;;,,,\x00", "en"),
        ("a" * 5000, "en"),
    ],
)
def test_the_language_of_the_request(host, wanted, chosen):
    with host.request(language=wanted) as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    assert rows(host, "language")[0] == (chosen,)


@given(st.text(max_size=60))
@example("PT")
def test_any_accept_language_header(wanted):
    assert negotiate_language(wanted, "de") in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_message_in_each_language(kind, language):
    rendered = render(EmailSettings(), kind, RECIPIENT, language, sample(kind))
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document = parser.parse(rendered.html)
    assert document.get("lang") == language
    assert document.get("dir") == ("rtl" if language == "ar" else "ltr") == direction(language)
    assert not document.findall(".//img")
    assert not document.findall(".//script")
    links = {each.get("href") for each in document.findall(".//a")}
    assert links == ({sample(kind)["link"]} if kind in KINDS_WITH_LINK else set())
    # The plain text and the HTML part have the same content.
    shown = " ".join("".join(document.find("body").itertext()).split())
    for line in rendered.text.split("\n"):
        words = " ".join(line.split())
        said = words.removesuffix(f": {sample(kind)['link']}") if kind in KINDS_WITH_LINK else words
        assert said in ("", "--") or said in shown, line
    assert rendered.subject in shown
    assert "%(" not in rendered.text + rendered.html
    if language != "en":
        english = render(EmailSettings(), kind, RECIPIENT, "en", sample(kind))
        assert rendered.subject != english.subject
        assert set(english.text.splitlines()) & set(rendered.text.splitlines()) <= {"", "-- "}


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_translations_are_complete(language):
    template = catalogue(LOCALE / "authhost_email.pot")
    translated = catalogue(LOCALE / language / "LC_MESSAGES" / "authhost_email.po")
    assert {each.id for each in translated if each.id} == {each.id for each in template if each.id}
    for message in translated:
        if message.id:
            assert message.string, message.id
            assert not message.fuzzy, message.id
            assert set(re.findall(r"%\(\w+\)s", message.string)) == set(re.findall(r"%\(\w+\)s", message.id))
            for check in checkers:
                check(translated, message)


def test_the_template_of_translations_is_current(tmp_path):
    folder = LOCALE.parent
    written = tmp_path / "written.pot"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "babel.messages.frontend",
            "-q",
            "extract",
            "-F",
            "babel.cfg",
            "--no-location",
            "--sort-output",
            "-o",
            str(written),
            ".",
        ],
        cwd=folder,
        check=True,
    )
    assert {each.id for each in catalogue(written)} == {
        each.id for each in catalogue(LOCALE / "authhost_email.pot")
    }


def test_templates_of_the_application_have_precedence(tmp_path, monkeypatch):
    own = tmp_path / "messages"
    own.mkdir()
    (own / "welcome.j2").write_text('{% set subject = "Ahoy, " ~ name %}\n{% set paragraphs = ["<b>"] %}')
    settings = EmailSettings(templates=str(tmp_path))
    rendered = render(settings, "welcome", RECIPIENT, "en", sample("welcome"))
    assert rendered.subject == "Ahoy, ann"
    assert "&lt;b&gt;" in rendered.html
    assert render(settings, "password_set", RECIPIENT, "en", sample("password_set")).subject
    package = tmp_path / "brings_mails"
    (package / "templates" / "messages").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "templates" / "messages" / "welcome.j2").write_text(
        '{% set subject = "By a package" %}{% set paragraphs = [] %}'
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = type("Entry", (), {"name": "brings", "value": "brings_mails"})
    monkeypatch.setattr(rendering, "entry_points", lambda group: [entry])
    rendering._environment.cache_clear()
    assert render(EmailSettings(), "welcome", RECIPIENT, "en", sample("welcome")).subject == "By a package"
    rendering._environment.cache_clear()


def test_headers():
    settings = EmailSettings(from_address="accounts@example.org", from_name="Exämple")
    rendered = render(settings, "welcome", RECIPIENT, "ja", sample("welcome"))
    message = compose(settings, rendered, UUID(int=7), "ann@exämple.org", datetime(2026, 1, 1, tzinfo=UTC))
    assert message["Message-ID"] == f"<{UUID(int=7)}@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    parsed = message_from_bytes(message.as_bytes(), policy=default_policy)
    assert parsed["From"].addresses[0].display_name == "Exämple"
    assert parsed["Subject"] == rendered.subject


def test_candidates_are_processed_while_the_outbox_is_busy(make, fake, run, monkeypatch):
    """New messages arrive as fast as others are sent; candidates are processed nevertheless."""
    host = make(email={"transport": "fake"})
    run(host, "signup", email=ANN, password=PASSWORD)
    outbox(host).deliver_pending()
    with host.request(user_agent="evil") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
    done = []

    def busy(self, identifier, recipient, message):
        done.append((str(message["Subject"]), recipient))
        if len(done) == 1:
            with host.request(user_agent="worse") as request:
                host.account.login(request, identifier=ANN, password=PASSWORD)
        if len(done) < 300:
            queue(host, f"u{len(done)}@example.org")

    monkeypatch.setattr(fake, "send", busy)
    queue(host, BOB)
    outbox(host).deliver_pending()
    assert sum(subject == "A login from a new device" for subject, _ in done) == 2


def test_a_new_device_notice_is_delivered_inline(make, run, tmp_path):
    host = make(email={"delivery": "inline"})
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.request(user_agent="evil") as request:
        host.account.login(request, identifier=ANN, password=PASSWORD)
    assert "A login from a new device" in [each["Subject"] for each in mails(tmp_path)]


def test_a_closed_account_is_notified(host, run, tmp_path):
    token = run(host, "signup", email=ANN, password=PASSWORD, username="ann").session_token
    outbox(host).deliver_pending()
    run(host, "confirm_email", token, key=key_in(mails(tmp_path)[0]))
    run(host, "deactivate", token)
    outbox(host).deliver_pending()
    [notice] = [each for each in mails(tmp_path) if each["Subject"] == "Your account was closed"]
    text = notice.get_body(("plain",)).get_content()
    assert notice["To"] == ANN
    assert "write to the operators of authhost" in text
    assert "change your password" not in text


def test_the_notice_to_a_removed_address_has_its_own_advice(host, run, tmp_path):
    """Its owner cannot log in to the account any more, so changing the password is no advice."""
    token = run(host, "signup", email=ANN, password=PASSWORD).session_token
    outbox(host).deliver_pending()
    run(host, "confirm_email", token, key=key_in(mails(tmp_path)[0]))
    run(host, "add_email", token, email=BOB)
    outbox(host).deliver_pending()
    run(host, "confirm_email", token, key=next(key_in(each) for each in mails(tmp_path) if each["To"] == BOB))
    run(host, "remove_email", token, email=BOB)
    run(host, "add_email", token, email="eve@example.org")
    run(host, "remove_email", token, email="eve@example.org")  # an unconfirmed address
    outbox(host).deliver_pending()
    notices = [each for each in mails(tmp_path) if each["Subject"] == "An e-mail address was removed"]
    assert Counter(each["To"] for each in notices) == {ANN: 2, BOB: 1}
    for each in notices:
        text = each.get_body(("plain",)).get_content()
        assert ("change your password" in text) == (each["To"] == ANN)
        assert ("write to the operators" in text) == (each["To"] == BOB)


def test_a_removed_password_is_notified(host, run, tmp_path):
    """An administrator removes it, so the advice is not to change it."""
    user = run(host, "signup", email=ANN, password=PASSWORD).user
    with host.request() as request:
        request.accounts.verify_email(user.id, ANN)
        request.accounts.remove_password(user.id)
    outbox(host).deliver_pending()
    [notice] = [each for each in mails(tmp_path) if each["Subject"] == "Your password was removed"]
    text = notice.get_body(("plain",)).get_content()
    assert notice["To"] == ANN
    assert "write to the operators of authhost" in text
    assert "change your password" not in text
