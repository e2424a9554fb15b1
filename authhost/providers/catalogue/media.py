"""Music, video and publishing platforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider

from authhost.providers.catalogue._parse import (
    nested_object,
    object_list,
    optional_text,
    single_email,
    subject_id,
)


def _read_spotify(data: Mapping[str, Any]) -> Profile:
    images = object_list(data.get("images")) or [{}]
    return Profile(
        uid=subject_id(data["id"]),
        # Spotify's documentation says that the address is not verified.
        emails=single_email(data.get("email")),
        # Spotify calls its user id a username, too: it is the one in the address of the profile page.
        username=optional_text(data.get("id")),
        name=optional_text(data.get("display_name")),
        picture=optional_text(images[0].get("url")),
    )


SPOTIFY = OAuth2Provider(
    id="spotify",
    name="Spotify",
    authorize_url="https://accounts.spotify.com/authorize",
    token_url="https://accounts.spotify.com/api/token",
    profile_url="https://api.spotify.com/v1/me",
    read_profile=_read_spotify,
    scopes=("user-read-email",),
    credentials="basic",
    docs="https://developer.spotify.com/documentation/web-api/concepts/apps",
)


def _read_patreon(data: Mapping[str, Any]) -> Profile:
    user = data["data"]
    about = nested_object(user, "attributes")
    return Profile(
        uid=subject_id(user["id"]),
        emails=single_email(about.get("email"), about.get("is_email_verified")),
        username=optional_text(about.get("vanity")),
        name=optional_text(about.get("full_name")),
        picture=optional_text(about.get("image_url")),
    )


PATREON = OAuth2Provider(
    id="patreon",
    name="Patreon",
    authorize_url="https://www.patreon.com/oauth2/authorize",
    token_url="https://www.patreon.com/api/oauth2/token",
    profile_url="https://www.patreon.com/api/oauth2/v2/identity",
    profile_params={"fields[user]": "email,full_name,image_url,is_email_verified,vanity"},
    read_profile=_read_patreon,
    scopes=("identity", "identity[email]"),
    docs="https://docs.patreon.com/#clients-and-api-keys",
)


def _read_wordpress(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["ID"]),
        emails=single_email(data.get("email"), data.get("email_verified")),
        username=optional_text(data.get("username")),
        name=optional_text(data.get("display_name")),
        picture=optional_text(data.get("avatar_URL")),
    )


WORDPRESS = OAuth2Provider(
    id="wordpress",
    name="WordPress.com",
    authorize_url="https://public-api.wordpress.com/oauth2/authorize",
    token_url="https://public-api.wordpress.com/oauth2/token",
    profile_url="https://public-api.wordpress.com/rest/v1.1/me",
    read_profile=_read_wordpress,
    scopes=("auth",),
    docs="https://developer.wordpress.com/docs/wpcc/",
)


def _read_vimeo(data: Mapping[str, Any]) -> Profile:
    # The identifier occurs only in the URI of the user: /users/12345.
    root, kind, uid = data["uri"].split("/")
    if (root, kind) != ("", "users"):
        raise ValueError("not the address of a user")
    return Profile(
        uid=subject_id(uid),
        name=optional_text(data.get("name")),
        picture=optional_text(nested_object(data, "pictures").get("base_link")),
    )


VIMEO = OAuth2Provider(
    id="vimeo",
    name="Vimeo",
    authorize_url="https://api.vimeo.com/oauth/authorize",
    token_url="https://api.vimeo.com/oauth/access_token",
    profile_url="https://api.vimeo.com/me",
    profile_headers={"Accept": "application/vnd.vimeo.*+json;version=3.4"},
    read_profile=_read_vimeo,
    scopes=("public",),
    credentials="basic",
    docs="https://developer.vimeo.com/api/guides/start",
)

PROVIDERS: tuple[Provider, ...] = (SPOTIFY, PATREON, WORDPRESS, VIMEO)
