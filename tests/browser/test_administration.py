"""An administrator in a browser: searches, opens, deactivates and deletes an account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from authhost_hookspecs import Actor

from authhost.testing import PASSWORD
from browser.conftest import heading, path, violations
from browser.servers import open_site

pytest.importorskip("authhost_audit", reason="SKIPPED: run `pip install authhost-audit`")
pytest.importorskip("authhost_mfa", reason="SKIPPED: run `pip install authhost-mfa`")

ADMIN, ANN = "admin@example.org", "ann@example.org"
OPERATOR = Actor("operator", name="test")
VARIANTS = {
    "light, English": {"color_scheme": "light"},
    "dark, Arabic, phone": {
        "color_scheme": "dark",
        "locale": "ar",
        "viewport": {"width": 320, "height": 640},
    },
}


@pytest.fixture
def site(tmp_path):
    settings = {"administrators": [ADMIN], "email_verification": "optional"}
    with open_site(tmp_path, installed=("audit", "mfa"), **settings) as site:
        for number in range(30):
            site.host.users.create(f"user{number}@example.org", actor=OPERATOR)
        yield site


@pytest.fixture
def ann(site):
    """An account with two addresses and a session."""
    with site.host.request(user_agent="Firefox/1 Linux") as request:
        user = site.host.account.signup(request, email=ANN, password=PASSWORD).user
    site.host.users.verify_email(user.id, ANN, actor=OPERATOR)
    site.host.users.add_email(user.id, "ann@work.example.org", actor=OPERATOR)
    return user


def log_in(site, page):
    """Come to the list over the login."""
    user = site.host.users.find(ADMIN) or [site.host.users.create(ADMIN, verified=True, actor=OPERATOR)]
    site.host.users.send_reset(user[0].id, actor=OPERATOR)
    page.goto(site.link(ADMIN, "reset-password"))
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form button:not(.reveal)").click()
    page.wait_for_url("**/account/**")
    page.goto("/account/admin")
    if path(page) == "/account/login":
        page.locator("input[name=identifier]").fill(ADMIN)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("main form button:not(.reveal)").first.click()
        page.wait_for_url("**/account/admin")


def test_search_open_deactivate_export_and_delete(site, ann, open_page):
    page = open_page()
    log_in(site, page)
    assert heading(page) == "Administration"
    page.get_by_role("link", name="Older accounts").click()
    page.get_by_role("link", name="Newer accounts").click()
    page.get_by_label("Beginning of an address").fill("ann@")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/admin?query=ann*")
    page.get_by_role("link", name=ANN).click()
    assert heading(page) == ANN

    page.get_by_label("Until").fill("2100-12-31")
    form = page.locator("form", has=page.get_by_label("Until"))
    form.get_by_label("Reason").fill("Sends spam.")
    page.get_by_role("button", name="Deactivate the account").click()
    assert page.locator("[data-code=deactivated]").is_visible()
    assert page.locator("p", has_text="Reason: Sends spam.").is_visible()  # the history has it, too
    assert not site.host.users.get(ANN).is_active

    page.get_by_role("link", name="All records").click()
    page.get_by_label("Event").select_option("user_deactivated")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/audit/history?**event=user_deactivated**")
    assert page.locator(".rows li").count() == 1
    page.get_by_role("link", name="Back to the account").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export the data").click()
    exported = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert (download.value.suggested_filename, exported["account"]["email"]) == (f"{ann.id}.json", ANN)

    page.get_by_role("link", name="Delete the account").click()
    page.get_by_label("Address, username or identifier").fill("bob")
    page.get_by_role("button", name="Delete the account").click()
    assert page.locator("[aria-invalid=true]").count() == 1
    page.get_by_label("Address, username or identifier").fill(ANN)
    page.get_by_role("button", name="Delete the account").click()
    page.wait_for_url("**/account/admin")
    assert page.locator("[data-code=account_deleted]").is_visible()
    assert site.host.users.find(ANN) == ()


def states(site, ann, page):
    """Open every page of administrators, and yield its path."""
    log_in(site, page)
    about = f"?id={ann.id}"
    for target in ("/admin", "/admin/create", f"/admin/user{about}", f"/admin/delete{about}"):
        page.goto(f"/account{target}")
        yield target
    page.goto(f"/account/audit/history{about}")
    yield "/audit/history"
    page.goto(f"/account/admin/delete{about}")
    page.locator("input[name=confirm]").fill("bob")
    page.locator("main button.danger").click()
    page.locator("[aria-invalid=true]").wait_for()
    yield "/admin/delete, refused"
    site.host.users.deactivate(ann.id, reason="Sends spam.", actor=OPERATOR)
    page.goto(f"/account/admin/user{about}")
    yield "/admin/user, deactivated"


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_violations_and_nothing_is_cut(site, ann, open_page, axe, variant):
    page = open_page(bypass_csp=True, **VARIANTS[variant])
    found, widths = [], {}
    for state in states(site, ann, page):
        found += [(state, *each) for each in violations(page, axe)]
        widths[state] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert found == []
    assert {state: width for state, width in widths.items() if width > 0} == {}
