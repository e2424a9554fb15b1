"""The pages in eight languages."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from authhost_email.languages import negotiate_language
from authhost_hookspecs import Refused, hookimpl
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from authhost import errors
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient as Client
from authhost.web.languages import LANGUAGES, choose_language
from authhost.web.problems import REASONS, TEXTS, VETOED_WITHOUT_TEXT

LOCALE = Path(str(files("authhost.web") / "locale"))
EMAIL_LOCALE = Path(str(files("authhost_email") / "locale"))
TRANSLATED = [each for each in LANGUAGES if each != "en"]
SAME_IN_ENGLISH = {("de", "(optional)"), ("fr", "Sessions")}
PLACEHOLDER = re.compile(r"%\(\w+\)s")
ISOLATED = re.compile("[\u2066\u2068]%\\((address|email|name|provider)\\)s\u2069")
"""A placeholder between isolating characters: its text does not change the order of the text around it."""
SHOWS_ITS_OWN_TEXT = {"refused", "vetoed", "ambiguous_user"}
"""A base class, the refusal of a plugin, and what only a command meets."""


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file)


def template():
    return catalogue(LOCALE / "authhost_web.pot")


def pages(tag):
    """Return the messages of a language, without the header of the catalogue."""
    found = catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_web.po")
    return [each for each in found if each.id]


def texts(path):
    return {each.id: each.string for each in catalogue(path)}


@pytest.mark.parametrize("tag", TRANSLATED)
def test_each_catalogue_is_complete(tag):
    found = catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_web.po")
    assert {each.id for each in found} == {each.id for each in template()}
    for message in found:
        assert message.string, message.id
        assert not message.fuzzy
        for check in checkers:
            check(found, message)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_each_translation_has_the_placeholders_of_its_text(tag):
    for message in pages(tag):
        assert sorted(PLACEHOLDER.findall(message.string)) == sorted(PLACEHOLDER.findall(message.id))


@pytest.mark.parametrize("tag", TRANSLATED)
def test_no_text_is_left_in_english(tag):
    same = {(tag, each.id) for each in pages(tag) if each.id == each.string}
    assert same == {each for each in SAME_IN_ENGLISH if each[0] == tag}


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_text_of_pages_and_mails_has_one_translation(tag):
    mails = texts(EMAIL_LOCALE / tag / "LC_MESSAGES" / "authhost_email.po")
    shared = {each.id: each.string for each in pages(tag) if each.id in mails}
    assert {"Choose a new password", "Log in"} <= set(shared)
    assert shared == {text: mails[text] for text in shared}


@pytest.mark.parametrize(
    ("tag", "connected", "primary", "closed"),
    [
        ("de", "verbunden", "Hauptadresse", "geschlossen"),
        ("fr", "associé", "adresse principale", "fermé"),
        ("es", "vinculado", "dirección principal", "cerrado"),
        ("pt", "vinculada", "endereço principal", "encerrada"),
        ("ja", "連携", "メインのメールアドレス", "閉鎖"),
        ("zh", "关联", "主要地址", "关闭"),
        ("ar", "ربط", "الرئيسي", "إغلاق"),
    ],
)
def test_pages_and_mails_use_the_same_terms(tag, connected, primary, closed):
    found = texts(LOCALE / tag / "LC_MESSAGES" / "authhost_web.po")
    mails = texts(EMAIL_LOCALE / tag / "LC_MESSAGES" / "authhost_email.po")
    assert connected in found["The account at %(provider)s is connected."]
    assert connected in mails["An account at %(provider)s was connected"]
    assert primary in found["%(email)s is your primary address now."]
    assert primary in mails["The primary address of your account at %(site)s is %(address)s now."]
    assert closed in found["Your account is closed."]
    assert closed in mails["Your account was closed"]


def test_arabic_texts_isolate_what_is_written_from_left_to_right():
    for message in pages("ar"):
        count = sum(message.string.count(f"%({name})s") for name in ("address", "email", "name", "provider"))
        assert len(ISOLATED.findall(message.string)) == count, message.id


def test_french_texts_have_no_break_before_high_punctuation():
    """A line must not begin with one of ``: ; ? !``."""
    wrong = [each.string for each in pages("fr") if re.search("[^\u00a0][:;?!]", each.string)]
    assert wrong == []


def test_the_template_of_translations_is_current(tmp_path):
    written = tmp_path / "written.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg"]
    command += ["-k", "N_", "--no-location", "--sort-output", "-o", str(written), "."]
    subprocess.run(command, cwd=LOCALE.parent, check=True)
    assert {each.id for each in catalogue(written)} == {each.id for each in template()}


ACCEPTED = [
    ("de", "de"),
    ("de-AT, en;q=0.5", "de"),
    ("DE-at", "de"),
    ("zh-TW", "zh"),
    ("zh-Hant-HK;q=0.9, xx", "zh"),
    ("pt-BR", "pt"),
    ("en-GB, de;q=0.9", "en"),
    ("de, fr", "de"),
    ("fr, de", "fr"),
    ("de;q=0.5, fr", "fr"),
    ("de ; q=0.5 , fr;q=0.7", "fr"),
    ("en;q=0.1, ar", "ar"),
    ("de;q=0.001", "de"),
    ("xx, es;q=0.2, ja;q=0.1", "es"),
    ("de;q=0, fr;q=0.1", "fr"),
    ("de-DE;q=0, de", "de"),
    ("de;q=0", "en"),
    ("*, de;q=0.5", "de"),
    ("deu, x-de", "en"),
    ("xx, yy", "en"),
    ("", "en"),
    ("*", "en"),
    ("x" * 5000, "en"),
    (";;,=,q=1", "en"),
    ("de;q=nonsense, fr", "fr"),
]
"""Headers ``Accept-Language`` and the language that they choose."""


@pytest.mark.parametrize(("header", "tag"), ACCEPTED)
def test_the_browsers_language_decides(header, tag):
    assert choose_language(parse_accept_header(header, LanguageAccept)).tag == tag


@pytest.mark.parametrize(("header", "tag"), ACCEPTED)
def test_mails_have_the_language_of_the_pages(header, tag):
    assert negotiate_language(header, "en") == tag


def test_a_request_without_a_language_gets_english(client):
    response = client.get("/login")
    assert response.headers["Content-Language"] == "en"
    assert "Accept-Language" in response.headers["Vary"]


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_page_says_its_language_and_direction(client, tag):
    response = client.get("/login", **{"Accept-Language": tag})
    direction = "rtl" if tag == "ar" else "ltr"
    assert f'<html lang="{tag}" dir="{direction}">' in response.body.decode()
    assert response.headers["Content-Language"] == tag
    assert "Accept-Language" in response.headers["Vary"]


def api_response(client, path, body=b"{}", method="POST"):
    headers = {"Content-Type": "application/json", "Accept-Language": "de"}
    return client.send(method, f"/account/api{path}", body=body, headers=headers)


def test_a_problem_says_its_language(client):
    for path, method in (("/logout", "PUT"), ("/session", "GET"), ("/nowhere", "GET"), ("/problems", "GET")):
        response = api_response(client, path, method=method)
        assert response.headers["Content-Language"] == "de", path
        assert "Accept-Language" in response.headers["Vary"]
    assert "Content-Language" not in api_response(client, "/site", method="GET").headers


class Refuses:
    """A plugin that fails, or gives its reason."""

    @hookimpl
    def before_login(self, request, user):
        if request.user_agent == "bad":
            raise Refused("closed", "We are closed.")
        raise RuntimeError


def test_the_refusal_of_a_plugin_that_fails_is_translated(open_site):
    client = Client(open_site({"refuses": Refuses()}, email_verification="none"))
    client.headers["Accept-Language"] = "de"
    signup = {"email": "ann@example.org", "password": PASSWORD}
    status, body = client.api("/signup", signup)
    assert (status, body["code"], body["title"]) == (403, "vetoed", "Das wurde abgelehnt.")
    client.headers["User-Agent"] = "bad"
    assert client.api("/signup", signup)[1]["title"] == "We are closed."


def test_messages_after_a_redirect_are_translated(client):
    client.headers["Accept-Language"] = "fr"
    client.post("/signup", email="ann@example.org", password=PASSWORD)
    client.post("/logout")
    assert client.page("/login")["messages"][0]["text"] == "Votre session a été fermée."


def test_an_arabic_message_after_a_redirect_isolates_the_address(client):
    client.headers["Accept-Language"] = "ar"
    client.post("/signup", email="ann@example.org", password=PASSWORD)
    client.post("/emails/add", email="second@example.org")
    assert "\u2066second@example.org\u2069" in client.page("/emails")["messages"][-1]["text"]


def test_refusals_are_translated_in_pages_and_json(client):
    client.headers["Accept-Language"] = "de"
    response = client.post("/signup", email="ann@example.org", password="short")
    assert "Das Passwort muss mindestens 15 Zeichen haben." in response.body.decode()
    status, problem = client.api("/login", {"identifier": "x", "password": "y"})
    assert (status, problem["title"]) == (401, "Der Name oder das Passwort ist nicht richtig.")


def test_every_refusal_has_a_text():
    codes = {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
    assert codes - set(TEXTS) == SHOWS_ITS_OWN_TEXT
    assert errors.Vetoed.message == VETOED_WITHOUT_TEXT
    assert all("%(count)s" not in text or reason == "too_short" for (_, reason), text in REASONS.items())


def test_a_plugins_refusal_keeps_its_text(open_site):
    class Gate:
        @hookimpl
        def before_signup(self, request, email):
            raise Refused("not_invited", "You are not invited.")

    client = Client(open_site({"gate": Gate()}))
    client.headers["Accept-Language"] = "de"
    response = client.post("/signup", email="ann@example.org", password=PASSWORD)
    assert (response.status_code, "You are not invited." in response.body.decode()) == (403, True)
