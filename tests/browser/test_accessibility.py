"""WCAG 2.2 AA by axe-core, on every page; and what it cannot see: reflow, focus, labels."""

from __future__ import annotations

import pytest

from authhost.testing import PASSWORD
from authhost.web.pages import PAGES
from browser.conftest import violations
from browser.servers import open_site
from browser.states import ADMINISTRATOR, USER, VISITOR, Tea, every_state

PHONE = {"width": 320, "height": 640}
VARIANTS = {
    "light, English": {"color_scheme": "light"},
    "dark, Arabic, phone": {"color_scheme": "dark", "locale": "ar", "viewport": PHONE},
}


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, plugins={"tea": Tea()}) as site:
        yield site


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_violations(site, open_page, axe, variant):
    page = open_page(bypass_csp=True, **VARIANTS[variant])
    found = []
    for state in every_state(site, page):
        found += [(state, *each) for each in violations(page, axe)]
    assert found == []


def test_the_states_include_every_page():
    assert {*VISITOR, *USER, "/reauthenticate", *ADMINISTRATOR} == {*PAGES, "/nonsense"}


def test_a_planted_fault_is_found(open_page, axe):
    page = open_page(bypass_csp=True)
    page.goto("/account/login")
    page.evaluate("document.querySelector('label').remove()")
    assert "label" in [rule for _, rule, _ in violations(page, axe)]


def test_nothing_is_cut_at_320_pixels(site, open_page):
    """WCAG 1.4.10: no scrolling in two directions."""
    page = open_page(viewport=PHONE, locale="de")
    widths = {
        state: page.evaluate("document.documentElement.scrollWidth") for state in every_state(site, page)
    }
    assert {state: width for state, width in widths.items() if width > 320} == {}


def test_the_keyboard_reaches_everything_in_order(open_page):
    page = open_page()
    page.goto("/account/login")
    page.get_by_role("button", name="Use a passkey").wait_for()  # its script is loaded after the page
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.name"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached[-1]
    assert reached == [
        "Skip to the content",
        "Teapots",
        "identifier",
        "password",
        "Show password",
        "Log in",
        "Continue with Example Corp",
        "Use a passkey",
        "Forgot your password?",
        "Create an account",
    ]


def test_password_managers_know_every_field(site, open_page):
    """The tokens of the HTML standard; a form with a password has the name of the account, too."""
    page, found = open_page(), {}
    for state in every_state(site, page):
        for form in page.locator("main form", has=page.locator("input[type=password]")).all():
            fields = form.locator("input:not([type=hidden])").all()
            found[state] = [each.get_attribute("autocomplete") for each in fields]
            visible = [each for each in fields if each.is_visible()]
            assert [each.evaluate("each => each.labels.length") for each in visible] == [1] * len(visible)
    login, signup, new = (
        ["username", "current-password"],
        ["email", "new-password"],
        ["username", "new-password"],
    )
    assert found == {
        "/login": login,
        "/login refused": login,
        "/login after logout": login,
        "/login after an impersonation": login,
        "/signup": signup,
        "/signup refused": signup,
        "/confirm-email in another browser": login,
        "/password": ["username", "current-password", "new-password"],
        "/password refused": ["username", "current-password", "new-password"],
        "/reauthenticate": login,
        "/reauthenticate refused": login,
        "/reset-password form": new,
        "/reset-password refused": new,
        "/password first": new,
    }


def test_a_right_to_left_page_aligns_details_in_latin_script(site, open_page):
    page = open_page(locale="ar")
    next(state for state in every_state(site, page) if state == "/tea/tea")
    detail = page.locator(".detail").first
    assert detail.evaluate("each => getComputedStyle(each).textAlign") == "right"


def test_paste_works_in_every_password_field(open_page):
    from playwright.sync_api import expect

    page = open_page()
    page.goto("/account/login")
    page.locator("[name=identifier]").fill(PASSWORD)
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+C")
    page.locator("[name=password]").focus()
    page.keyboard.press("Control+V")
    expect(page.locator("[name=password]")).to_have_value(PASSWORD)  # the clipboard is another process
