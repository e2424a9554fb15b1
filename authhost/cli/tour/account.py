"""The tour's steps with an account, its addresses and its password."""

from __future__ import annotations

from authhost.cli.tour.smtp_server import SMTPServer
from authhost.cli.tour.steps import StepRunner
from authhost.testing.host import OTHER_PASSWORD, PASSWORD

ANN, SECOND = "ann@example.org", "ann@work.example.org"
THIRD_PASSWORD = "the lighthouse keeper naps"


def account_steps(steps: StepRunner, mails: SMTPServer) -> None:
    """Run all steps, in order."""
    account, step = steps.host.account, steps.run
    steps.chapter("Ann signs up, and confirms her address")
    step(
        "sign up",
        lambda r: account.signup(r, email=ANN, password=PASSWORD, username="ann"),
        "user_signed_up",
        "email_confirmation_sent",
    )
    key = mails.key(ANN, "confirm-email")
    step(
        "confirm the address with the mail's link",
        lambda r: account.confirm_email(r, key=key),
        "email_confirmed",
    )
    step("use the link again", lambda r: account.confirm_email(r, key=key), refused="invalid_key")
    step("log in", lambda r: account.login(r, identifier=ANN, password=PASSWORD), "user_logged_in")
    steps.chapter("She adds an address, and changes her password")
    step(
        "add a second address",
        lambda r: account.add_email(r, email=SECOND),
        "email_confirmation_sent",
        "email_added",
    )
    second_key = mails.key(SECOND, "confirm-email")
    step("confirm the second address", lambda r: account.confirm_email(r, key=second_key), "email_confirmed")
    step("make it primary", lambda r: account.make_primary(r, email=SECOND), "email_changed")
    step(
        "change the password",
        lambda r: account.change_password(r, current_password=PASSWORD, new_password=OTHER_PASSWORD),
        "password_changed",
    )
    step("log out", account.logout, "user_logged_out")
    steps.token = None
    steps.chapter("Somebody guesses her password")
    for attempt in range(1, 6):
        step(
            f"log in with a wrong password ({attempt})",
            lambda r: account.login(r, identifier=ANN, password="not my password"),
            refused="invalid_credentials",
        )
    step(
        "log in with the right password",
        lambda r: account.login(r, identifier=ANN, password=OTHER_PASSWORD),
        refused="rate_limited",
    )
    steps.chapter("She resets the password")
    step("request a password reset", lambda r: account.request_password_reset(r, email=SECOND))
    reset_key = mails.key(SECOND, "reset-password")
    step(
        "reset the password with the mail's link",
        lambda r: account.reset_password(r, key=reset_key, password=THIRD_PASSWORD),
        "password_reset",
    )
    step(
        "log in with the new password",
        lambda r: account.login(r, identifier=SECOND, password=THIRD_PASSWORD),
        "user_logged_in",
    )
