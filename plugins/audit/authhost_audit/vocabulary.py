"""The classification of each event: its name in other vocabularies, and its retention class.

OWASP: https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
OCSF: https://schema.ocsf.io, classes 3001 Account Change, 3002 Authentication and 3004 Entity
Management, and 6003 API Activity for events of the trail itself.
"""

from __future__ import annotations

from typing import NamedTuple

ACTIVITY, SECURITY, TRAIL = 0, 1, 2
"""Retention classes: everyday activity; changes to accounts, and refusals; events of the trail itself."""

AUTHENTICATION, ACCOUNT_CHANGE, API_ACTIVITY = 3002, 3001, 6003
MFA_ENABLE, MFA_DISABLE = 10, 11
"""Activities of the class Account Change."""


class Classification(NamedTuple):
    """How an event is classified. ``kind`` is its retention class: `ACTIVITY`, `SECURITY` or `TRAIL`."""

    owasp: str
    ocsf_class: int
    ocsf_activity: int
    kind: int


VOCABULARY: dict[str, Classification] = {
    "user_logged_in": Classification("authn_login_success", AUTHENTICATION, 1, ACTIVITY),
    "login_pending": Classification("authn_login_success", AUTHENTICATION, 99, SECURITY),
    "user_logged_out": Classification("session_logout", AUTHENTICATION, 2, ACTIVITY),
    "user_signed_up": Classification("user_created", ACCOUNT_CHANGE, 1, SECURITY),
    "password_set": Classification("authn_password_change", ACCOUNT_CHANGE, 3, SECURITY),
    "password_changed": Classification("authn_password_change", ACCOUNT_CHANGE, 3, SECURITY),
    "password_reset": Classification("authn_password_change", ACCOUNT_CHANGE, 4, SECURITY),
    "email_confirmed": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "email_confirmation_sent": Classification("authn_token_created", ACCOUNT_CHANGE, 99, ACTIVITY),
    "email_changed": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "email_added": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "email_removed": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "pre_social_login": Classification("authn_login_provider", AUTHENTICATION, 6, ACTIVITY),
    "social_account_added": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "social_account_updated": Classification("user_updated", ACCOUNT_CHANGE, 99, ACTIVITY),
    "social_account_removed": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "account_ready": Classification("user_updated", ACCOUNT_CHANGE, 2, ACTIVITY),
    "social_login_begun": Classification("authn_login_provider", AUTHENTICATION, 99, ACTIVITY),
    "password_reset_requested": Classification("authn_token_created", ACCOUNT_CHANGE, 99, SECURITY),
    "impersonation_started": Classification("authz_admin", AUTHENTICATION, 99, SECURITY),
    "impersonation_ended": Classification("authz_admin", AUTHENTICATION, 2, SECURITY),
    "session_ended": Classification("session_expired", AUTHENTICATION, 2, SECURITY),
    "password_removed": Classification("authn_password_change", ACCOUNT_CHANGE, 99, SECURITY),
    "account_recovered": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "user_deactivated": Classification("user_archived", ACCOUNT_CHANGE, 5, SECURITY),
    "password_reset_required": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "user_reactivated": Classification("user_updated", ACCOUNT_CHANGE, 2, SECURITY),
    "user_deleted": Classification("user_deleted", ACCOUNT_CHANGE, 6, SECURITY),
    "user_reauthenticated": Classification("authn_login_success", AUTHENTICATION, 99, ACTIVITY),
    "plugin_blocked": Classification("sys_monitor_disabled", API_ACTIVITY, 3, SECURITY),
    "plugin_unblocked": Classification("sys_monitor_enabled", API_ACTIVITY, 3, SECURITY),
    "email_delivery_failed": Classification("sys_mail_failed", API_ACTIVITY, 99, SECURITY),
    "authenticator_added": Classification("user_updated", ACCOUNT_CHANGE, MFA_ENABLE, SECURITY),
    "authenticator_removed": Classification("user_updated", ACCOUNT_CHANGE, MFA_DISABLE, SECURITY),
    "authenticator_changed": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "authenticator_reset": Classification("user_updated", ACCOUNT_CHANGE, 99, SECURITY),
    "authenticator_used": Classification("authn_login_success", AUTHENTICATION, 99, ACTIVITY),
    "authentication_failed": Classification("authn_login_fail", AUTHENTICATION, 99, SECURITY),
    "authentication_refused": Classification("authn_login_fail_max", AUTHENTICATION, 99, SECURITY),
    "second_factors_recovered": Classification("authn_login_success", AUTHENTICATION, 99, SECURITY),
    "factors_removed": Classification("user_updated", ACCOUNT_CHANGE, MFA_DISABLE, SECURITY),
    "audit_recording_on": Classification("sys_monitor_enabled", API_ACTIVITY, 1, TRAIL),
    "audit_recording_off": Classification("sys_monitor_disabled", API_ACTIVITY, 4, TRAIL),
    "audit_key_changed": Classification("sys_key_changed", API_ACTIVITY, 3, TRAIL),
    "audit_sealed": Classification("sys_log_sealed", API_ACTIVITY, 1, TRAIL),
    "audit_exported": Classification("sys_log_exported", API_ACTIVITY, 2, TRAIL),
    "audit_pruned": Classification("sys_log_deleted", API_ACTIVITY, 4, TRAIL),
    "audit_forgotten": Classification("sys_log_redacted", API_ACTIVITY, 3, TRAIL),
}
REFUSAL_EVENTS: dict[str, str] = {
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
"""OWASP events of refusals by error code. All other refusals are ``authz_fail``."""
TOP_COLUMNS = {"user": "user_id", "ip": "ip_address", "identifier": "identifier", "reason": "reason"}
"""What ``authhost audit top`` can count by, and its column."""
EVENTS = (*VOCABULARY, "flow_refused")
"""All events that a record can have."""
REASONS = frozenset(
    {
        *REFUSAL_EVENTS,
        "busy",
        "conflict",
        "delivery_failed",
        "email_already_added",
        "email_not_found",
        "email_not_verified",
        "email_taken",
        "export_failed",
        "factors_not_removed",
        "impersonated",
        "impersonation_refused",
        "last_login_method",
        "login_required",
        "login_unavailable",
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
        "user_not_found",
        "ambiguous_user",
        "password_reset_required",
        "username_taken",
        "vetoed",
        # The reasons why a message was not delivered.
        "attempts_exhausted",
        "cannot_compose",
        "cannot_decrypt",
        "interrupted",
        "rejected",
        # The reasons why a session ended.
        "administrator",
        "deactivated",
        "deleted",
        "ended",
        "password_changed",
        "password_removed",
        "password_reset",
        "password_set",
        "recovered",
        "replaced",
        "revoked",
        "reset_required",
        "stopped",
    }
)
"""The error codes of authhost's refusals, and the reasons of other events. Plugins may add others."""
SHORT_RETENTION_REASONS = frozenset(
    {"rate_limited", "busy", "invalid_input", "invalid_email", "weak_password"}
)
"""Refusals that anybody can cause in any number, without any effect. They are kept as long as activity."""


def classify(event: str, reason: str | None) -> Classification:
    """Return the classification of an event. ``reason`` matters for refusals only."""
    if event == "flow_refused":
        kind = ACTIVITY if reason in SHORT_RETENTION_REASONS else SECURITY
        return Classification(REFUSAL_EVENTS.get(reason or "", "authz_fail"), AUTHENTICATION, 1, kind)
    return VOCABULARY.get(event, Classification(event, API_ACTIVITY, 99, SECURITY))


# Old names, which are removed in version 0.3.
Meaning = Classification
meaning = classify
