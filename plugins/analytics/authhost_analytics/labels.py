"""What readers of the HTML report see instead of the names of hooks, flows, methods and outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from authhost_analytics.languages import N_

EVENTS = {
    "user_signed_up": N_("New accounts"),
    "user_logged_in": N_("Logins"),
    "user_logged_out": N_("Logouts"),
    "account_ready": N_("Accounts ready for use"),
    "email_confirmation_sent": N_("Confirmation messages sent"),
    "email_confirmed": N_("Addresses confirmed"),
    "email_added": N_("Addresses added"),
    "email_changed": N_("Main addresses changed"),
    "email_removed": N_("Addresses removed"),
    "password_set": N_("First passwords set"),
    "password_changed": N_("Passwords changed"),
    "password_reset": N_("Forgotten passwords replaced"),
    "social_login_begun": N_("Sent to a login provider"),
    "pre_social_login": N_("Returned from a login provider"),
    "social_account_added": N_("Provider accounts connected"),
    "social_account_updated": N_("Provider accounts refreshed"),
    "social_account_removed": N_("Provider accounts disconnected"),
    "flow_refused": N_("Refused attempts"),
    "authenticator_added": N_("Second factors added"),
    "authenticator_removed": N_("Second factors removed"),
    "authenticator_changed": N_("Second factors changed"),
    "authenticator_reset": N_("Second factors replaced"),
    "authenticator_used": N_("Second factors used"),
    "authentication_failed": N_("Wrong second factors"),
    "authentication_refused": N_("Second factors refused"),
    "second_factors_recovered": N_("Second factors recovered"),
}
FLOWS = {
    "login": N_("Log in with a password"),
    "signup": N_("Create an account"),
    "confirm_email": N_("Confirm an address"),
    "change_password": N_("Change the password"),
    "set_password": N_("Set a first password"),
    "reset_password": N_("Choose a new password"),
    "request_password_reset": N_("Ask for a new password"),
    "add_email": N_("Add an address"),
    "remove_email": N_("Remove an address"),
    "make_primary": N_("Change the main address"),
    "social_begin": N_("Go to a login provider"),
    "social_complete": N_("Log in through a provider"),
    "social_disconnect": N_("Disconnect a provider"),
    "reauthenticate": N_("Confirm one's identity"),
    "connect": N_("Connect a provider"),
}
METHODS = {
    "password": N_("Password"),
    "socialaccount": N_("Login provider"),
    "email_confirmation": N_("Link in a message"),
    "mfa": N_("Second factor"),
    "totp": N_("Authenticator app"),
    "recovery_codes": N_("Recovery code"),
    "webauthn": N_("Passkey or security key"),
}
OUTCOMES = {
    "success": N_("Succeeded"),
    "invalid_credentials": N_("Wrong password"),
    "rate_limited": N_("Too many attempts"),
    "weak_password": N_("Password too weak"),
    "invalid_key": N_("Link expired or used"),
    "vetoed": N_("Refused by a rule of the site"),
    "provider_denied": N_("Cancelled at the provider"),
    "email_not_verified": N_("Address not confirmed"),
    "account_inactive": N_("Account closed"),
    "wrong_code": N_("Wrong code"),
}
STEPS = {
    "signed_up": N_("Created an account"),
    "sent": N_("Confirmation sent"),
    "confirmed": N_("Confirmed the address"),
    "logged_in": N_("Logged in"),
    "begun": N_("Went to the provider"),
    "came_back": N_("Came back"),
    "new": N_("New here"),
}
VALUES: dict[str, Mapping[str, str]] = {
    "event": EVENTS,
    "flow": FLOWS,
    "method": METHODS,
    "outcome": OUTCOMES,
    "provider": {},
}
DIMENSIONS = {
    "event": N_("What happened"),
    "flow": N_("Action"),
    "outcome": N_("Result"),
    "provider": N_("Login provider"),
    "method": N_("Method"),
}


def label(dimension: str, value: str, gettext: Callable[[str], str]) -> str:
    """Return the plain name of a value. The name of a provider, or of another plugin, stays as it is."""
    known = VALUES[dimension].get(value)
    return gettext(known) if known else value or "–"
