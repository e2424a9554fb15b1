"""What each hook of the tour means, in a few words. The page "Hooks" has the whole reference."""

from __future__ import annotations

EXPLANATIONS = {
    "account_ready": "the account can be used now",
    "deliver_message": "a plugin delivers an e-mail, after the commit",
    "email_added": "the account has one more address",
    "email_changed": "another address is the primary one",
    "email_confirmation_sent": "a link to confirm an address was sent",
    "email_confirmed": "the owner of the mailbox has confirmed it",
    "flow_refused": "a flow ended without success; plugins record it",
    "password_changed": "the user has changed the password",
    "password_reset": "the link of an e-mail has set a new password",
    "password_set": "an account without a password has its first one",
    "pre_social_login": "somebody came back; a plugin may stop the login",
    "social_account_added": "an account at a provider was connected",
    "social_account_removed": "an account at a provider was disconnected",
    "social_account_updated": "the provider has sent a new profile",
    "social_login_begun": "the browser goes to a provider",
    "user_logged_in": "there is a new session",
    "user_logged_out": "the session ends",
    "user_signed_up": "there is a new account",
}
