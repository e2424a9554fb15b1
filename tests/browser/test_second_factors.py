"""Second factors and logins by a passkey in Chromium, with a virtual authenticator.

Chromium asks a virtual authenticator without user verification for no passkey: see tests/mfa for those.
"""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("authhost_mfa", reason="SKIPPED: run `pip install authhost-mfa`")

from authhost.testing import PASSWORD, TotpApp
from browser.conftest import heading, path, violations
from browser.passkeys import Authenticator
from browser.servers import open_site
from browser.test_accessibility import PHONE

ANN = "ann@example.org"
STICK = {"transport": "usb", "hasResidentKey": False, "hasUserVerification": False, "isUserVerified": False}
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false;"
KEYS, OVERVIEW, VERIFY = "/account/mfa/keys", "/account/mfa/authenticators", "/account/mfa/verify"
ADD, USE, LOG_IN = "Add a passkey or security key", "Use a passkey or security key", "Log in with a passkey"
NEW_PASSWORD = "seven quiet lanterns drift by"
WORK = "ann@work.example.org"
MAILBOX_CODE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b")
RECOVERY_CODE = re.compile(r"\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){5}\b")


@pytest.fixture
def site(tmp_path):
    settings = {"mfa": {"recovery_by_email": True}}
    with open_site(tmp_path, "localhost", installed=("mfa",), plugin_settings=settings) as site:
        yield site


@pytest.fixture
def page(open_page):
    """A page without passkeys in the autofill: the virtual authenticator would choose one at once."""
    page = open_page()
    page.add_init_script(NO_AUTOFILL)
    return page


def press(page, name):
    with page.expect_navigation():
        page.locator("main").get_by_role("button", name=name, exact=True).click()


def sign_up(site, page):
    page.goto("/account/signup")
    page.get_by_label("E-mail address").fill(ANN)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create account")
    page.goto(site.link(ANN, "confirm-email"))
    press(page, "Confirm my address")


def log_out(page):
    page.goto("/account/logout")
    press(page, "Log out")


def log_in(page, password=PASSWORD):
    page.goto("/account/login")
    page.get_by_label("E-mail address or username").fill(ANN)
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Log in")


def add_key(page, name, *, asked=False):
    """Add a key; return the recovery codes."""
    page.goto(KEYS)
    form = page.locator("main form", has=page.get_by_role("button", name=ADD, exact=True))
    form.get_by_label("Name").fill(name)
    form.get_by_label("Ask for it at every login").set_checked(asked)
    press(page, ADD)
    return RECOVERY_CODE.findall(page.inner_text("main"))


def is_logged_in(page):
    page.goto("/me")
    return path(page) == "/me"


def test_a_passkey_for_comfort(site, page):
    sign_up(site, page)
    authenticator = Authenticator(page)
    assert add_key(page, "Laptop") == []
    assert "The passkey or security key was added." in page.inner_text("main")
    assert len(authenticator.credentials()) == 1

    # It logs in with its button, and leads to the wanted page.
    log_out(page)
    page.goto("/account/emails")
    assert path(page) == "/account/login"
    press(page, LOG_IN)
    assert path(page) == "/account/emails"

    # The password alone still does.
    log_out(page)
    log_in(page)
    assert is_logged_in(page)

    # The same device cannot be added twice.
    page.goto(KEYS)
    page.get_by_role("button", name=ADD, exact=True).click()
    page.get_by_text("This device or security key is registered already.").wait_for()

    # After the removal it is unknown.
    page.goto(OVERVIEW)
    page.get_by_role("link", name="Manage").first.click()
    press(page, "Remove: Laptop")
    log_out(page)
    press(page, LOG_IN)
    page.get_by_text("This passkey or security key is not registered here.").wait_for()
    assert not is_logged_in(page)


def test_a_signup_with_a_passkey(site, page, open_page):
    authenticator = Authenticator(page)
    page.goto("/account/signup")
    page.get_by_role("link", name="Sign up with a passkey").click()
    page.get_by_label("E-mail address").fill(ANN)
    press(page, "Continue")
    press(page, "Create a passkey")
    assert path(page) == "/account/confirm-email"
    (credential,) = authenticator.credentials()
    assert credential["isResidentCredential"]
    page.goto(site.link(ANN, "confirm-email"))
    press(page, "Confirm my address")

    # It is the only way to log in, so it stays.
    log_out(page)
    press(page, LOG_IN)
    assert is_logged_in(page)
    page.goto(KEYS)
    page.get_by_role("button", name="Remove", exact=False).first.click()
    page.get_by_text("You have no other way to log in.").wait_for()

    without = open_page(java_script_enabled=False)
    without.goto("/account/mfa/signup")
    assert "need JavaScript" in without.inner_text("main")
    without.get_by_label("E-mail address").fill("bob@example.org")
    press(without, "Continue")
    without.get_by_text("Passkeys and security keys need JavaScript").wait_for()
    assert not without.get_by_role("button", name="Create a passkey").is_visible()


def test_a_passkey_in_the_autofill(site, page):
    """The virtual authenticator chooses the passkey at once, as a person does in the autofill."""
    sign_up(site, page)
    Authenticator(page)
    add_key(page, "Laptop")
    page.context.clear_cookies()
    page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => true;")
    page.goto("/account/login?next=/account/emails")
    page.wait_for_url("**/account/emails")


def test_two_keys_and_a_recovery_code(site, page):
    sign_up(site, page)
    phone = Authenticator(page)
    codes = add_key(page, "Phone", asked=True)
    assert len(codes) == 10
    phone.remove()
    stick = Authenticator(page, **STICK)
    assert add_key(page, "Stick") == []

    # The second key.
    log_out(page)
    log_in(page)
    assert (path(page), heading(page)) == (VERIFY, "Confirm that it is you")
    assert not is_logged_in(page)
    page.goto(VERIFY)
    press(page, USE)
    assert is_logged_in(page)

    # A recovery code, without any key.
    stick.remove()
    log_out(page)
    log_in(page)
    page.get_by_label("Recovery code").fill(codes[0])
    page.locator("main form", has_text="Recovery code").get_by_role("button", name="Confirm").click()
    page.get_by_text("Recovery codes left: 9").wait_for()
    assert is_logged_in(page)

    # Both keys are removed: the password is enough again.
    page.goto(KEYS)
    press(page, "Remove: Phone")
    page.goto(KEYS)
    press(page, "Remove: Stick")
    log_out(page)
    log_in(page)
    assert is_logged_in(page)


def test_reauthentication_with_a_key(site, page):
    sign_up(site, page)
    Authenticator(page)
    add_key(page, "Laptop")
    site.clock.forward(minutes=20)
    page.goto(KEYS)
    assert path(page) == "/account/reauthenticate"
    press(page, USE)
    assert path(page) == KEYS


def test_an_app_without_scripts(site, open_page):
    page = open_page(java_script_enabled=False)
    sign_up(site, page)
    page.goto("/account/mfa/totp")
    app = TotpApp(page.get_by_text("type this key").inner_text().partition(": ")[2], site.clock)
    page.get_by_label("Code").fill(app.code())
    press(page, "Confirm")
    codes = RECOVERY_CODE.findall(page.inner_text("main"))
    assert len(codes) == 10

    log_out(page)
    log_in(page)
    page.get_by_label("Code", exact=True).fill("000000")
    page.locator("main form", has_text="Authenticator app").get_by_role("button", name="Confirm").click()
    assert "The code is wrong" in page.inner_text(".error")
    page.get_by_label("Code", exact=True).fill(app.next_code())
    page.locator("main form", has_text="Authenticator app").get_by_role("button", name="Confirm").click()
    assert is_logged_in(page)

    log_out(page)
    log_in(page)
    page.get_by_label("Recovery code").fill(codes[0])
    page.locator("main form", has_text="Each of your recovery codes").get_by_role("button").click()
    assert is_logged_in(page)


def set_up_app(site, page):
    page.goto("/account/mfa/totp")
    app = TotpApp(page.get_by_text("type this key").inner_text().partition(": ")[2], site.clock)
    page.get_by_label("Code").fill(app.code())
    press(page, "Confirm")
    return app


def app_form(page):
    return page.locator("main form", has_text="Authenticator app")


def mailbox_code(site, to):
    """Return the code in the newest mail to an address: mails are sent before the response."""
    newest = [each for each in site.mails.mails if each["To"] == to][-1]
    return MAILBOX_CODE.search(newest.get_body(("plain",)).get_content())[0]


def confirm_address(site, page, address):
    page.goto("/account/emails")
    page.get_by_label("E-mail address").fill(address)
    press(page, "Add address")
    page.goto(site.link(address, "confirm-email"))
    press(page, "Confirm my address")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_trusted_browser_needs_the_factor_for_a_change_of_the_password(site, open_page, scripts):
    page = open_page(java_script_enabled=scripts)
    sign_up(site, page)
    app = set_up_app(site, page)
    log_out(page)
    log_in(page)
    app_form(page).get_by_label("Code", exact=True).fill(app.next_code())
    app_form(page).get_by_label("Trust this browser").check()
    app_form(page).get_by_role("button", name="Confirm").click()
    log_out(page)
    log_in(page)
    assert is_logged_in(page)

    def change():
        page.goto("/account/password")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password").fill(NEW_PASSWORD)
        press(page, "Change the password")

    change()
    assert path(page) == "/account/mfa/reauthenticate"
    assert "Confirm with your second factor first." in page.inner_text("main")
    page.get_by_label("Code", exact=True).fill("000000")
    app_form(page).get_by_role("button", name="Confirm").click()
    assert "The code is wrong" in page.inner_text(".error")
    page.get_by_label("Code", exact=True).fill(app.next_code())
    app_form(page).get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/account/password")
    change()
    assert path(page) != "/account/mfa/reauthenticate"
    log_out(page)
    log_in(page, NEW_PASSWORD)
    assert not is_logged_in(page)


def test_codes_of_two_mailboxes(site, page):
    sign_up(site, page)
    confirm_address(site, page, WORK)
    set_up_app(site, page)
    log_out(page)
    log_in(page)
    page.get_by_role("link", name="I have lost all of these").click()
    assert heading(page) == "All methods lost"
    press(page, "Send the codes")
    assert ANN not in page.inner_text("main")
    page.get_by_label("First code").fill("AAAA-BBBB")
    page.get_by_label("Second code").fill("CCCC-DDDD")
    press(page, "Confirm")
    assert "The codes are wrong, or too old." in page.inner_text(".error")
    codes = [mailbox_code(site, each) for each in (ANN, WORK)]
    page.get_by_label("First code").fill(codes[1].lower())
    page.get_by_label("Second code").fill(codes[0])
    press(page, "Confirm")
    assert "Remove what you have lost" in page.inner_text("main")
    page.get_by_role("link", name="Two-step verification").click()
    press(page, "Remove: Authenticator app")
    log_out(page)
    log_in(page)
    assert is_logged_in(page)


VARIANTS = {
    "light, English": {"color_scheme": "light"},
    "dark, Arabic, phone": {"color_scheme": "dark", "locale": "ar", "viewport": PHONE},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_violations(site, open_page, axe, variant):
    english = open_page()
    english.add_init_script(NO_AUTOFILL)
    sign_up(site, english)
    Authenticator(english)
    add_key(english, "Laptop", asked=True)
    page = open_page(bypass_csp=True, **VARIANTS[variant])
    page.add_init_script(NO_AUTOFILL)
    found, widths = [], {}

    def check(*addresses):
        for address in addresses:
            page.goto(address)
            page.wait_for_load_state("networkidle")
            found.extend(violations(page, axe))
            widths[address] = page.evaluate("document.documentElement.scrollWidth")

    check("/account/login", "/account/mfa/passkey", "/account/signup", "/account/mfa/signup")
    page.locator("main input[type=email]").fill("bob@example.org")
    with page.expect_navigation():
        page.locator("main form button").click()
    assert page.locator("main [data-credential=create]").count() == 1
    found.extend(violations(page, axe))
    page.context.add_cookies(english.context.cookies())
    check("/account/", OVERVIEW, KEYS, "/account/mfa/totp", "/account/mfa/recovery-codes")
    site.clock.forward(minutes=20)
    check("/account/reauthenticate", "/account/mfa/reauthenticate")
    page.context.clear_cookies()
    response = page.context.request.post(
        f"{site.url}/account/api/login",
        data=json.dumps({"identifier": ANN, "password": PASSWORD}),
        headers={"Content-Type": "application/json", "Origin": site.url},
    )
    assert response.status == 202
    check(VERIFY)
    assert path(page) == VERIFY
    check("/account/mfa/lost", "/account/mfa/lost/codes")
    assert path(page) == "/account/mfa/lost/codes"
    assert found == []
    width = VARIANTS[variant].get("viewport", {"width": 10_000})["width"]
    assert {address: each for address, each in widths.items() if each > width} == {}
