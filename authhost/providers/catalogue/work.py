"""Office and collaboration software."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider, claims_profile

from authhost.providers.catalogue._parse import (
    full_name,
    nested_object,
    optional_text,
    single_email,
    subject_id,
)


def _read_microsoft(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        # The administrator of a directory can enter any address. The userPrincipalName is a login
        # name: that of a guest looks like an address, but receives no mail.
        emails=single_email(data.get("mail")),
        username=optional_text(data.get("userPrincipalName")),
        name=optional_text(data.get("displayName")),
    )


MICROSOFT = OAuth2Provider(
    id="microsoft",
    name="Microsoft",
    authorize_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
    token_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    profile_url="https://graph.microsoft.com/v1.0/me",
    profile_params={"$select": "id,displayName,mail"},
    defaults={"tenant": "common"},
    uids_span_tenants=True,
    read_profile=_read_microsoft,
    scopes=("User.Read",),
    docs="https://learn.microsoft.com/en-us/entra/identity-platform/quickstart-register-app",
)

# LinkedIn's ID tokens do not contain the nonce, so its userinfo endpoint is used.
LINKEDIN = OAuth2Provider(
    id="linkedin",
    name="LinkedIn",
    authorize_url="https://www.linkedin.com/oauth/v2/authorization",
    token_url="https://www.linkedin.com/oauth/v2/accessToken",
    profile_url="https://api.linkedin.com/v2/userinfo",
    read_profile=claims_profile,
    scopes=("openid", "profile", "email"),
    # The token endpoint returns invalid_client if a verifier is sent together with the secret.
    pkce=False,
    docs="https://learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2",
)


def _read_atlassian(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["account_id"]),
        emails=single_email(data.get("email")),
        username=optional_text(data.get("nickname")),
        name=optional_text(data.get("name")),
        picture=optional_text(data.get("picture")),
    )


ATLASSIAN = OAuth2Provider(
    id="atlassian",
    name="Atlassian",
    authorize_url="https://auth.atlassian.com/authorize",
    authorize_params={"audience": "api.atlassian.com", "prompt": "consent"},
    token_url="https://auth.atlassian.com/oauth/token",
    profile_url="https://api.atlassian.com/me",
    read_profile=_read_atlassian,
    scopes=("read:me",),
    docs="https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
)


def _read_notion(data: Mapping[str, Any]) -> Profile:
    # The token belongs to a bot. The bot's owner is the person who has logged in.
    user = data["bot"]["owner"]["user"]
    return Profile(
        uid=subject_id(user["id"]),
        emails=single_email(nested_object(user, "person").get("email")),
        name=optional_text(user.get("name")),
        picture=optional_text(user.get("avatar_url")),
    )


NOTION = OAuth2Provider(
    id="notion",
    name="Notion",
    authorize_url="https://api.notion.com/v1/oauth/authorize",
    authorize_params={"owner": "user"},
    token_url="https://api.notion.com/v1/oauth/token",
    profile_url="https://api.notion.com/v1/users/me",
    profile_headers={"Notion-Version": "2022-06-28"},
    read_profile=_read_notion,
    credentials="basic",
    docs="https://developers.notion.com/docs/authorization",
)


def _read_figma(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        emails=single_email(data.get("email")),
        name=optional_text(data.get("handle")),
        picture=optional_text(data.get("img_url")),
    )


FIGMA = OAuth2Provider(
    id="figma",
    name="Figma",
    authorize_url="https://www.figma.com/oauth",
    token_url="https://api.figma.com/v1/oauth/token",
    refresh_url="https://api.figma.com/v1/oauth/refresh",
    profile_url="https://api.figma.com/v1/me",
    read_profile=_read_figma,
    scopes=("current_user:read",),
    credentials="basic",
    docs="https://developers.figma.com/docs/rest-api/authentication/",
)


def _read_zoom(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        # ``verified`` is 1 if Zoom has verified the address.
        emails=single_email(data.get("email"), data.get("verified")),
        name=optional_text(data.get("display_name"))
        or full_name(data.get("first_name"), data.get("last_name")),
        picture=optional_text(data.get("pic_url")),
    )


# The permissions of a Zoom application are set in Zoom's marketplace, so no scope is requested.
ZOOM = OAuth2Provider(
    id="zoom",
    name="Zoom",
    authorize_url="https://zoom.us/oauth/authorize",
    token_url="https://zoom.us/oauth/token",
    profile_url="https://api.zoom.us/v2/users/me",
    read_profile=_read_zoom,
    credentials="basic",
    docs="https://developers.zoom.us/docs/integrations/create/",
)


def _read_hubspot(data: Mapping[str, Any]) -> Profile:
    # The URL of the token's metadata contains the token. The metadata also describe the person.
    return Profile(uid=subject_id(data["token"]["user_id"]))


HUBSPOT = OAuth2Provider(
    id="hubspot",
    name="HubSpot",
    authorize_url="https://app.hubspot.com/oauth/authorize",
    token_url="https://api.hubapi.com/oauth/v3/token",
    profile_url="https://api.hubapi.com/account-info/v3/details",
    read_profile=_read_hubspot,
    scopes=("oauth",),
    docs="https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/oauth/oauth-quickstart-guide",
)


def _read_asana(data: Mapping[str, Any]) -> Profile:
    user = data["data"]
    return Profile(
        uid=subject_id(user["gid"]),
        emails=single_email(user.get("email")),
        name=optional_text(user.get("name")),
        picture=optional_text(nested_object(user, "photo").get("image_128x128")),
    )


ASANA = OAuth2Provider(
    id="asana",
    name="Asana",
    authorize_url="https://app.asana.com/-/oauth_authorize",
    token_url="https://app.asana.com/-/oauth_token",
    profile_url="https://app.asana.com/api/1.0/users/me",
    read_profile=_read_asana,
    scopes=("users:read",),
    docs="https://developers.asana.com/docs/oauth",
)


def _read_box(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        emails=single_email(data.get("login")),
        name=optional_text(data.get("name")),
        picture=optional_text(data.get("avatar_url")),
    )


BOX = OAuth2Provider(
    id="box",
    name="Box",
    authorize_url="https://account.box.com/api/oauth2/authorize",
    token_url="https://api.box.com/oauth2/token",
    profile_url="https://api.box.com/2.0/users/me",
    read_profile=_read_box,
    docs="https://developer.box.com/guides/authentication/oauth2/oauth2-setup/",
)


def _read_dropbox(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["account_id"]),
        emails=single_email(data.get("email"), data.get("email_verified")),
        name=optional_text(nested_object(data, "name").get("display_name")),
        picture=optional_text(data.get("profile_photo_url")),
    )


DROPBOX = OAuth2Provider(
    id="dropbox",
    name="Dropbox",
    authorize_url="https://www.dropbox.com/oauth2/authorize",
    token_url="https://api.dropboxapi.com/oauth2/token",
    profile_url="https://api.dropboxapi.com/2/users/get_current_account",
    profile_method="POST",
    read_profile=_read_dropbox,
    scopes=("account_info.read",),
    docs="https://developers.dropbox.com/oauth-guide",
)


def _read_mailchimp(data: Mapping[str, Any]) -> Profile:
    login = data["login"]
    return Profile(
        # A user_id belongs to an account that several people can share.
        uid=subject_id(login["login_id"]),
        emails=single_email(login.get("login_email") or login.get("email")),
        username=optional_text(login.get("login_name")),
        name=optional_text(data.get("accountname")),
        picture=optional_text(login.get("avatar")),
    )


MAILCHIMP = OAuth2Provider(
    id="mailchimp",
    name="Mailchimp",
    authorize_url="https://login.mailchimp.com/oauth2/authorize",
    token_url="https://login.mailchimp.com/oauth2/token",
    profile_url="https://login.mailchimp.com/oauth2/metadata",
    read_profile=_read_mailchimp,
    docs="https://mailchimp.com/developer/marketing/guides/access-user-data-oauth-2/",
)


def _read_zoho(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["ZUID"]),
        emails=single_email(data.get("Email")),
        username=optional_text(data.get("Display_Name")),
        name=full_name(data.get("First_Name"), data.get("Last_Name")),
    )


ZOHO = OAuth2Provider(
    id="zoho",
    name="Zoho",
    authorize_url="{server}/oauth/v2/auth",
    token_url="{server}/oauth/v2/token",
    profile_url="{server}/oauth/user/info",
    defaults={"server": "https://accounts.zoho.com"},
    read_profile=_read_zoho,
    scopes=("AaaServer.profile.READ",),
    scope_separator=",",
    docs="https://www.zoho.com/accounts/protocol/oauth-setup.html",
)

PROVIDERS: tuple[Provider, ...] = (
    MICROSOFT,
    LINKEDIN,
    ATLASSIAN,
    NOTION,
    FIGMA,
    ZOOM,
    HUBSPOT,
    ASANA,
    BOX,
    DROPBOX,
    MAILCHIMP,
    ZOHO,
)
