"""Code hosting and cloud platforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider, claims_profile

from authhost.providers.catalogue._parse import (
    email_list,
    nested_object,
    optional_text,
    single_email,
    subject_id,
)

GITHUB_NO_REPLY = "@users.noreply.github.com"
"""The domain of GitHub's placeholder addresses. GitHub lists them, but they receive no mail."""


def _read_github(data: Mapping[str, Any]) -> Profile:
    emails = tuple(
        each for each in email_list(data.get("emails")) if not each.email.endswith(GITHUB_NO_REPLY)
    )
    return Profile(
        uid=subject_id(data["id"]),
        emails=emails or single_email(data.get("email")),
        username=optional_text(data.get("login")),
        name=optional_text(data.get("name")),
        picture=optional_text(data.get("avatar_url")),
    )


GITHUB = OAuth2Provider(
    id="github",
    name="GitHub",
    authorize_url="https://github.com/login/oauth/authorize",
    token_url="https://github.com/login/oauth/access_token",
    profile_url="https://api.github.com/user",
    more_urls={"emails": "https://api.github.com/user/emails"},
    read_profile=_read_github,
    scopes=("user:email",),
    docs="https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/creating-an-oauth-app",
)

GITHUB_ENTERPRISE = OAuth2Provider(
    id="github_enterprise",
    name="GitHub Enterprise",
    authorize_url="{server}/login/oauth/authorize",
    token_url="{server}/login/oauth/access_token",
    profile_url="{server}/api/v3/user",
    more_urls={"emails": "{server}/api/v3/user/emails"},
    read_profile=_read_github,
    scopes=("user:email",),
    trusts_emails=False,
    docs="https://docs.github.com/en/enterprise-server@latest/apps/oauth-apps/building-oauth-apps/creating-an-oauth-app",
)


GITLAB = OAuth2Provider(
    id="gitlab",
    name="GitLab",
    authorize_url="{server}/oauth/authorize",
    token_url="{server}/oauth/token",
    profile_url="{server}/oauth/userinfo",
    defaults={"server": "https://gitlab.com"},
    read_profile=claims_profile,
    scopes=("openid", "profile", "email"),
    docs="https://docs.gitlab.com/integration/oauth_provider/",
)


def _read_bitbucket(data: Mapping[str, Any]) -> Profile:
    # Without the permission to read e-mail addresses, ``emails`` is an empty list.
    emails = nested_object(data, "emails").get("values")
    return Profile(
        uid=subject_id(data["uuid"]),
        emails=email_list(emails, verified="is_confirmed", primary="is_primary"),
        username=optional_text(data.get("username"), data.get("nickname")),
        name=optional_text(data.get("display_name")),
        picture=optional_text(nested_object(data, "links", "avatar").get("href")),
    )


BITBUCKET = OAuth2Provider(
    id="bitbucket",
    name="Bitbucket",
    authorize_url="https://bitbucket.org/site/oauth2/authorize",
    token_url="https://bitbucket.org/site/oauth2/access_token",
    profile_url="https://api.bitbucket.org/2.0/user",
    more_urls={"emails": "https://api.bitbucket.org/2.0/user/emails"},
    read_profile=_read_bitbucket,
    scopes=("account", "email"),
    credentials="basic",
    docs="https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/",
)


def _read_digitalocean(data: Mapping[str, Any]) -> Profile:
    account = data["account"]
    return Profile(
        uid=subject_id(account["uuid"]),
        emails=single_email(account.get("email"), account.get("email_verified")),
        name=optional_text(account.get("name")),
    )


DIGITALOCEAN = OAuth2Provider(
    id="digitalocean",
    name="DigitalOcean",
    authorize_url="https://cloud.digitalocean.com/v1/oauth/authorize",
    token_url="https://cloud.digitalocean.com/v1/oauth/token",
    profile_url="https://api.digitalocean.com/v2/account",
    read_profile=_read_digitalocean,
    scopes=("read",),
    docs="https://docs.digitalocean.com/reference/api/oauth/",
)


def _read_heroku(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["id"]),
        # Heroku's flag ``verified`` refers to a payment method, not to the address.
        emails=single_email(data.get("email")),
        name=optional_text(data.get("name")),
    )


HEROKU = OAuth2Provider(
    id="heroku",
    name="Heroku",
    authorize_url="https://id.heroku.com/oauth/authorize",
    token_url="https://id.heroku.com/oauth/token",
    profile_url="https://api.heroku.com/account",
    profile_headers={"Accept": "application/vnd.heroku+json; version=3"},
    read_profile=_read_heroku,
    scopes=("identity",),
    docs="https://devcenter.heroku.com/articles/oauth",
)

PROVIDERS: tuple[Provider, ...] = (GITHUB, GITHUB_ENTERPRISE, GITLAB, BITBUCKET, DIGITALOCEAN, HEROKU)
