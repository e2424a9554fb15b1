"""The routes: pages below ``/mfa``, endpoints below ``/api/mfa``."""

from __future__ import annotations

from authhost_hookspecs import ApiRoute, PageRoute

from authhost_mfa import api
from authhost_mfa.fields import (
    AUTHENTICATOR_ID,
    BROWSER_ID,
    CODE,
    NEW_CODE,
    RECOVERY_CODE,
    SETUP,
    TRUST,
)
from authhost_mfa.pages import overview, totp, verify
from authhost_mfa.steps import ENROL, ENROL_PATH, SECOND_FACTOR, VERIFY_PATH

NEW_APP = (SETUP, NEW_CODE)
ANSWER = (CODE, RECOVERY_CODE)


def routes() -> list[PageRoute | ApiRoute]:
    """Return all routes."""
    return [*_pages(), *_endpoints()]


def _pages() -> list[PageRoute]:
    verified, apps = (*ANSWER, TRUST), (AUTHENTICATOR_ID,)
    return [
        PageRoute(VERIFY_PATH, verify.show_verify, verify.verify, verified, step=SECOND_FACTOR),
        PageRoute(ENROL_PATH, totp.show_enrol, totp.enrol, NEW_APP, step=ENROL),
        PageRoute(verify.REAUTHENTICATE_PATH, verify.show_reauthenticate, verify.confirm, ANSWER),
        PageRoute(totp.OVERVIEW_PATH, overview.show_overview, overview.remove, apps, recent_login=True),
        PageRoute(totp.TOTP_PATH, totp.show_totp, totp.add, NEW_APP, recent_login=True),
        PageRoute(overview.CODES_PATH, overview.show_codes, overview.replace_codes, recent_login=True),
        PageRoute(
            overview.BROWSERS_PATH,
            overview.show_browsers,
            overview.revoke_browser,
            (BROWSER_ID,),
            recent_login=True,
        ),
    ]


def _endpoints() -> list[ApiRoute]:
    return [
        ApiRoute(
            "POST",
            VERIFY_PATH,
            api.verify,
            "Complete a login with a code of an app, or with a recovery code.",
            (*ANSWER, TRUST),
            step=SECOND_FACTOR,
        ),
        ApiRoute(
            "GET",
            ENROL_PATH,
            api.begin_enrolment,
            "Return a new secret for an authenticator app, for a login that must enrol one.",
            step=ENROL,
            response=api.SETUP,
        ),
        ApiRoute(
            "POST",
            ENROL_PATH,
            api.enrol,
            "Complete a login by adding an authenticator app. The recovery codes are shown once.",
            NEW_APP,
            step=ENROL,
            response=api.CODES,
        ),
        ApiRoute(
            "POST",
            verify.REAUTHENTICATE_PATH,
            api.reauthenticate,
            "Confirm with a code that it is the user.",
            ANSWER,
        ),
        ApiRoute("GET", totp.OVERVIEW_PATH, api.listed, "List the authenticators.", response=api.LIST),
        ApiRoute(
            "POST",
            f"{totp.OVERVIEW_PATH}/remove",
            api.remove,
            "Remove an authenticator.",
            (AUTHENTICATOR_ID,),
            recent_login=True,
        ),
        ApiRoute(
            "GET",
            totp.TOTP_PATH,
            api.begin,
            "Return a new secret for an authenticator app.",
            recent_login=True,
            response=api.SETUP,
        ),
        ApiRoute(
            "POST",
            totp.TOTP_PATH,
            api.add,
            "Add an authenticator app. The first one brings recovery codes, which are shown once.",
            NEW_APP,
            recent_login=True,
            response=api.CODES,
        ),
        ApiRoute(
            "POST",
            overview.CODES_PATH,
            api.replace_codes,
            "Replace the recovery codes. The new ones are shown once.",
            recent_login=True,
            response=api.CODES,
        ),
        ApiRoute(
            "GET",
            overview.BROWSERS_PATH,
            api.browsers,
            "List the trusted browsers.",
            response=api.BROWSERS,
        ),
        ApiRoute(
            "POST",
            f"{overview.BROWSERS_PATH}/revoke",
            api.revoke_browsers,
            "End the trust in one browser, or in all of them.",
            (BROWSER_ID,),
            recent_login=True,
        ),
    ]
