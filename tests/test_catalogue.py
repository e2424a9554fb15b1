"""Each built-in provider reads the documents that it is documented to send, and refuses others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from authhost_hookspecs import OAuth1Provider, OAuth2Provider, OpenIDConnectProvider, Profile, Provider
from authhost_hookspecs.providers import claims_profile
from hypothesis import given, settings, strategies as st

from authhost.errors import ProviderFailed
from authhost.providers.app import App, ProviderSettings
from authhost.providers.catalogue import BUILT_IN
from authhost.providers.client import read_profile
from authhost.providers.registry import ID_PATTERN

PROFILES = Path(__file__).parent / "profiles"
SERVER = "https://server.example.org"
EACH = pytest.mark.parametrize("provider", BUILT_IN, ids=lambda provider: provider.id)


def recorded(provider: Provider) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROFILES / f"{provider.id}.json").read_text())
    return found


def addresses(provider: Provider) -> Iterator[str]:
    if isinstance(provider, OpenIDConnectProvider):
        yield provider.issuer
        return
    yield from (provider.authorize_url, provider.profile_url)
    if isinstance(provider, OAuth1Provider):
        yield from (provider.request_token_url, provider.access_token_url)
    else:
        yield from (provider.token_url, *provider.more_urls.values())


def damaged(documents: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents with one key less, or with another value under it."""
    for key in documents:
        yield key, {name: value for name, value in documents.items() if name != key}
        for value in (None, [], ["None"], {}, {"a": 1}, "", True):
            yield key, {**documents, key: value}


@EACH
def test_reads_what_is_documented(provider: Provider) -> None:
    expected = recorded(provider)["profile"]
    profile = provider.read_profile(recorded(provider)["documents"])
    assert profile.uid == expected["uid"]
    assert [[each.email, each.verified, each.primary] for each in profile.emails] == expected["emails"]
    assert profile.username == expected["username"]
    assert profile.name == expected["name"]
    assert profile.picture == expected["picture"]


def test_each_has_a_recorded_profile() -> None:
    assert len(BUILT_IN) >= 40
    assert {path.stem for path in PROFILES.iterdir()} == {provider.id for provider in BUILT_IN}
    for provider in BUILT_IN:
        source = urlsplit(recorded(provider)["source"])
        assert source.scheme == "https", provider.id
        assert source.hostname, provider.id


def test_ids_are_unique_and_sorted() -> None:
    ids = [provider.id for provider in BUILT_IN]
    assert ids == sorted(set(ids))
    assert all(ID_PATTERN.fullmatch(each) for each in ids)
    assert all(provider.name for provider in BUILT_IN)


@EACH
def test_addresses_are_https(provider: Provider) -> None:
    for address in (*addresses(provider), provider.docs):
        parts = urlsplit(address.replace("{server}", SERVER).replace("{tenant}", "common"))
        assert parts.scheme == "https", address
        assert parts.hostname, address
        assert "{" not in parts.geturl(), address


@EACH
def test_defaults_are_of_places_in_the_addresses(provider: Provider) -> None:
    if isinstance(provider, OAuth2Provider):
        for name in provider.defaults:
            assert any(f"{{{name}}}" in address for address in addresses(provider))


ODD = (None, [], [None, 7, ["x"], {}], {}, 7, -1.5, True, "", "x" * 100_000, "\x00\u202e\ud800")
"""What a provider may send in place of a value: null first of all."""
FLAGS = ("verified", "email_verified", "is_confirmed", "confirmed", "is_email_verified", "is_email_valid")


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The path to each value inside ``value``, those of objects and lists included."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*path, key)
        yield from places(each, *path, key)


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(document)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


def app_of(provider: Provider) -> App:
    return App(provider.id, provider, ProviderSettings(client_id="x"))


@EACH
def test_any_value_may_be_of_any_type(provider: Provider) -> None:
    """The login works, perhaps without what was replaced, or it ends in a typed refusal."""
    documents = recorded(provider)["documents"]
    before = read_profile(app_of(provider), documents)
    bears_uid = {
        path
        for path in places(documents)
        if any(
            fails_or_changes(provider, replaced(documents, path, value), before.uid)
            for value in ("another", True)
        )
    }
    for path in places(documents):
        for value in ODD:
            try:
                profile = read_profile(app_of(provider), replaced(documents, path, value))
            except ProviderFailed as error:
                assert error.fields["reason"] == "profile_malformed"
                assert path in bears_uid, f"the login is lost with {value!r:.40} at {path}"
                continue
            assert path in bears_uid or profile.uid == before.uid
            assert all(isinstance(each.email, str) for each in profile.emails)
            verified = [each.email for each in before.emails if each.verified]
            if path[-1] not in FLAGS:
                assert all(each.email in [*verified, value] for each in profile.emails if each.verified)
            for shown in (profile.username, profile.name, profile.picture):
                assert shown is None or (
                    isinstance(shown, str) and len(shown) <= 2048 and shown.isprintable()
                )


def fails_or_changes(provider: Provider, documents: Any, uid: str) -> bool:
    try:
        return read_profile(app_of(provider), documents).uid != uid
    except ProviderFailed:
        return True


@EACH
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_json_in_any_place(provider: Provider, data: st.DataObject) -> None:
    documents = recorded(provider)["documents"]
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    json_values = st.recursive(
        leaves,
        lambda inside: (
            st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3)
        ),
    )
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(documents))))
        documents = replaced(documents, path, data.draw(json_values))
    with suppress(ProviderFailed):
        profile = read_profile(app_of(provider), documents)
        assert 0 < len(profile.uid) <= 255


@EACH
def test_a_malformed_document_is_refused_or_read_without_a_made_up_uid(provider: Provider) -> None:
    documents = recorded(provider)["documents"]
    for key, document in damaged(documents):
        try:
            profile = provider.read_profile(document)
        except (LookupError, TypeError, ValueError, AttributeError):
            continue
        assert isinstance(profile, Profile)
        if provider.read_profile is claims_profile:
            # The claims are a verified ID token's, or the host refuses the uid.
            assert profile.uid is document["sub"]
            continue
        assert isinstance(profile.uid, str), key
        assert profile.uid not in ("", "None", "True", "[]", "{}"), key
        assert all(isinstance(each.email, str) for each in profile.emails), key
        texts = (profile.username, profile.name, profile.picture)
        assert all(each is None or isinstance(each, str) for each in texts), key


@EACH
def test_an_address_is_verified_by_a_flag_alone(provider: Provider) -> None:
    """Without any flag in the documents no address is verified, but for those that send none else."""
    flags = ("verified", "confirmed", "valid")

    def without_flags(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {name: each for name, each in value.items() if not any(flag in name for flag in flags)}
            return {name: without_flags(each) for name, each in kept.items()}
        return [without_flags(each) for each in value] if isinstance(value, list) else value

    profile = provider.read_profile(without_flags(recorded(provider)["documents"]))
    only_verified = provider.id in ("twitch", "twitter_oauth1")
    assert all(each.verified is only_verified for each in profile.emails)
