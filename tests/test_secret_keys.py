"""``secret_key`` as a list: the first key is active, the former ones still verify and open."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from conftest import PASSWORD
from hypothesis import given, settings, strategies as st

from authhost.cli.checks import problems
from authhost.errors import ConfigurationError
from authhost.security.encryption import Encryption, Undecipherable
from authhost.security.key_age import new_timed_key
from authhost.settings import Settings

OLD, NEW = "the former key of 32 characters!", "the new key of at least 32 chars"
ANN = "ann@example.org"
KEYS = st.text(st.characters(codec="utf-8", exclude_characters=",\0"), min_size=32, max_size=60).filter(
    lambda key: key == key.strip()
)


def test_the_values_of_a_single_key_are_what_they_were(make_host):
    host = make_host(secret_key=OLD)
    for use, found in (("plugins", host.keyed_hash("x")), ("identifier", host.identifier_digest("x"))):
        key = hashlib.sha256(f"authhost.{use}:{OLD}".encode()).digest()
        assert found == hmac.digest(key, b"x", "sha256").hex()


def test_the_first_key_is_active_and_a_former_one_finds_what_it_wrote(make_host):
    before, after = make_host(secret_key=OLD), make_host(secret_key=[NEW, OLD])
    assert after.keyed_hash("x") == make_host(secret_key=NEW).keyed_hash("x") != before.keyed_hash("x")
    digests = after.identifier_digests(ANN)
    assert digests == (after.identifier_digest(ANN), before.identifier_digest(ANN))
    assert before.identifier_digests(ANN) == (before.identifier_digest(ANN),)
    assert after.signing_keys("a")[1:] == before.signing_keys("a")
    assert len({*after.signing_keys("a"), *after.signing_keys("b")}) == 4
    assert all(len(key) == 32 for key in after.signing_keys("a"))


def test_a_login_that_waits_outlives_a_change_of_the_key(make_host, run, recorder):
    options = {"email_verification": "mandatory", "login_on_email_confirmation": True}
    waiting = run(make_host(secret_key=OLD, **options), "signup", email=ANN, password=PASSWORD).session_token
    after = make_host(secret_key=(NEW, OLD), **options)
    assert run(after, "confirm_email", waiting, key=recorder.key()).login.authenticated


def test_a_social_login_goes_on_in_a_process_of_the_phase_before_or_after(make_host, scripted, clock):
    clock.now = datetime.now(UTC)
    app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site", "client_secret": "x"}
    new = new_timed_key(clock.now, ())
    before, distributed, active = (
        make_host(
            secret_key=keys, providers={"corp": {**app, "trust_emails": True}}, email_verification="none"
        )
        for keys in (OLD, (OLD, new), (new, OLD))
    )
    for first, second in (
        (before, distributed),
        (distributed, before),
        (active, distributed),
        (before, active),
    ):
        with first.request() as request:
            redirect = first.socialaccount.begin(request, "corp")
        params = scripted.agree(redirect.url)
        with second.request() as request:
            done = second.socialaccount.complete(
                request, "corp", params=params, state_token=redirect.state_token
            )
        assert done.login.session_token
        with first.request(session_token=done.login.session_token) as request:
            assert request.user.email == ANN


def test_a_former_key_opens_what_it_has_encrypted_and_the_first_one_seals():
    sealed = Encryption(Settings(secret_key=OLD)).seal({"a": "b"})
    both = Encryption(Settings(secret_key=(NEW, OLD)))
    assert both.open(sealed) == {"a": "b"}
    assert Encryption(Settings(secret_key=NEW)).open(both.rotate(sealed)) == {"a": "b"}
    with pytest.raises(Undecipherable):
        Encryption(Settings(secret_key=NEW)).open(sealed)


@pytest.mark.parametrize(
    "wrong", ["", (), [], [NEW, "short"], ["short", NEW], (NEW, ""), [NEW, b"x" * 40], [NEW, None]]
)
def test_each_key_needs_32_characters_and_none_is_shown(wrong):
    with pytest.raises(ConfigurationError) as caught:
        Settings(secret_key=wrong)
    assert "at least 32 characters" in str(caught.value)
    assert NEW not in str(caught.value)


@given(st.lists(KEYS, min_size=1, max_size=4))
@settings(deadline=None)
def test_keys_stay_out_of_the_repr_and_in_their_order(keys):
    given = Settings(secret_key=keys)
    assert given.secret_keys == tuple(dict.fromkeys(keys))
    assert all(key not in repr(given) for key in keys)
    assert Settings.load(secret_key=keys).secret_keys == given.secret_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (NEW, (NEW,)),
        (f"{NEW},{OLD}", (NEW, OLD)),
        (f"{NEW}, {OLD} ,", (NEW, OLD)),
        (f"{NEW},", (f"{NEW},",)),
        (f"{NEW},short", (f"{NEW},short",)),
        (f"short,{NEW},{OLD}", (f"short,{NEW},{OLD}",)),
    ],
)
def test_the_environment_has_a_list_where_each_part_can_be_a_key(monkeypatch, text, keys):
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", text)
    assert Settings.load().secret_keys == keys


def test_the_file_may_have_a_list(tmp_path, monkeypatch):
    monkeypatch.delenv("AUTHHOST_SECRET_KEY", raising=False)
    file = tmp_path / "site.toml"
    file.write_text(f'secret_key = ["{NEW}", "{OLD}"]\n')
    assert Settings.load(file).secret_keys == (NEW, OLD)
    file.write_text("secret_key = [1, 2]\n")
    with pytest.raises(ConfigurationError, match="secret_key"):
        Settings.load(file)


def test_the_check_looks_at_each_key(make_host):
    host = make_host(secret_key=[NEW, "k" * 48])
    assert "secret_key is not random" in [each.problem for each in problems(host)]
    host = make_host(secret_key=f"{NEW},short")
    found = [each.problem for each in problems(host) if "comma" in each.problem]
    assert len(found) == 1
    assert NEW not in found[0]
