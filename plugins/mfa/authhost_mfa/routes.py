"""The routes: pages below ``/mfa``, endpoints below ``/api/mfa``."""

from __future__ import annotations

from dataclasses import replace

from authhost_hookspecs import ApiRoute, PageRoute

from authhost_mfa import api, fields, passkey_login, reauthentication, steps
from authhost_mfa.access import REAUTHENTICATE_PATH
from authhost_mfa.pages import (
    enrol,
    keys,
    lost,
    overview,
    passkey,
    recovery_codes,
    signup,
    totp,
    trusted_browsers,
    verify,
)
from authhost_mfa.pages.links import OVERVIEW_PATH
from authhost_mfa.steps import ENROL, ENROL_PATH, SECOND_FACTOR, VERIFY_PATH

NEW_APP = (fields.SETUP, fields.NEW_CODE, fields.REPLACES)
ANSWER = (fields.CODE, fields.RECOVERY_CODE, fields.KEY)
VERIFICATION = (*ANSWER, fields.TRUST)
ENROLMENT = (fields.SETUP, fields.CODE, fields.KEY_NAME, fields.NEW_KEY)
NEW_KEY = (fields.KEY_NAME, fields.SECOND_FACTOR, replace(fields.NEW_KEY, required=True))
KEY_AND_NAME = (fields.AUTHENTICATOR_ID, fields.KEY_NAME)
KEY_AND_CHOICE = (fields.AUTHENTICATOR_ID, fields.SECOND_FACTOR)
AUTHENTICATOR = (fields.AUTHENTICATOR_ID,)
BROWSER = (fields.BROWSER_ID,)
MAILBOX_CODES = (fields.FIRST_CODE, fields.SECOND_CODE)
PASSKEY = (replace(fields.KEY, required=True),)
APPLICANT = (fields.EMAIL, fields.USERNAME)
NEW_ACCOUNT = (*APPLICANT, fields.SETUP, fields.NEW_KEY)


def routes() -> list[PageRoute | ApiRoute]:
    """Return all routes."""
    return [*_pages(), *_endpoints()]


def _pages() -> list[PageRoute]:
    return [
        PageRoute(VERIFY_PATH, verify.show_verify, steps.verify, VERIFICATION, step=SECOND_FACTOR),
        PageRoute(lost.LOST_PATH, lost.show_lost, lost.send, step=SECOND_FACTOR),
        PageRoute(lost.LOST_CODES_PATH, lost.show_codes, lost.confirm, MAILBOX_CODES, step=SECOND_FACTOR),
        PageRoute(ENROL_PATH, enrol.show_enrol, enrol.enrol, ENROLMENT, step=ENROL),
        PageRoute(passkey.PASSKEY_PATH, passkey.show_passkey, passkey_login.log_in, PASSKEY, login=False),
        PageRoute(signup.SIGNUP_PATH, signup.show_signup, signup.sign_up, NEW_ACCOUNT, login=False),
        PageRoute(REAUTHENTICATE_PATH, verify.show_reauthenticate, reauthentication.confirm, ANSWER),
        PageRoute(OVERVIEW_PATH, overview.show_overview, overview.remove, AUTHENTICATOR, recent_login=True),
        PageRoute(totp.TOTP_PATH, totp.show_totp, totp.add, NEW_APP, recent_login=True),
        PageRoute(keys.KEYS_PATH, keys.show_keys, keys.add, NEW_KEY, recent_login=True),
        PageRoute(keys.RENAME_PATH, keys.show_keys, keys.rename, KEY_AND_NAME, recent_login=True),
        PageRoute(
            keys.SECOND_FACTOR_PATH, keys.show_keys, keys.set_second_factor, KEY_AND_CHOICE, recent_login=True
        ),
        PageRoute(
            recovery_codes.CODES_PATH,
            recovery_codes.show_codes,
            recovery_codes.replace_codes,
            recent_login=True,
        ),
        PageRoute(
            trusted_browsers.BROWSERS_PATH,
            trusted_browsers.show_browsers,
            trusted_browsers.revoke_browser,
            BROWSER,
            recent_login=True,
        ),
    ]


def _endpoints() -> list[ApiRoute]:
    return [*_login_endpoints(), *_app_endpoints(), *_key_endpoints(), *_other_endpoints()]


def _login_endpoints() -> list[ApiRoute]:
    return [
        ApiRoute(
            "GET",
            VERIFY_PATH,
            api.begin_verification,
            "Return the options for a passkey or security key, for a login that waits for a second factor.",
            step=SECOND_FACTOR,
            response=api.OPTIONS,
        ),
        ApiRoute(
            "POST",
            VERIFY_PATH,
            steps.verify,
            "Complete a login with a code of an app, a recovery code, or a passkey or security key.",
            VERIFICATION,
            step=SECOND_FACTOR,
        ),
        ApiRoute(
            "POST",
            lost.LOST_PATH,
            api.send_mailbox_codes,
            "Send codes to two addresses of somebody who has lost all methods.",
            step=SECOND_FACTOR,
        ),
        ApiRoute(
            "POST",
            lost.LOST_CODES_PATH,
            steps.verify_mailbox_codes,
            "Complete a login with the codes of two mailboxes.",
            MAILBOX_CODES,
            step=SECOND_FACTOR,
        ),
        ApiRoute(
            "GET",
            ENROL_PATH,
            api.begin_enrolment,
            "Return a new secret for an app, and options for a key, for a login that must enrol one.",
            step=ENROL,
            response=api.ENROLMENT,
        ),
        ApiRoute(
            "POST",
            ENROL_PATH,
            api.enrol,
            "Complete a login by adding an app or a key. The recovery codes are shown once.",
            ENROLMENT,
            step=ENROL,
            response=api.CODES,
        ),
        ApiRoute(
            "GET",
            passkey.PASSKEY_PATH,
            api.begin_passkey_login,
            "Return the options for a login by a passkey.",
            login=False,
            response=api.OPTIONS,
        ),
        ApiRoute(
            "POST",
            passkey.PASSKEY_PATH,
            passkey_login.log_in,
            "Log in by a passkey, without a username and a password.",
            PASSKEY,
            login=False,
        ),
        ApiRoute(
            "POST",
            signup.OPTIONS_PATH,
            api.begin_signup,
            "Return the options for the passkey of a new account, and what to return with it.",
            APPLICANT,
            login=False,
            response=api.NEW_ACCOUNT,
        ),
        ApiRoute(
            "POST",
            signup.SIGNUP_PATH,
            api.sign_up,
            "Create an account with a passkey, without a password.",
            (*APPLICANT, replace(fields.SETUP, required=True), replace(fields.NEW_KEY, required=True)),
            login=False,
            response=api.CODES,
        ),
        ApiRoute(
            "GET",
            REAUTHENTICATE_PATH,
            api.begin_reauthentication,
            "Return the options for a passkey or security key of the user.",
            response=api.OPTIONS,
        ),
        ApiRoute(
            "POST",
            REAUTHENTICATE_PATH,
            reauthentication.confirm,
            "Confirm with a second factor that it is the user.",
            ANSWER,
        ),
    ]


def _app_endpoints() -> list[ApiRoute]:
    return [
        ApiRoute(
            "GET",
            totp.TOTP_PATH,
            api.begin_app,
            "Return a new secret for an authenticator app.",
            recent_login=True,
            response=api.SETUP,
        ),
        ApiRoute(
            "POST",
            totp.TOTP_PATH,
            api.add_app,
            "Add or replace an authenticator app. The first one brings recovery codes, which are shown once.",
            NEW_APP,
            recent_login=True,
            response=api.CODES,
        ),
    ]


def _key_endpoints() -> list[ApiRoute]:
    return [
        ApiRoute(
            "GET",
            keys.KEYS_PATH,
            api.begin_key,
            "Return the options for a new passkey or security key.",
            recent_login=True,
            response=api.OPTIONS,
        ),
        ApiRoute(
            "POST",
            keys.KEYS_PATH,
            api.add_key,
            "Add a passkey or security key. The first second factor brings recovery codes.",
            NEW_KEY,
            recent_login=True,
            response=api.CODES,
        ),
        ApiRoute(
            "POST",
            keys.RENAME_PATH,
            api.rename_key,
            "Rename a passkey or security key.",
            KEY_AND_NAME,
            recent_login=True,
        ),
        ApiRoute(
            "POST",
            keys.SECOND_FACTOR_PATH,
            api.set_second_factor,
            "Let each login ask for a passkey or security key, or not.",
            KEY_AND_CHOICE,
            recent_login=True,
            response=api.CODES,
        ),
    ]


def _other_endpoints() -> list[ApiRoute]:
    return [
        ApiRoute(
            "GET", OVERVIEW_PATH, api.list_authenticators, "List the authenticators.", response=api.LIST
        ),
        ApiRoute(
            "POST",
            f"{OVERVIEW_PATH}/remove",
            api.remove,
            "Remove an authenticator.",
            AUTHENTICATOR,
            recent_login=True,
        ),
        ApiRoute(
            "POST",
            recovery_codes.CODES_PATH,
            api.replace_codes,
            "Replace the recovery codes. The new ones are shown once.",
            recent_login=True,
            response=api.CODES,
        ),
        ApiRoute(
            "GET",
            trusted_browsers.BROWSERS_PATH,
            api.list_browsers,
            "List the trusted browsers.",
            response=api.BROWSERS,
        ),
        ApiRoute(
            "POST",
            f"{trusted_browsers.BROWSERS_PATH}/revoke",
            api.revoke_browsers,
            "End the trust in one browser, or in all of them.",
            BROWSER,
            recent_login=True,
        ),
    ]
