"""Forms with a passkey or security key, in Chromium with a virtual authenticator."""

from __future__ import annotations

import pytest

pytest.importorskip("webauthn", reason="SKIPPED: run `pip install webauthn`")

from browser.conftest import violations
from browser.passkeys import Authenticator, Keys
from browser.servers import open_site

PAGE = "/account/keys/page"
OLD_BROWSER = """
delete PublicKeyCredential.parseCreationOptionsFromJSON;
delete PublicKeyCredential.parseRequestOptionsFromJSON;
delete PublicKeyCredential.prototype.toJSON;
"""
REFUSES = "navigator.credentials.{} = async () => {{ throw new DOMException('', '{}'); }};"
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false;"
WAITS = """
const {get} = navigator.credentials;
sessionStorage.calls ??= "";
const add = (call) => { sessionStorage.calls += " " + call; };
PublicKeyCredential.isConditionalMediationAvailable = async () => true;
navigator.credentials.get = (options) => {
  add(options.mediation ?? "button");
  if (!options.mediation) return get.call(navigator.credentials, options);
  return new Promise((_, reject) => options.signal.addEventListener("abort", () => {
    add("aborted");
    reject(options.signal.reason);
  }));
};
"""
"""Nobody chooses a passkey in the autofill."""
CALLS = "() => sessionStorage.calls.trim() === {}.join(' ')"
CANCELLED = "No passkey or security key was used: the request was cancelled"


@pytest.fixture
def keys():
    return Keys("localhost", "")


@pytest.fixture
def site(tmp_path, keys):
    with open_site(tmp_path, "localhost", plugins={"keys": keys}) as site:
        keys.url = site.url
        yield site


@pytest.fixture
def open_keys(open_page):
    """Open the page with the forms, in a browser with an authenticator."""

    def opened(script=NO_AUTOFILL, **options):
        page = open_page(**options)
        page.add_init_script(script)
        authenticator = Authenticator(page)
        page.goto(PAGE)
        return page, authenticator

    return opened


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def register(page, name="My phone"):
    page.get_by_label("Name", exact=True).fill(name)
    with page.expect_navigation():
        press(page, "Register")


def alerts(page):
    return [each for each in page.locator("main [role=alert]").all_inner_texts() if each]


@pytest.mark.parametrize("script", ["", OLD_BROWSER], ids=["new browser", "old browser"])
def test_a_passkey_is_registered_and_used(open_keys, keys, script):
    page, authenticator = open_keys(NO_AUTOFILL + script)
    register(page)
    assert keys.names == ["My phone"]
    assert len(authenticator.credentials()) == 1
    page.goto(PAGE)
    with page.expect_navigation():
        press(page, "Use a passkey")
    assert keys.used == 1


def test_the_fields_are_validated_before_the_browser_is_asked(open_keys, keys):
    page, authenticator = open_keys()
    press(page, "Register")
    assert page.evaluate("document.activeElement.name") == "name"
    assert authenticator.credentials() == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("NotAllowedError", CANCELLED),
        ("AbortError", CANCELLED),
        ("InvalidStateError", "This device or security key is registered already."),
        ("NotSupportedError", "This passkey or security key cannot be used here."),
    ],
)
def test_a_refusal_of_the_browser_is_shown(open_keys, keys, error, text):
    page, _ = open_keys(NO_AUTOFILL + REFUSES.format("create", error))
    page.get_by_label("Name", exact=True).fill("My phone")
    press(page, "Register")
    page.get_by_text(text).wait_for()
    assert len(alerts(page)) == 1
    assert keys.names == []


def test_a_passkey_that_is_registered_already(open_keys, keys):
    page, _ = open_keys()
    register(page)
    page.goto(PAGE)
    page.get_by_label("Name", exact=True).fill("Again")
    press(page, "Register")
    page.get_by_text("This device or security key is registered already.").wait_for()
    assert keys.names == ["My phone"]


def test_a_refusal_of_the_plugin_is_shown_at_the_button(open_keys, keys):
    page, _ = open_keys()
    register(page, "refused")
    assert alerts(page) == ["No more passkeys."]
    page.locator("button:focus", has_text="Register").wait_for()
    assert page.get_by_label("Name", exact=True).input_value() == "refused"
    register(page)  # the page has new options
    assert keys.names == ["My phone"]


@pytest.mark.parametrize(
    ("options", "script"),
    [({"java_script_enabled": False}, ""), ({}, "delete globalThis.PublicKeyCredential;")],
    ids=["without scripts", "without WebAuthn"],
)
def test_a_browser_that_cannot_use_passkeys(site, open_page, options, script):
    page = open_page(**options)
    page.add_init_script(script)
    page.goto(PAGE)
    page.get_by_text("Passkeys and security keys need JavaScript").first.wait_for()
    assert not page.get_by_role("button", name="Register").is_visible()
    assert not page.get_by_label("Name", exact=True).is_visible()
    assert page.get_by_label("Username").is_visible()


def test_a_passkey_is_offered_in_the_autofill(open_keys, keys):
    """The virtual authenticator chooses the passkey at once, as a person does in the autofill."""
    page, _ = open_keys("")
    register(page)
    page.goto(PAGE)
    page.get_by_text("Used: 1.").wait_for()
    assert page.get_by_label("Username").get_attribute("autocomplete") == "username webauthn"


def test_a_passkey_on_the_login_page(open_keys):
    page, _ = open_keys()
    register(page)
    page.goto("/account/login")
    assert page.get_by_label("E-mail address").get_attribute("autocomplete") == "username webauthn"
    press(page, "Use a passkey")
    page.get_by_text("Used: 1.").wait_for()


def test_the_button_ends_the_offer_in_the_autofill(open_keys, keys):
    page, _ = open_keys(NO_AUTOFILL)
    register(page)
    page.add_init_script(WAITS)
    page.goto(PAGE)
    page.wait_for_function(CALLS.format(["conditional"]))
    press(page, "Use a passkey")
    page.get_by_text("Used: 1.").wait_for()
    assert page.evaluate("sessionStorage.calls").split() == ["conditional", "aborted", "button"]


def test_passkeys_are_offered_again_after_a_refusal_of_the_browser(open_keys):
    page, _ = open_keys(REFUSES.format("get", "NotAllowedError") + WAITS)
    page.wait_for_function(CALLS.format(["conditional"]))
    press(page, "Use a passkey")
    page.get_by_text(CANCELLED).wait_for()
    page.wait_for_function(CALLS.format(["conditional", "aborted", "button", "conditional"]))


@pytest.mark.parametrize("script", ["", WAITS], ids=["button", "autofill"])
def test_old_options_are_fetched_anew(open_keys, keys, script):
    page, _ = open_keys()
    register(page)
    page.add_init_script(script)
    page.clock.install()
    page.goto(PAGE)
    page.locator("form:not([hidden])", has_text="Use a passkey").wait_for()
    keys.challenges.append(b"only the newest challenge is accepted")
    page.clock.fast_forward(130_000)
    if script:
        page.wait_for_function(CALLS.format(["conditional", "aborted", "conditional"]))
    press(page, "Use a passkey")
    page.get_by_text("Used: 1.").wait_for()


def test_no_violations(open_keys, axe):
    page, _ = open_keys(bypass_csp=True)
    assert violations(page, axe) == []
