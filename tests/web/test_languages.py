"""The pages in eight languages."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from authhost import errors
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient as Client
from authhost.web.languages import LANGUAGES, choose_language
from authhost.web.problems import REASONS, TEXTS

LOCALE = Path(str(files("authhost.web") / "locale"))
TRANSLATED = [each for each in LANGUAGES if each != "en"]
SHOWS_ITS_OWN_TEXT = {"refused", "vetoed", "export_failed", "user_not_found"}
"""A base class, the refusal of a plugin, and administrative changes, which no page makes."""


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file)


def template():
    return catalogue(LOCALE / "authhost_web.pot")


@pytest.mark.parametrize("tag", TRANSLATED)
def test_each_catalogue_is_complete(tag):
    found = catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_web.po")
    assert {each.id for each in found} == {each.id for each in template()}
    for message in found:
        assert message.string, message.id
        assert not message.fuzzy
        for check in checkers:
            check(found, message)


def test_the_template_of_translations_is_current(tmp_path):
    written = tmp_path / "written.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg"]
    command += ["-k", "N_", "--no-location", "--sort-output", "-o", str(written), "."]
    subprocess.run(command, cwd=LOCALE.parent, check=True)
    assert {each.id for each in catalogue(written)} == {each.id for each in template()}


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("zh-TW", "zh"),
        ("zh-Hant-HK;q=0.9, xx", "zh"),
        ("pt-BR", "pt"),
        ("xx, yy", "en"),
        ("", "en"),
        ("*", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("en;q=0.1, ar", "ar"),
        ("x" * 5000, "en"),
        ("de;q=nonsense, fr", "fr"),
    ],
)
def test_the_browsers_language_decides(header, tag):
    assert choose_language(parse_accept_header(header, LanguageAccept)).tag == tag


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_page_says_its_language_and_direction(client, tag):
    response = client.get("/login", **{"Accept-Language": tag})
    direction = "rtl" if tag == "ar" else "ltr"
    assert f'<html lang="{tag}" dir="{direction}">' in response.body.decode()
    assert response.headers["Content-Language"] == tag
    assert "Accept-Language" in response.headers["Vary"]


def test_messages_after_a_redirect_are_translated(client):
    client.headers["Accept-Language"] = "fr"
    client.post("/signup", email="ann@example.org", password=PASSWORD)
    client.post("/logout")
    assert client.page("/login")["messages"][0]["text"] == "Votre session a été fermée."


def test_refusals_are_translated_in_pages_and_json(client):
    client.headers["Accept-Language"] = "de"
    response = client.post("/signup", email="ann@example.org", password="short")
    assert "Das Passwort muss mindestens 15 Zeichen haben." in response.body.decode()
    status, problem = client.api("/login", {"identifier": "x", "password": "y"})
    assert (status, problem["title"]) == (401, "Der Name oder das Passwort ist nicht richtig.")


def test_every_refusal_has_a_text():
    codes = {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
    assert codes - set(TEXTS) == SHOWS_ITS_OWN_TEXT
    assert all("%(count)s" not in text or reason == "too_short" for (_, reason), text in REASONS.items())


def test_a_plugins_refusal_keeps_its_text(open_site):
    from authhost_hookspecs import Refused, hookimpl

    class Gate:
        @hookimpl
        def before_signup(self, request, email):
            raise Refused("not_invited", "You are not invited.")

    client = Client(open_site({"gate": Gate()}))
    client.headers["Accept-Language"] = "de"
    response = client.post("/signup", email="ann@example.org", password=PASSWORD)
    assert (response.status_code, "You are not invited." in response.body.decode()) == (403, True)
