"""The first leg: to the provider."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from authhost.account.flow import require_recent_login, social_flow
from authhost.errors import InvalidInput
from authhost.providers.app import App
from authhost.providers.authorize_params import (
    HOSTED_DOMAIN,
    MAX_VALUE_LENGTH,
    required_hosted_domain,
    validate_params,
)
from authhost.records import SocialRedirect
from authhost.request import Request
from authhost.security.inputs import text
from authhost.security.keys import new_key
from authhost.settings import Settings
from authhost.socialaccount import steps

PROCESSES = ("login", "connect", "redirect")
NEXT_LENGTH = 2048


@social_flow
def begin(
    request: Request,
    provider: str,
    *,
    process: str = "login",
    next: str | None = None,
    prompt: str | None = None,
    login_hint: str | None = None,
    hd: str | None = None,
    authorize_params: Mapping[str, str] | None = None,
) -> SocialRedirect:
    """Prepare the redirect to a provider. A page does this by POST alone (RFC 9700, section 4.7.1).

    ``process`` is ``login`` (or signup), ``connect`` (to the logged-in user) or
    ``redirect`` (only prove who it is). ``next`` is where the person goes in
    the end: a path, or an address of ``base_url`` or ``allowed_next_hosts``.

    ``prompt`` (such as ``select_account``) and ``login_hint`` (an address or a
    subject) go to the provider as they are (OpenID Connect Core 1.0, section
    3.1.2.1), and so do ``authorize_params``, over those of the settings. None of
    them can replace what binds the answer to this browser, such as ``state``.
    ``hd`` is the domain of an organisation at Google, or ``*`` for any:
    `complete` raises `InvalidIdToken` where the ID token does not name it.

    Raises `ProviderNotFound`, `InvalidInput`, `RateLimited`, `ProviderFailed`,
    and for ``connect`` `LoginRequired`, `ReauthenticationRequired`;
    ``RuntimeError`` where the unit has written something before.
    """
    request.require_clean("socialaccount.begin")
    services = request.services
    app = services.providers.app(provider)
    request.provider = app.id
    if process not in PROCESSES:
        raise InvalidInput(f"process must be one of {', '.join(PROCESSES)}.", field="process")
    target = None if next is None else validate_next(request.settings, next)
    given = {"prompt": prompt, "login_hint": login_hint, HOSTED_DOMAIN: hd}
    params, domain = _params(app, authorize_params, given)
    services.limits.hit(request, "social")
    session_id = None
    if process == "connect":
        _, session = require_recent_login(request)
        session_id = str(session.id)
    begun = services.providers.client(app).begin(callback_of(request, app.id), new_key(), params, domain)
    state_token = steps.store(
        request,
        "redirect",
        {
            "provider": app.id,
            "process": process,
            "session": session_id,
            "next": target,
            "state": begun.state,
            "secrets": begun.secrets,
        },
    )
    services.hooks.social_login_begun(request, app.id, process)
    return SocialRedirect(begun.url, state_token, steps.cookie_of(begun.state))


def _params(
    app: App, params: Mapping[str, str] | None, given: Mapping[str, str | None]
) -> tuple[dict[str, str], str | None]:
    """What is added to the authorization request, and the hosted domain; raises `InvalidInput`."""
    for name, value in given.items():
        if value is not None:
            text(value, name, MAX_VALUE_LENGTH)
    try:
        found = validate_params(app, {} if params is None else params)
        found |= validate_params(app, {name: value for name, value in given.items() if value is not None})
        return found, required_hosted_domain(app, found.pop(HOSTED_DOMAIN, None) or None)
    except ValueError as error:
        raise InvalidInput(f"authorize_params: {error}.", field="authorize_params") from None


def callback_of(request: Request, provider: str) -> str:
    """The redirect URI: one of its own for each provider (RFC 9700, section 4.4.2.2)."""
    return request.build_url("social_callback", provider=provider)


def validate_next(settings: Settings, target: object) -> str:
    """``target`` if it is a page of this site; raises `InvalidInput` (ASVS 5.0, 3.7.2)."""
    found = text(target, "next", NEXT_LENGTH)
    try:
        parts = urlsplit(found)
        host = parts.netloc
    except ValueError as error:
        raise InvalidInput("next is no address.", field="next") from error
    # A browser reads a backslash as a slash, and two slashes as the start of a host.
    local = found.startswith("/") and not found.startswith("//") and not parts.scheme and not host
    site = urlsplit(settings.base_url)
    known = parts.scheme in ("https", site.scheme) and host in (site.netloc, *settings.allowed_next_hosts)
    if "\\" in found or not (local or known):
        raise InvalidInput("next must be a page of this site.", field="next")
    return found
