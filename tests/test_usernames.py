"""Usernames: no two that look alike by invisible characters, stacked marks or other scripts."""

from __future__ import annotations

import sys
import unicodedata

import idna
import pytest
from conftest import PASSWORD
from hypothesis import given, settings, strategies as st
from sqlalchemy import update

from authhost.errors import AuthError, ConfigurationError, InvalidEmail, InvalidInput
from authhost.security.characters import INVISIBLE, _script, is_username
from authhost.security.inputs import email, key_of, username
from authhost.settings import USERNAME_SCRIPTS, Settings
from authhost.store.models import User

KEY = "k" * 20 + "0123456789abcdefghij"
ANN = "ann@example.org"
IGNORED = sorted(each for each in INVISIBLE if each.isprintable())


def refused(name, **options):
    try:
        username(name, 1, 150, **options)
    except InvalidInput as error:
        return error.fields == {"field": "username"}
    return False


@pytest.mark.parametrize(
    "name",
    [
        "ann",
        "Ann.Smith_2-x",
        "jörg",
        "Müller",
        "Straße",
        "søren",
        "Łukasz",
        "Guðrún",
        "Nguyễn",
        "o\u0308zil",  # decomposed
        "\uff21\uff4e\uff4e",  # full-width
        "007",
        "_x",
        "x" * 150,
        "\ufb01x",
    ],
)
def test_a_name_of_latin_letters_is_taken_in_nfkc(name):
    assert username(name, 1, 150) == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize(
    "name",
    [
        "admin\ufe0f",
        "ad\u034fmin",
        "admin\u3164",
        "\u3164",
        "admin\u115f",
        "admin\uffa0",
        "admin\u2800",
        "admin\u180e",
        "admin\u200d",
        "admin\u00ad",
        "admin\U000e0061",
        "a" + "\u0336" * 149,
        "a" + "\u0301" * 120,
        "admi\u0307n",
        "a\u0336dmin",
        "\u0301dmin",
        "\u0430dmin",  # Cyrillic a
        "\u0430\u0441\u0435",  # Cyrillic alone
        "\u03b1\u03b4",  # Greek
        "adm\u0131n",  # dotless i
        "ADM\u0130N",
        "\u0251dmin",  # Latin alpha
        "\u1d00dmin",  # small capital
        "admin\u01c3",  # click that looks like !
        "\u02bcadmin",
        "\u00d0an",
        "admin\u0660",  # Arabic digit
        "ad min",
        " admin",
        "admin\u00a0",
        "ad\u3000min",
        "ann@example.org",
        "you won! https://evil.example/win",
        "=?utf-8?q?x?=",
        "a/b",
        "a\\b",
        "a:b",
        "a+b",
        "<b>",
        "...",
        "_",
        "\u2764",
        "\ud800",
        "a\0b",
        "a\nb",
        "",
        None,
        b"ann",
        7,
    ],
)
def test_a_name_that_can_pass_for_another_one_is_refused(name):
    assert refused(name)


@pytest.mark.parametrize(
    ("name", "scripts"),
    [
        ("Иван", ["cyrillic"]),
        ("Йод", ["latin", "cyrillic"]),
        ("Γιώργος", ["greek"]),
        ("李明", ["cjk"]),
        ("たなか太郎", ["cjk", "hiragana", "katakana"]),
        ("コーヒー", ["katakana"]),
        ("김철수", ["hangul"]),
        ("สมชาย", ["thai"]),
        ("संजय", ["devanagari"]),
        ("محمد2", ["arabic"]),
        ("דוד", ["hebrew"]),
    ],
)
def test_other_scripts_are_a_choice(name, scripts):
    assert refused(name)
    assert username(name, 1, 150, scripts) == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize(
    "name",
    ["ивanov", "\u0430dmin", "李ming", "김ann", "2محمد", "محمد_", "مح\u0640مد", "\u1100\u1100", "かカ\u0430"],
)
def test_scripts_do_not_mix_though_all_are_allowed(name):
    assert refused(name, scripts=USERNAME_SCRIPTS)


def test_every_character_of_a_name_is_allowed_by_rfc_8264():
    """Its identifier class has ASCII and what IDNA calls PVALID (RFC 8264, 4.2; RFC 5892)."""
    allowed = idna.idnadata.codepoint_classes["PVALID"]
    taken = [
        each
        for each in map(chr, range(128, sys.maxunicode))
        if is_username(each, key_of(each), USERNAME_SCRIPTS)
    ]
    assert len(taken) > 10_000
    for each in taken:
        if unicodedata.is_normalized("NFKC", each):
            for one in key_of(each):
                assert one.isascii() or idna.intranges_contain(ord(one), allowed), ascii(each)


def test_the_table_of_what_nobody_sees_has_all_that_unicode_does_not_print():
    """All format characters that are ignorable, the variation selectors and the fillers."""
    for code in range(sys.maxunicode):
        name = unicodedata.name(chr(code), "")
        if (
            "VARIATION SELECTOR" in name
            or (name.startswith("HANGUL") and name.endswith("FILLER"))
            or "ZERO WIDTH" in name
        ):
            assert chr(code) in INVISIBLE, name
        assert not (chr(code) in INVISIBLE and _script(chr(code)))


@given(
    st.text("abcdefghijklmnopqrstuvwxyz0189._-", min_size=1, max_size=20),
    st.sampled_from(IGNORED),
    st.integers(0, 20),
)
@settings(deadline=None)
def test_what_nobody_sees_makes_no_other_name(name, invisible, at):
    assert refused(name[:at] + invisible + name[at:])
    with pytest.raises(InvalidEmail):
        email(f"{name[:at]}{invisible}{name[at:]}@example.org")


@given(st.text(max_size=20))
@settings(deadline=None)
def test_a_name_that_is_taken_stays_as_it_is(name):
    try:
        taken = username(name, 1, 20)
    except InvalidInput:
        return
    assert username(taken, 1, 20) == taken
    assert username(key_of(taken), 1, 40)
    assert not any(unicodedata.combining(each) for each in taken)
    assert taken.isprintable()


@given(st.text(st.sampled_from("aeiou\u0301\u0302\u0300\ufb03\ufdfa\uff41"), min_size=1, max_size=30))
@settings(deadline=None)
def test_the_limit_holds_for_the_normalised_name(name):
    normal = unicodedata.normalize("NFKC", name)
    try:
        taken = username(name, 2, 8)
    except InvalidInput as error:
        told = "must have 2 to 8 characters" in str(error)
        assert told or 2 <= len(normal) <= 8 or len(name) > 32
    else:
        assert taken == normal
        assert 2 <= len(normal) <= 8


def test_a_decomposed_name_of_the_longest_length_is_taken():
    assert username("e\u0302\u0301" * 150, 1, 150) == "\u1ebf" * 150
    assert refused("e\u0302\u0301" * 151)


def test_a_name_of_before_still_logs_in(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD, username="ann")
    for name in ("Old Name \u2764", "adm\u0131n"):
        with host.engine.begin() as connection:
            connection.execute(update(User).values(username=name, username_key=key_of(name)))
        assert run(host, "login", identifier=name, password=PASSWORD).authenticated


def test_two_spellings_are_one_name(make_host, run):
    host = make_host(email_verification="none")
    run(host, "signup", email=ANN, password=PASSWORD, username="Jörg")
    for k, name in enumerate(("jo\u0308rg", "JÖRG", "\uff4aörg")):
        with pytest.raises(AuthError) as caught:
            run(host, "signup", email=f"u{k}@example.org", password=PASSWORD, username=name)
        assert caught.value.code == "username_taken"


@pytest.mark.parametrize(
    "wrong",
    [
        {"username_scripts": ()},
        {"username_scripts": ("cyrilic",)},
        {"username_max_length": 151},
        {"username_min_length": 0},
        {"username_min_length": 9, "username_max_length": 8},
    ],
)
def test_settings_that_cannot_serve_are_named(wrong):
    with pytest.raises(ConfigurationError, match="username_"):
        Settings(secret_key=KEY, **wrong)


# Addresses.


@pytest.mark.parametrize(
    "address", ["ad\u034fmin@example.org", "admin\ufe0f@example.org", "\u3164@example.org", "a\u2800@b.org"]
)
def test_an_address_has_no_characters_that_nobody_sees(address):
    with pytest.raises(InvalidEmail):
        email(address)


def test_the_limit_of_an_address_holds_after_normalisation():
    local = "e\u0302\u0301" * 21
    found = email(f"{local}@example.org")
    assert found.address == "\u1ebf" * 21 + "@example.org"
    assert email("e\u0301" * 20 + "@" + ("a" * 40 + ".") * 5 + "org").address.startswith("\u00e9" * 20 + "@")
    for wrong in ("a@" + ("a" * 60 + ".") * 5 + "example", "\u00e9" * 300 + "@example.org"):
        with pytest.raises(InvalidEmail):
            email(wrong)
