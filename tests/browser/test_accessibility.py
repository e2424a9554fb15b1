"""WCAG 2.2 AA by axe-core, on every page; and what it cannot see: reflow, focus, labels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authhost.testing import PASSWORD
from authhost.web.pages import PAGES
from browser.conftest import path

ANN = "ann@example.org"
VISITOR = (
    "/login",
    "/signup",
    "/forgot-password",
    "/confirm-email",
    "/reset-password",
    "/social/signup",
    "/nonsense",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
VARIANTS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "Arabic": {"locale": "ar"},
    "phone": {"viewport": {"width": 320, "height": 640}},
}


@pytest.fixture(scope="module")
def axe():
    file = os.environ.get("AUTHHOST_AXE")
    if not file:
        pytest.skip("SKIPPED: AUTHHOST_AXE names no axe.min.js; `nox -s browser` fetches it by npm")
    return Path(file).read_text(encoding="utf-8")


def violations(page, axe):
    page.evaluate(axe)
    found = page.evaluate(f"axe.run(document, {{runOnly: {RULES!r}}})")["violations"]
    return [(path(page), each["id"], [node["html"] for node in each["nodes"]]) for each in found]


@pytest.fixture
def account(site):
    """A user with two addresses and two sessions."""
    with site.host.request() as request:
        site.host.account.signup(request, email=ANN, password=PASSWORD)
    key = site.mails.key(ANN, "confirm-email")
    with site.host.request() as request:
        site.host.account.confirm_email(request, key=key, password=PASSWORD)
    for _ in range(2):
        with site.host.request() as request:
            login = site.host.account.login(request, identifier=ANN, password=PASSWORD)
    with site.host.request(session_token=login.session_token) as request:
        site.host.account.add_email(request, email="ann@work.example.org")
    return login.session_token


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_violations(site, open_page, account, axe, variant):
    page = open_page(bypass_csp=True, **VARIANTS[variant])
    found = []
    for each in VISITOR:
        page.goto(f"/account{each}")
        found += violations(page, axe)
    page.goto("/account/signup")
    page.locator("[name=email]").fill(ANN)
    page.locator("[name=password]").fill("short")
    page.locator("main form button:not(.reveal)").first.click()
    found += violations(page, axe)
    page.context.add_cookies([{"name": "authhost-session", "value": account, "url": site.url}])
    for each in (each for each in PAGES if each not in VISITOR):
        page.goto(f"/account{each}")
        found += violations(page, axe)
    assert found == []


def test_a_planted_fault_is_found(open_page, axe):
    page = open_page(bypass_csp=True)
    page.goto("/account/login")
    page.evaluate("document.querySelector('label').remove()")
    assert "label" in [rule for _, rule, _ in violations(page, axe)]


def test_nothing_is_cut_at_320_pixels(site, open_page, account):
    """WCAG 1.4.10: no scrolling in two directions."""
    page = open_page(viewport={"width": 320, "height": 640}, locale="de")
    page.context.add_cookies([{"name": "authhost-session", "value": account, "url": site.url}])
    for each in (*VISITOR, *PAGES):
        page.goto(f"/account{each}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, each


def test_the_keyboard_reaches_everything_in_order(open_page):
    page = open_page()
    page.goto("/account/login")
    reached = []
    for _ in range(9):
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
        "Forgot your password?",
        "Create an account",
    ]


def test_every_input_has_a_label_and_a_token_for_password_managers(open_page):
    page = open_page()
    for each in ("/login", "/signup", "/forgot-password"):
        page.goto(f"/account{each}")
        for field in page.locator("main input:not([type=hidden])").all():
            assert field.evaluate("each => each.labels.length") == 1
            assert field.get_attribute("autocomplete") not in (None, "", "off")


def test_paste_works_in_every_password_field(open_page):
    page = open_page()
    page.goto("/account/login")
    page.locator("[name=identifier]").fill(PASSWORD)
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+C")
    page.locator("[name=password]").focus()
    page.keyboard.press("Control+V")
    assert page.locator("[name=password]").input_value() == PASSWORD
