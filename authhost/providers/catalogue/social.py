"""Social networks, streaming and games."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider

from authhost.providers.catalogue._parse import (
    full_name,
    nested_object,
    optional_text,
    single_email,
    subject_id,
)


def _read_facebook(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        emails=single_email(data.get("email")),
        name=optional_text(data.get("name")),
        picture=optional_text(nested_object(data, "picture", "data").get("url")),
    )


FACEBOOK = OAuth2Provider(
    id="facebook",
    name="Facebook",
    authorize_url="https://www.facebook.com/v24.0/dialog/oauth",
    token_url="https://graph.facebook.com/v24.0/oauth/access_token",
    profile_url="https://graph.facebook.com/v24.0/me",
    profile_params={"fields": "id,name,email,picture"},
    read_profile=_read_facebook,
    scopes=("email", "public_profile"),
    scope_separator=",",
    docs="https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow",
)


def _read_x(data: Mapping[str, Any]) -> Profile:
    user = data["data"]
    return Profile(
        uid=subject_id(user["id"]),
        username=optional_text(user.get("username")),
        name=optional_text(user.get("name")),
        picture=optional_text(user.get("profile_image_url")),
    )


X = OAuth2Provider(
    id="x",
    name="X",
    authorize_url="https://x.com/i/oauth2/authorize",
    token_url="https://api.x.com/2/oauth2/token",
    profile_url="https://api.x.com/2/users/me",
    profile_params={"user.fields": "profile_image_url"},
    read_profile=_read_x,
    scopes=("users.read", "tweet.read"),
    credentials="basic",
    docs="https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code",
)


def _read_discord(data: Mapping[str, Any]) -> Profile:
    uid, avatar = subject_id(data["id"]), optional_text(data.get("avatar"))
    return Profile(
        uid=uid,
        emails=single_email(data.get("email"), data.get("verified")),
        username=optional_text(data.get("username")),
        name=optional_text(data.get("global_name")),
        picture=f"https://cdn.discordapp.com/avatars/{uid}/{avatar}.png" if avatar else None,
    )


DISCORD = OAuth2Provider(
    id="discord",
    name="Discord",
    authorize_url="https://discord.com/oauth2/authorize",
    token_url="https://discord.com/api/oauth2/token",
    profile_url="https://discord.com/api/v10/users/@me",
    read_profile=_read_discord,
    scopes=("identify", "email"),
    docs="https://discord.com/developers/docs/topics/oauth2",
)


def _read_twitch(data: Mapping[str, Any]) -> Profile:
    user = data["data"][0]
    return Profile(
        uid=subject_id(user["id"]),
        # According to the documentation, Twitch returns the address only if it is verified.
        emails=single_email(user.get("email"), verified=True),
        username=optional_text(user.get("login")),
        name=optional_text(user.get("display_name")),
        picture=optional_text(user.get("profile_image_url")),
    )


TWITCH = OAuth2Provider(
    id="twitch",
    name="Twitch",
    authorize_url="https://id.twitch.tv/oauth2/authorize",
    token_url="https://id.twitch.tv/oauth2/token",
    profile_url="https://api.twitch.tv/helix/users",
    profile_headers={"Client-Id": "{client_id}"},
    read_profile=_read_twitch,
    scopes=("user:read:email",),
    docs="https://dev.twitch.tv/docs/authentication/register-app/",
)


def _read_reddit(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        username=optional_text(data.get("name")),
        picture=optional_text(data.get("icon_img")),
    )


REDDIT = OAuth2Provider(
    id="reddit",
    name="Reddit",
    authorize_url="https://www.reddit.com/api/v1/authorize",
    authorize_params={"duration": "temporary"},
    token_url="https://www.reddit.com/api/v1/access_token",
    profile_url="https://oauth.reddit.com/api/v1/me",
    # Without raw_json, Reddit escapes texts for HTML.
    profile_params={"raw_json": "1"},
    # Reddit blocks clients without a unique User-Agent.
    profile_headers={"User-Agent": "web:{client_id}:v1 (authhost)"},
    read_profile=_read_reddit,
    scopes=("identity",),
    credentials="basic",
    docs="https://github.com/reddit-archive/reddit/wiki/OAuth2",
)


def _read_mastodon(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        username=optional_text(data.get("username")),
        name=optional_text(data.get("display_name")),
        picture=optional_text(data.get("avatar")),
    )


MASTODON = OAuth2Provider(
    id="mastodon",
    name="Mastodon",
    authorize_url="{server}/oauth/authorize",
    token_url="{server}/oauth/token",
    profile_url="{server}/api/v1/accounts/verify_credentials",
    read_profile=_read_mastodon,
    scopes=("read:accounts",),
    docs="https://docs.joinmastodon.org/client/token/#app",
)


def _read_pinterest(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        username=optional_text(data.get("username")),
        name=optional_text(data.get("business_name")),
        picture=optional_text(data.get("profile_image")),
    )


PINTEREST = OAuth2Provider(
    id="pinterest",
    name="Pinterest",
    authorize_url="https://www.pinterest.com/oauth/",
    token_url="https://api.pinterest.com/v5/oauth/token",
    profile_url="https://api.pinterest.com/v5/user_account",
    read_profile=_read_pinterest,
    scopes=("user_accounts:read",),
    scope_separator=",",
    credentials="basic",
    docs="https://developers.pinterest.com/docs/getting-started/connect-app/",
)


def _read_strava(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        username=optional_text(data.get("username")),
        name=full_name(data.get("firstname"), data.get("lastname")),
        picture=optional_text(data.get("profile")),
    )


STRAVA = OAuth2Provider(
    id="strava",
    name="Strava",
    authorize_url="https://www.strava.com/oauth/authorize",
    token_url="https://www.strava.com/oauth/token",
    profile_url="https://www.strava.com/api/v3/athlete",
    read_profile=_read_strava,
    scopes=("read",),
    scope_separator=",",
    docs="https://developers.strava.com/docs/getting-started/",
)


def _read_battlenet(data: Mapping[str, Any]) -> Profile:
    return Profile(uid=subject_id(data["id"]), username=optional_text(data.get("battletag")))


BATTLENET = OAuth2Provider(
    id="battlenet",
    name="Battle.net",
    authorize_url="https://oauth.battle.net/authorize",
    token_url="https://oauth.battle.net/token",
    profile_url="https://oauth.battle.net/userinfo",
    read_profile=_read_battlenet,
    scopes=("openid",),
    credentials="basic",
    docs="https://develop.battle.net/documentation/guides/using-oauth",
)

PROVIDERS: tuple[Provider, ...] = (
    FACEBOOK,
    X,
    DISCORD,
    TWITCH,
    REDDIT,
    MASTODON,
    PINTEREST,
    STRAVA,
    BATTLENET,
)
