"""The texts of the pages in eight languages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import authhost_audit
import pytest
from authhost_audit.languages import LANGUAGES, gettext_of
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po

import authhost.web

LOCALE = Path(authhost_audit.__file__).parent / "locale"
WEB = Path(authhost.web.__file__).parent / "locale"
TRANSLATED = [each for each in LANGUAGES if each != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def catalogue(path):
    with path.open("rb") as file:
        return [each for each in read_po(file) if each.id]


def template():
    return {each.id for each in catalogue(LOCALE / "authhost_audit.pot")}


def messages(tag):
    return catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_audit.po")


def gettext(header):
    return gettext_of(SimpleNamespace(language=header))


@pytest.mark.parametrize("tag", TRANSLATED)
def test_each_catalogue_is_complete(tag):
    assert {each.id for each in messages(tag)} == template()
    for message in messages(tag):
        assert message.string, message.id
        assert sorted(PLACEHOLDER.findall(message.string)) == sorted(PLACEHOLDER.findall(message.id))
        for check in checkers:
            check(None, message)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_catalogues_are_read_as_babel_reads_them(tag):
    translate = gettext(tag)
    values = {"actor": "a", "address": "b", "id": "c", "reason": "d"}
    for message in messages(tag):
        assert translate(message.id) == message.string
        assert translate(message.id, **values) == message.string % values


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_text_of_the_pages_of_the_core_has_one_translation(tag):
    core = {each.id: each.string for each in catalogue(WEB / tag / "LC_MESSAGES" / "authhost_web.po")}
    shared = {each.id: each.string for each in messages(tag) if each.id in core}
    assert {"Search", "IP address: %(address)s"} <= set(shared)
    assert shared == {text: core[text] for text in shared}


def test_the_template_of_translations_is_current(tmp_path):
    written = tmp_path / "written.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-k", "N_", "--no-location"]
    command += ["-F", "authhost_audit/babel.cfg", "-o", str(written), "authhost_audit"]
    subprocess.run(command, cwd=LOCALE.parent.parent, check=True)
    assert {each.id for each in catalogue(written)} == template()


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("de", "Suchen"),
        ("de-AT, en;q=0.5", "Suchen"),
        ("en;q=0.1, fr", "Rechercher"),
        ("xx, es;q=0.2", "Buscar"),
        ("de;q=0", "Search"),
        ("", "Search"),
        (None, "Search"),
        (";;,=", "Search"),
    ],
)
def test_the_browsers_language_decides(header, text):
    assert gettext(header)("Search") == text
