"""Begin a social login: the redirect to the provider."""

from __future__ import annotations

from collections.abc import Mapping

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
from authhost.security.redirects import validate_next
from authhost.socialaccount import pending

PROCESSES = ("login", "connect", "redirect")


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
    """Prepare the redirect to a provider. Call this for POST requests only (RFC 9700, section 4.7.1).

    ``process`` is ``login`` (login or signup), ``connect`` (connect the account to
    the logged-in user) or ``redirect`` (only authenticate). ``next`` is the page
    after the login: a path, or a URL on ``base_url`` or ``allowed_next_hosts``.

    ``prompt`` (such as ``select_account``), ``login_hint`` (an e-mail address or a
    subject) and ``authorize_params`` are sent to the provider unchanged (OpenID
    Connect Core 1.0, section 3.1.2.1). ``authorize_params`` replace those of the
    settings. None of them can replace a parameter of the protocol, such as ``state``.
    ``hd`` is the domain of an organisation at Google, or ``*`` for any:
    `complete` raises `InvalidIdToken` if the ID token does not name it.

    Raises `ProviderNotFound`, `InvalidInput`, `RateLimited` and `ProviderFailed`,
    and for ``connect`` also `LoginRequired` and `ReauthenticationRequired`.
    Raises ``RuntimeError`` if the unit of work has already written something.
    """
    request.require_clean("socialaccount.begin")
    services = request.services
    app = services.providers.app(provider)
    request.provider = app.id
    if process not in PROCESSES:
        raise InvalidInput(f"process must be one of {', '.join(PROCESSES)}.", field="process")
    next_url = None if next is None else validate_next(request.settings, next)
    arguments = {"prompt": prompt, "login_hint": login_hint, HOSTED_DOMAIN: hd}
    params, domain = _authorization_params(app, authorize_params, arguments)
    services.limits.hit(request, "social")
    session_id = None
    if process == "connect":
        _, session = require_recent_login(request)
        session_id = str(session.id)
    authorization = services.providers.client(app).begin(
        callback_url(request, app.id), new_key(), params, domain
    )
    state_token = pending.save(
        request,
        "redirect",
        {
            "provider": app.id,
            "process": process,
            "session": session_id,
            "next": next_url,
            "state": authorization.state,
            "secrets": authorization.secrets,
            "given": dict(request.given),
        },
    )
    services.hooks.social_login_begun(request, app.id, process)
    return SocialRedirect(authorization.url, state_token, pending.cookie_name_for_state(authorization.state))


def _authorization_params(
    app: App, params: Mapping[str, str] | None, arguments: Mapping[str, str | None]
) -> tuple[dict[str, str], str | None]:
    """Return the parameters to add and the required hosted domain; raises `InvalidInput`.

    ``arguments`` are the arguments of `begin` that are parameters of their own.
    """
    for name, value in arguments.items():
        if value is not None:
            text(value, name, MAX_VALUE_LENGTH)
    try:
        found = validate_params(app, {} if params is None else params)
        found |= validate_params(app, {name: value for name, value in arguments.items() if value is not None})
        return found, required_hosted_domain(app, found.pop(HOSTED_DOMAIN, None) or None)
    except ValueError as error:
        raise InvalidInput(f"authorize_params: {error}.", field="authorize_params") from None


def callback_url(request: Request, provider: str) -> str:
    """Return the redirect URI. Each provider has its own (RFC 9700, section 4.4.2.2)."""
    return request.build_url("social_callback", provider=provider)
