"""OpenID Connect providers. Their endpoints come from their discovery documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authhost_hookspecs import OpenIDConnectProvider, Profile, Provider, claims_profile

from authhost.providers.catalogue._parse import (
    full_name,
    nested_object,
    optional_text,
    single_email,
    subject_id,
)

GOOGLE = OpenIDConnectProvider(
    id="google",
    name="Google",
    issuer="https://accounts.google.com",
    docs="https://developers.google.com/identity/openid-connect/openid-connect",
)


def _read_apple(data: Mapping[str, Any]) -> Profile:
    # The name is not signed, so it is only displayed. The e-mail address next to it is not used.
    named = nested_object(data, "user", "name")
    name = full_name(named.get("firstName"), named.get("lastName"))
    return replace(claims_profile(data), uid=subject_id(data["sub"]), name=name)


APPLE = OpenIDConnectProvider(
    id="apple",
    name="Apple",
    issuer="https://appleid.apple.com",
    scopes=("openid", "name", "email"),
    # Apple requires response_mode=form_post for the scopes name and email.
    authorize_params={"response_mode": "form_post"},
    userinfo=False,
    signed_secret=True,
    posts_user=True,
    read_profile=_read_apple,
    docs="https://developer.apple.com/documentation/signinwithapple/configuring-your-environment-for-sign-in-with-apple",
)


def _read_slack(data: Mapping[str, Any]) -> Profile:
    # Slack's user ids are unique only within a workspace.
    team, user = subject_id(data["https://slack.com/team_id"]), subject_id(data["sub"])
    return Profile(
        uid=f"{team}_{user}",
        emails=single_email(data.get("email"), data.get("email_verified")),
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

# Whether addresses are verified depends on who runs the server, so the operator sets trust_emails.

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
