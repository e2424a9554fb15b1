"""The texts in eight languages."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import authhost_mfa
import pytest
from authhost_mfa import languages
from authhost_mfa.languages import LANGUAGES, language
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po

import authhost.web

LOCALE = Path(authhost_mfa.__file__).parent / "locale"
WEB = Path(authhost.web.__file__).parent / "locale"
TRANSLATED = [each for each in LANGUAGES if each != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file)


def template():
    return {each.id for each in catalogue(LOCALE / "authhost_mfa.pot") if each.id}


def messages(tag):
    found = catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_mfa.po")
    return [each for each in found if each.id]


@pytest.mark.parametrize("tag", TRANSLATED)
def test_each_catalogue_is_complete(tag):
    found = catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_mfa.po")
    assert {each.id for each in messages(tag)} == template()
    for message in messages(tag):
        assert message.string, message.id
        assert message.string != message.id
        assert sorted(PLACEHOLDER.findall(message.string)) == sorted(PLACEHOLDER.findall(message.id))
        for check in checkers:
            check(found, message)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_text_of_the_pages_of_the_core_has_one_translation(tag):
    core = {each.id: each.string for each in catalogue(WEB / tag / "LC_MESSAGES" / "authhost_web.po")}
    shared = {each.id: each.string for each in messages(tag) if each.id in core}
    assert {"Confirm that it is you", "Remove", "This browser"} <= set(shared)
    assert shared == {text: core[text] for text in shared}


def test_french_texts_have_no_break_before_high_punctuation():
    assert not [each.string for each in messages("fr") if re.search("[^\u00a0][:;?!]", each.string)]


def test_the_template_of_translations_is_current(tmp_path):
    written = tmp_path / "written.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg"]
    command += ["-k", "N_", "--no-location", "--sort-output", "-o", str(written), "."]
    subprocess.run(command, cwd=LOCALE.parent, check=True)
    assert {each.id for each in catalogue(written) if each.id} == template()


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("zh_TW", "zh"),
        ("de;q=0.5, fr", "fr"),
        ("xx, ja;q=0.1", "ja"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("", "en"),
        ("\x00, ;;;q=", "en"),
    ],
)
def test_the_language_of_a_request(header, tag):
    assert languages._choose(header) == tag


@pytest.mark.parametrize("tag", LANGUAGES)
def test_times(tag):
    assert "2026" in language(tag).format_day(datetime(2026, 1, 1, tzinfo=UTC)) or tag == "ar"
    assert language(tag).format_time(datetime(2026, 1, 1, tzinfo=UTC)).endswith(" UTC")


@pytest.mark.parametrize("tag", TRANSLATED)
def test_the_pages_are_in_the_language_of_the_browser(protected, tag):
    browser = protected.half(**{"Accept-Language": tag})
    gettext = language(tag).gettext
    page = browser.page("/mfa/verify")
    assert page["title"] == gettext("Confirm that it is you")
    assert page["forms"][0]["fields"][0]["label"] == gettext("Code")
    body = protected.verify(browser, "000000")[1]
    assert body["title"] == gettext("The code is wrong, or was used before. Codes change every 30 seconds.")
