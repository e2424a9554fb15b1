"""Providers that use OAuth 1.0a."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth1Provider, Profile, Provider

from authhost.providers.catalogue._parse import (
    nested_object,
    object_list,
    optional_text,
    single_email,
    subject_id,
)


def _read_twitter(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id_str"]),
        # According to the documentation, the address is null unless it is verified.
        emails=single_email(data.get("email"), verified=True),
        username=optional_text(data.get("screen_name")),
        name=optional_text(data.get("name")),
        picture=optional_text(data.get("profile_image_url_https")),
    )


TWITTER_OAUTH1 = OAuth1Provider(
    id="twitter_oauth1",
    name="X (OAuth 1.0a)",
    request_token_url="https://api.x.com/oauth/request_token",
    authorize_url="https://api.x.com/oauth/authenticate",
    access_token_url="https://api.x.com/oauth/access_token",
    profile_url="https://api.x.com/1.1/account/verify_credentials.json",
    profile_params={"include_email": "true", "include_entities": "false", "skip_status": "true"},
    read_profile=_read_twitter,
    docs="https://docs.x.com/fundamentals/authentication/oauth-1-0a/api-key-and-secret",
)


def _read_tumblr(data: Mapping[str, Any]) -> Profile:
    # Tumblr has no identifier of a person, only of the person's primary blog.
    user = data["response"]["user"]
    [primary] = [blog for blog in object_list(user["blogs"]) if blog.get("primary") is True]
    return Profile(
        uid=subject_id(primary["uuid"]),
        username=optional_text(user.get("name")),
        name=optional_text(primary.get("title")),
    )


TUMBLR = OAuth1Provider(
    id="tumblr",
    name="Tumblr",
    request_token_url="https://www.tumblr.com/oauth/request_token",
    authorize_url="https://www.tumblr.com/oauth/authorize",
    access_token_url="https://www.tumblr.com/oauth/access_token",
    profile_url="https://api.tumblr.com/v2/user/info",
    read_profile=_read_tumblr,
    docs="https://www.tumblr.com/docs/en/api/v2",
)


def _read_trello(data: Mapping[str, Any]) -> Profile:
    avatar = optional_text(data.get("avatarUrl"))
    return Profile(
        uid=subject_id(data["id"]),
        username=optional_text(data.get("username")),
        name=optional_text(data.get("fullName")),
        picture=f"{avatar}/170.png" if avatar else None,
    )


TRELLO = OAuth1Provider(
    id="trello",
    name="Trello",
    request_token_url="https://trello.com/1/OAuthGetRequestToken",
    authorize_url="https://trello.com/1/OAuthAuthorizeToken",
    # The scope for e-mail addresses includes write access, so it is not requested.
    authorize_params={"scope": "read", "expiration": "1hour", "name": "Login"},
    access_token_url="https://trello.com/1/OAuthGetAccessToken",
    profile_url="https://api.trello.com/1/members/me",
    profile_params={"fields": "id,username,fullName,avatarUrl"},
    read_profile=_read_trello,
    docs="https://developer.atlassian.com/cloud/trello/guides/rest-api/authorization/",
)


def _read_flickr(data: Mapping[str, Any]) -> Profile:
    user = data["user"]
    return Profile(
        uid=subject_id(user["id"]),
        username=optional_text(nested_object(user, "username").get("_content")),
        name=optional_text(nested_object(data, "token").get("fullname")),
    )


FLICKR = OAuth1Provider(
    id="flickr",
    name="Flickr",
    request_token_url="https://www.flickr.com/services/oauth/request_token",
    authorize_url="https://www.flickr.com/services/oauth/authorize",
    authorize_params={"perms": "read"},
    access_token_url="https://www.flickr.com/services/oauth/access_token",
    profile_url="https://api.flickr.com/services/rest/",
    profile_params={"method": "flickr.test.login", "format": "json", "nojsoncallback": "1"},
    read_profile=_read_flickr,
    docs="https://www.flickr.com/services/api/auth.oauth.html",
)

PROVIDERS: tuple[Provider, ...] = (TWITTER_OAUTH1, TUMBLR, TRELLO, FLICKR)
