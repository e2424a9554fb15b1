"""Where people keep code and run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider, claims_profile

from authhost.providers.catalogue._read import all_emails, inner, number_or_text, one_email, optional_text

GITHUB_NO_REPLY = "@users.noreply.github.com"
"""GitHub lists such an address among a person's own, but no mail arrives there."""


def _read_github(data: Mapping[str, Any]) -> Profile:
    emails = tuple(
        each for each in all_emails(data.get("emails")) if not each.email.endswith(GITHUB_NO_REPLY)
    )
    return Profile(
        uid=number_or_text(data["id"]),
        emails=emails or one_email(data.get("email")),
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
    # Without the right to read addresses, ``emails`` is an empty list.
    emails = inner(data, "emails").get("values")
    return Profile(
        uid=number_or_text(data["uuid"]),
        emails=all_emails(emails, verified="is_confirmed", primary="is_primary"),
        username=optional_text(data.get("username"), data.get("nickname")),
        name=optional_text(data.get("display_name")),
        picture=optional_text(inner(data, "links", "avatar").get("href")),
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
        uid=number_or_text(account["uuid"]),
        emails=one_email(account.get("email"), account.get("email_verified")),
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
        uid=number_or_text(data["id"]),
        # Heroku's flag ``verified`` is about a means of payment.
        emails=one_email(data.get("email")),
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
