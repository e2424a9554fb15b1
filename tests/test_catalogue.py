"""Each built-in provider reads the documents that it is documented to send, and refuses others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from authhost_hookspecs import OAuth1Provider, OAuth2Provider, OpenIDConnectProvider, Profile, Provider
from authhost_hookspecs.providers import claims_profile

from authhost.providers.catalogue import BUILT_IN
from authhost.providers.registry import ID

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
    assert all(ID.fullmatch(each) for each in ids)
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
