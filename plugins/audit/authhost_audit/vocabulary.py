"""Each event's name in the vocabularies of others, and how long it is kept.

OWASP: https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
OCSF: https://schema.ocsf.io, classes 3001 Account Change, 3002 Authentication and 3004 Entity
Management, and 6003 API Activity for the trail's own records.
"""

from __future__ import annotations

from typing import NamedTuple

ACTIVITY, SECURITY, TRAIL = 0, 1, 2
"""Classes of keeping: daily doings, changes to accounts and refusals, records of the trail itself."""

AUTHENTICATION, ACCOUNT_CHANGE, API_ACTIVITY = 3002, 3001, 6003


class Meaning(NamedTuple):
    """One event in other words."""

    owasp: str
    ocsf_class: int
    ocsf_activity: int
    kind: int


VOCABULARY: dict[str, Meaning] = {
    "user_logged_in": Meaning("authn_login_success", AUTHENTICATION, 1, ACTIVITY),
    "user_logged_out": Meaning("session_logout", AUTHENTICATION, 2, ACTIVITY),
    "user_signed_up": Meaning("user_created", ACCOUNT_CHANGE, 1, SECURITY),
    "password_set": Meaning("authn_password_change", ACCOUNT_CHANGE, 3, SECURITY),
    "password_changed": Meaning("authn_password_change", ACCOUNT_CHANGE, 3, SECURITY),
    "password_reset": Meaning("authn_password_change", ACCOUNT_CHANGE, 4, SECURITY),
    "email_confirmed": Meaning("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "email_confirmation_sent": Meaning("authn_token_created", ACCOUNT_CHANGE, 99, ACTIVITY),
    "email_changed": Meaning("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "email_added": Meaning("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "email_removed": Meaning("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "pre_social_login": Meaning("authn_login_provider", AUTHENTICATION, 6, ACTIVITY),
    "social_account_added": Meaning("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "social_account_updated": Meaning("user_updated", ACCOUNT_CHANGE, 99, ACTIVITY),
    "social_account_removed": Meaning("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "account_ready": Meaning("user_updated", ACCOUNT_CHANGE, 2, ACTIVITY),
    "social_login_begun": Meaning("authn_login_provider", AUTHENTICATION, 99, ACTIVITY),
    "password_reset_requested": Meaning("authn_token_created", ACCOUNT_CHANGE, 99, SECURITY),
    "session_ended": Meaning("session_expired", AUTHENTICATION, 2, SECURITY),
    "user_deactivated": Meaning("user_archived", ACCOUNT_CHANGE, 5, SECURITY),
    "user_reauthenticated": Meaning("authn_login_success", AUTHENTICATION, 99, ACTIVITY),
    "audit_recording_on": Meaning("sys_monitor_enabled", API_ACTIVITY, 1, TRAIL),
    "audit_recording_off": Meaning("sys_monitor_disabled", API_ACTIVITY, 4, TRAIL),
    "audit_key_changed": Meaning("sys_key_changed", API_ACTIVITY, 3, TRAIL),
    "audit_sealed": Meaning("sys_log_sealed", API_ACTIVITY, 1, TRAIL),
    "audit_exported": Meaning("sys_log_exported", API_ACTIVITY, 2, TRAIL),
    "audit_pruned": Meaning("sys_log_deleted", API_ACTIVITY, 4, TRAIL),
    "audit_forgotten": Meaning("sys_log_redacted", API_ACTIVITY, 3, TRAIL),
}
REFUSED: dict[str, str] = {
    "invalid_credentials": "authn_login_fail",
    "account_inactive": "authn_login_fail",
    "provider_denied": "authn_login_fail",
    "provider_failed": "authn_login_fail",
    "invalid_id_token": "authn_login_fail",
    "rate_limited": "excess_rate_limit_exceeded",
    "invalid_key": "authn_token_reuse",
    "invalid_state": "authn_token_reuse",
    "weak_password": "authn_password_change_fail",
    "invalid_input": "input_validation_fail",
    "invalid_email": "input_validation_fail",
}
"""Refusals by code; any other is `authz_fail`."""
EVENTS = (*VOCABULARY, "flow_refused")
"""All events."""
REASONS = frozenset(
    {
        *REFUSED,
        "busy",
        "conflict",
        "delivery_failed",
        "email_already_added",
        "email_not_found",
        "email_not_verified",
        "email_taken",
        "last_login_method",
        "login_required",
        "password_already_set",
        "primary_email_required",
        "provider_not_found",
        "reauthentication_required",
        "session_not_found",
        "signup_closed",
        "social_account_not_found",
        "social_account_taken",
        "too_many_emails",
        "unavailable",
        "username_taken",
        "vetoed",
        # Why a session ended.
        "deactivated",
        "ended",
        "password_changed",
        "password_reset",
        "password_set",
        "recovered",
        "replaced",
    }
)
"""The codes of authhost's refusals, and why a session ended. Plugins may have others."""
HARMLESS = frozenset({"rate_limited", "busy", "invalid_input", "invalid_email", "weak_password"})
"""Refusals that anybody can cause in any number, and that got nowhere: they are kept as long as activity."""


def meaning(event: str, reason: str | None) -> Meaning:
    """An event, or a refusal, in other words."""
    if event == "flow_refused":
        kind = ACTIVITY if reason in HARMLESS else SECURITY
        return Meaning(REFUSED.get(reason or "", "authz_fail"), AUTHENTICATION, 1, kind)
    return VOCABULARY.get(event, Meaning(event, API_ACTIVITY, 99, SECURITY))
