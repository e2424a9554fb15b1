"""``seal`` and ``open``: what plugins keep in their tables so that only the host can read it."""

from __future__ import annotations

import pytest
from authhost_hookspecs import CannotOpen
from hypothesis import given, strategies as st

from authhost.security.encryption import Encryption, Undecipherable
from authhost.settings import Settings

OLD, NEW = "o" * 40, "n" * 40
texts = st.text(st.characters())  # surrogates, too


def encryption(*keys, secret="s" * 40):
    return Encryption(Settings(secret_key=secret, encryption_keys=keys))


@given(text=texts, purpose=texts)
def test_what_was_sealed_opens_again(text, purpose):
    keys = encryption(OLD)
    sealed = keys.seal_text(text, purpose)
    assert sealed.isascii()
    assert keys.open_text(sealed, purpose) == text


@given(texts, texts)
def test_only_for_the_same_purpose(purpose, other):
    keys = encryption(OLD)
    sealed = keys.seal_text("a link", purpose)
    if other != purpose:
        with pytest.raises(CannotOpen, match="another purpose"):
            keys.open_text(sealed, other)


def test_former_keys_open_and_the_first_seals():
    sealed = encryption(OLD).seal_text("a link", "email")
    assert encryption(NEW, OLD).open_text(sealed, "email") == "a link"
    with pytest.raises(CannotOpen, match="encryption_keys"):
        encryption(NEW).open_text(sealed, "email")
    later = encryption(NEW, OLD).seal_text("a link", "email")
    assert encryption(NEW).open_text(later, "email") == "a link"


def test_what_the_core_has_sealed_is_no_plugins_and_the_other_way_round():
    keys = encryption(OLD)
    with pytest.raises(CannotOpen):
        keys.open_text(keys.seal({"token": "x"}).decode(), "")
    with pytest.raises(Undecipherable):
        keys.open(keys.seal_text("x", "").encode())


@given(st.one_of(st.text(max_size=30), st.none(), st.binary(max_size=30)))
def test_whatever_else_there_is_cannot_be_opened(value):
    with pytest.raises(CannotOpen) as raised:
        encryption(OLD).open_text(value, "")
    assert isinstance(raised.value, Undecipherable)


@pytest.mark.parametrize("value", [None, 7, b"bytes"])
def test_only_text_can_be_sealed(value):
    with pytest.raises(TypeError, match="only text"):
        encryption(OLD).seal_text(value, "")


def test_request_and_host_seal_alike(make_host):
    host = make_host()
    with host.request() as request:
        sealed = request.seal("a link", "email.outbox")
        assert "a link" not in sealed
        assert request.seal("a link", "email.outbox") != sealed
        assert host.open(sealed, "email.outbox") == "a link"
        assert request.open(host.seal("another"), "") == "another"
        with pytest.raises(CannotOpen):
            request.open(sealed)
    assert host.build_url("reset_password", key="a/b").endswith("a%2Fb")


@pytest.mark.parametrize("text", ["x" * 1000, "é" * 500, "日" * 333, "😀" * 250])
def test_sealed_text_is_about_a_third_longer_than_its_utf_8(make_host, text):
    host = make_host()
    sealed = host.seal(text, "shop.orders")
    assert len(sealed) < 1.4 * len(text.encode()) + 120
    assert host.open(sealed, "shop.orders") == text


def test_text_with_half_a_surrogate_pair_can_be_sealed(make_host):
    host = make_host()
    assert host.open(host.seal("a\ud83d"), "") == "a\ud83d"
