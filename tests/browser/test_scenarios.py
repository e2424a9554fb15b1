"""Whole scenarios in Chromium, each with and without JavaScript."""

from __future__ import annotations

import pytest

from authhost.testing import OTHER_PASSWORD, PASSWORD
from browser.conftest import agree, heading, path

ANN, WORK = "ann@example.org", "ann@work.example.org"
THIRD_PASSWORD = "the lighthouse keeper naps"


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def log_in(page, password, name=ANN):
    page.goto("/account/login")
    page.get_by_label("E-mail address or username").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Log in")


def message(page):
    return page.inner_text(".message")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_account_scenario(site, open_page, scripts):
    page = open_page(java_script_enabled=scripts)

    # Sign up, and confirm by the mail.
    page.goto("/me")
    page.goto("/account/signup")
    page.get_by_label("E-mail address").fill(ANN)
    page.get_by_label("Password", exact=True).fill("short")
    press(page, "Create account")
    assert "at least 15 characters" in page.inner_text(".field .error")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Create account")
    assert heading(page) == "Confirm your address"
    page.goto(site.link(ANN, "confirm-email"))
    assert path(page) == "/account/confirm-email"  # the key has left the address bar
    press(page, "Confirm my address")
    assert message(page) == f"Your address {ANN} is confirmed."
    assert page.goto("/me").json() == {"email": ANN}

    # Log out, and log in by the password; the wanted page comes back.
    page.goto("/account/")
    press(page, "Log out")
    assert message(page) == "You are logged out."
    page.goto("/account/emails")
    assert path(page) == "/account/login"
    page.get_by_label("E-mail address or username").fill(ANN)
    page.get_by_label("Password", exact=True).fill(OTHER_PASSWORD)
    press(page, "Log in")
    assert message(page) == "The name or the password is not right."
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Log in")
    assert path(page) == "/account/emails"

    # A second address.
    page.get_by_label("E-mail address").fill(WORK)
    press(page, "Add address")
    page.goto(site.link(WORK, "confirm-email"))
    press(page, "Confirm my address")
    press(page, f"Make primary: {WORK}")
    assert message(page) == f"{WORK} is your primary address now."
    press(page, f"Remove: {ANN}")
    assert message(page) == f"The address {ANN} has been removed."

    # Connect a provider, and log in with it.
    page.goto("/account/connections")
    press(page, "Connect Example Corp")
    agree(page, "bob")
    assert message(page) == "The account at Example Corp is connected."
    press(page, "Log out")
    press(page, "Continue with Example Corp")
    agree(page, "bob")
    assert heading(page) == "Your account"
    page.goto("/account/connections")
    press(page, "Disconnect: Example Corp")
    assert message(page) == "The account at Example Corp is disconnected."

    # Change the password; the session in another browser ends.
    other = open_page(java_script_enabled=scripts)
    log_in(other, PASSWORD, WORK)
    page.goto("/account/sessions")
    assert page.locator(".rows li").count() == 2
    page.goto("/account/password")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(OTHER_PASSWORD)
    press(page, "Change the password")
    assert "Your password is changed" in message(page)
    other.goto("/account/")
    assert path(other) == "/account/login"

    # A sensitive change after a while needs the password again.
    site.clock.forward(minutes=10)
    page.goto("/account/close")
    assert heading(page) == "Confirm that it is you"
    page.get_by_label("Password", exact=True).fill(OTHER_PASSWORD)
    press(page, "Continue")
    assert heading(page) == "Close the account"

    # Reset the password by mail, in another browser.
    other.goto("/account/login")
    other.get_by_role("link", name="Forgot your password?").click()
    other.get_by_label("E-mail address").fill(WORK)
    press(other, "Send the link")
    assert "is on its way" in message(other)
    other.goto(site.link(WORK, "reset-password"))
    assert path(other) == "/account/reset-password"
    other.get_by_label("New password").fill(THIRD_PASSWORD)
    press(other, "Set the password")
    assert message(other) == "Your new password is set."
    page.goto("/account/")
    assert path(page) == "/account/login"

    # End sessions, and close the account.
    log_in(other, THIRD_PASSWORD, WORK)
    log_in(page, THIRD_PASSWORD, WORK)
    other.goto("/account/sessions")
    press(other, "End all other sessions")
    assert message(other) == "All other sessions have ended."
    other.goto("/account/close")
    press(other, "Close my account")
    assert message(other) == "Your account is closed."
    log_in(other, THIRD_PASSWORD, WORK)
    assert message(other) == "The name or the password is not right."


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_scenario_of_a_user_of_a_provider(site, open_page, scripts):
    page = open_page(java_script_enabled=scripts)

    # The provider returns no address: the signup asks for one, and the mail confirms it.
    page.goto("/account/signup")
    press(page, "Continue with Example Corp")
    agree(page, "nameless")
    assert heading(page) == "Complete your signup"
    page.get_by_label("E-mail address").fill(WORK)
    press(page, "Create account")
    assert heading(page) == "Confirm your address"
    page.get_by_label("E-mail address").fill(ANN)
    press(page, "Use this address")
    page.goto(site.link(ANN, "confirm-email"))
    press(page, "Confirm my address")
    assert page.goto("/me").json() == {"email": ANN}

    # The only way to log in stays, until there is a password.
    page.goto("/account/connections")
    press(page, "Disconnect: Example Corp")
    assert message(page) == "This is your only way to log in. Set a password first."
    page.goto("/account/")
    page.get_by_role("link", name="Set a password").click()
    page.get_by_label("New password").fill(PASSWORD)
    press(page, "Set the password")
    page.goto("/account/connections")
    press(page, "Disconnect: Example Corp")
    assert message(page) == "The account at Example Corp is disconnected."

    # The provider's account signs up again; the first account has its password.
    press(page, "Log out")
    press(page, "Continue with Example Corp")
    agree(page, "nameless")
    assert heading(page) == "Complete your signup"
    log_in(page, PASSWORD)
    assert page.goto("/me").json() == {"email": ANN}


def test_scripts_show_the_password_and_focus_the_mistake(open_page):
    page = open_page()
    page.goto("/account/signup")
    field = page.get_by_label("Password", exact=True)
    field.fill("short")
    button = page.get_by_role("button", name="Show password")
    button.click()
    assert (field.get_attribute("type"), button.get_attribute("aria-pressed")) == ("text", "true")
    page.get_by_label("E-mail address").fill(ANN)
    press(page, "Create account")
    assert page.evaluate("document.activeElement.name") == "password"
    assert field.get_attribute("type") == "password"


def test_nothing_breaks_the_content_security_policy(open_page):
    page = open_page()
    problems = []
    page.on("console", lambda line: problems.append(line.text) if "Content Security" in line.text else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    for each in ("login", "signup", "forgot-password", "confirm-email", "reset-password"):
        page.goto(f"/account/{each}")
    assert problems == []
