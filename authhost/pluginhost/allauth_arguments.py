"""What replaces the arguments that receivers of django-allauth's signals often have."""

from __future__ import annotations

from inspect import Parameter

EQUIVALENTS = {
    "sender": "there is no sender: remove it",
    "signal": "one function implements one hook: remove it",
    "sociallogin": "use request.sociallogin, which is None unless a provider was used",
    "socialaccount": "use request.sociallogin.account, or request.account(user_id).social_accounts",
    "account": "use request.sociallogin.account, or request.account(user_id).social_accounts",
    "token": "use request.sociallogin.token, or request.account(user_id).social_token(account)",
    "response": "use request.answer: set_cookie, delete_cookie, message and redirect",
    "user": "use request.account(user_id).user, with the user_id of the argument that the hook has",
    "email": "use the argument that the hook has, or request.account(user_id).email_addresses",
    "email_address": "use request.account(user.id).email_addresses",
    "session": "use request.session",
    "provider": "use request.provider",
    "password": "implement check_password, the only hook that gets a password",
    "instance": "authhost sends no signals of models: use the argument that the hook has",
    "created": "authhost sends no signals of models: user_signed_up is called for a new account only",
}
"""By the name of the argument: the remedy, for a hook that does not have the argument."""


def equivalent(parameter: Parameter) -> str | None:
    """Return what replaces a parameter that the contract does not have, or None if it is unknown."""
    if parameter.kind is parameter.VAR_KEYWORD:
        return "a hook is called with exactly the arguments that it names: remove it"
    if parameter.kind is parameter.VAR_POSITIONAL:
        return "name the arguments that you need"
    return EQUIVALENTS.get(parameter.name.strip("_"))
