"""The texts of the report in eight languages."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import authhost_analytics
import pytest
from authhost_analytics.labels import EVENTS
from authhost_analytics.languages import LANGUAGES, language
from authhost_analytics.queries import SUCCEEDED
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po

LOCALE = Path(authhost_analytics.__file__).parent / "locale"
TRANSLATED = [each for each in LANGUAGES if each != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file)


def template():
    return {each.id for each in catalogue(LOCALE / "authhost_analytics.pot") if each.id}


@pytest.mark.parametrize("tag", TRANSLATED)
def test_each_catalogue_is_complete(tag):
    found = catalogue(LOCALE / tag / "LC_MESSAGES" / "authhost_analytics.po")
    messages = [each for each in found if each.id]
    assert {each.id for each in messages} == template()
    for message in messages:
        assert message.string, message.id
        assert message.string != message.id
        assert sorted(PLACEHOLDER.findall(message.string)) == sorted(PLACEHOLDER.findall(message.id))
        for check in checkers:
            check(found, message)
    if tag == "fr":
        assert not [each.string for each in messages if re.search("[^\u00a0][:;?!]", each.string)]


def test_the_template_of_translations_is_current(tmp_path):
    written = tmp_path / "written.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg"]
    command += ["-k", "N_", "--no-location", "--sort-output", "-o", str(written), "."]
    subprocess.run(command, cwd=LOCALE.parent, check=True)
    assert {each.id for each in catalogue(written) if each.id} == template()


def test_every_event_of_a_flow_has_a_label():
    assert set(SUCCEEDED.values()) <= set(EVENTS)


def test_every_event_that_is_stored_has_a_label():
    source = Path(authhost_analytics.__file__).with_name("plugin.py").read_text(encoding="utf-8")
    stored = set(re.findall(r'_(?:store|social)\(\s*request,\s*"(\w+)"', source))
    assert {"user_logged_in", "flow_refused", "social_account_added"} <= stored
    assert stored <= set(EVENTS)


@pytest.mark.parametrize(
    ("tag", "number", "share", "day"),
    [
        ("en", "1,234", "5%", "Mar 4, 2026"),
        ("de", "1.234", "5\u00a0%", "04.03.2026"),
        ("ar", "1,234", "\u20665%\u2069", "04\u200f/03\u200f/2026"),
    ],
)
def test_numbers_and_days(tag, number, share, day):
    spoken = language(tag)
    assert (spoken.number(1234), spoken.percent(0.05), spoken.day(date(2026, 3, 4))) == (number, share, day)
