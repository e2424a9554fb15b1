"""Providers of identities, by OpenID Connect: their discovery documents say the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authhost_hookspecs import OpenIDConnectProvider, Profile, Provider, claims_profile

from authhost.providers.catalogue._read import full_name, inner, number_or_text, one_email, optional_text

GOOGLE = OpenIDConnectProvider(
    id="google",
    name="Google",
    issuer="https://accounts.google.com",
    docs="https://developers.google.com/identity/openid-connect/openid-connect",
)


def _read_apple(data: Mapping[str, Any]) -> Profile:
    # The name is not signed. It is for show, and an address beside it is never read.
    named = inner(data, "user", "name")
    name = full_name(named.get("firstName"), named.get("lastName"))
    return replace(claims_profile(data), uid=number_or_text(data["sub"]), name=name)


APPLE = OpenIDConnectProvider(
    id="apple",
    name="Apple",
    issuer="https://appleid.apple.com",
    scopes=("openid", "name", "email"),
    # Apple refuses the scopes name and email unless the answer is posted.
    authorize_params={"response_mode": "form_post"},
    userinfo=False,
    signed_secret=True,
    posts_user=True,
    read_profile=_read_apple,
    docs="https://developer.apple.com/documentation/signinwithapple/configuring-your-environment-for-sign-in-with-apple",
)


def _read_slack(data: Mapping[str, Any]) -> Profile:
    # Slack's ids of users are unique within a workspace only.
    team, user = number_or_text(data["https://slack.com/team_id"]), number_or_text(data["sub"])
    return Profile(
        uid=f"{team}_{user}",
        emails=one_email(data.get("email"), data.get("email_verified")),
        name=optional_text(data.get("name")),
        picture=optional_text(data.get("picture")),
    )


SLACK = OpenIDConnectProvider(
    id="slack",
    name="Slack",
    issuer="https://slack.com",
    read_profile=_read_slack,
    docs="https://docs.slack.dev/authentication/sign-in-with-slack/",
)

YAHOO = OpenIDConnectProvider(
    id="yahoo",
    name="Yahoo",
    issuer="https://api.login.yahoo.com",
    docs="https://developer.yahoo.com/sign-in-with-yahoo/",
)

HUGGINGFACE = OpenIDConnectProvider(
    id="huggingface",
    name="Hugging Face",
    issuer="https://huggingface.co",
    docs="https://huggingface.co/docs/hub/oauth",
)

ORCID = OpenIDConnectProvider(
    id="orcid",
    name="ORCID",
    issuer="https://orcid.org",
    scopes=("openid",),
    docs="https://info.orcid.org/documentation/integration-guide/registering-a-public-api-client/",
)

# Whose word an address is depends on who runs the server, so the operator decides whether it counts.

OKTA = OpenIDConnectProvider(
    id="okta",
    name="Okta",
    trusts_emails=False,
    docs="https://developer.okta.com/docs/guides/sign-into-web-app-redirect/main/",
)

AUTH0 = OpenIDConnectProvider(
    id="auth0",
    name="Auth0",
    trusts_emails=False,
    docs="https://auth0.com/docs/get-started/auth0-overview/create-applications/regular-web-apps",
)

KEYCLOAK = OpenIDConnectProvider(
    id="keycloak",
    name="Keycloak",
    trusts_emails=False,
    docs="https://www.keycloak.org/docs/latest/server_admin/index.html#_oidc_clients",
)

SALESFORCE = OpenIDConnectProvider(
    id="salesforce",
    name="Salesforce",
    trusts_emails=False,
    docs="https://help.salesforce.com/s/articleView?id=sf.connected_app_create_api_integration.htm",
)

OPENID_CONNECT = OpenIDConnectProvider(
    id="openid_connect",
    name="OpenID Connect",
    trusts_emails=False,
    docs="https://openid.net/developers/how-connect-works/",
)

PROVIDERS: tuple[Provider, ...] = (
    GOOGLE,
    APPLE,
    SLACK,
    YAHOO,
    HUGGINGFACE,
    ORCID,
    OKTA,
    AUTH0,
    KEYCLOAK,
    SALESFORCE,
    OPENID_CONNECT,
)
