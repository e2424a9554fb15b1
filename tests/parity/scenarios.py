"""What people do, told once for both sides. A scenario's name stands in the table of differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from drivers import NEW_PASSWORD, Driver

ANN, BOB, SECOND, THIRD = "ann@example.org", "bob@example.org", "ann@work.example.org", "ann@home.example.org"


class Scenario(NamedTuple):
    """Steps under options, which bear authhost's names."""

    name: str
    run: Callable[[Driver], None]
    options: dict[str, Any]


SCENARIOS: list[Scenario] = []


def scenario(name: str, **options: Any) -> Callable[[Callable[[Driver], None]], Callable[[Driver], None]]:
    """Add a scenario; may be given several times, with other options."""

    def add(run: Callable[[Driver], None]) -> Callable[[Driver], None]:
        SCENARIOS.append(Scenario(name, run, {"rate_limits": False, **options}))
        return run

    return add


@scenario("sign up, verification none", email_verification="none")
@scenario("sign up, verification optional", email_verification="optional")
@scenario("sign up, verification mandatory", email_verification="mandatory")
def signup(site: Driver) -> None:
    site.signup(ANN)


@scenario("sign up with a taken address, verification none", email_verification="none")
@scenario("sign up with a taken address, verification optional", email_verification="optional")
@scenario("sign up with a taken address, verification mandatory", email_verification="mandatory")
def signup_taken(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.signup(ANN)


@scenario("sign up with a taken username", email_verification="optional")
def signup_taken_username(site: Driver) -> None:
    site.signup(ANN, "ann")
    site.browser()
    site.signup(BOB, "Ann")


@scenario("confirm in the browser of the signup", email_verification="mandatory")
@scenario(
    "confirm in the browser of the signup, login on confirmation",
    email_verification="mandatory",
    login_on_email_confirmation=True,
)
def confirm_here(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)


@scenario(
    "confirm in another browser, login on confirmation",
    email_verification="mandatory",
    login_on_email_confirmation=True,
)
def confirm_elsewhere(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.confirm(ANN)


@scenario("confirm twice")
def confirm_twice(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.confirm(ANN)


@scenario("confirm by an older link")
def confirm_older(site: Driver) -> None:
    site.signup(ANN)
    site.resend(ANN)
    site.confirm(ANN)


@scenario("confirm while another user is logged in")
def confirm_as_another(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.signup(BOB)
    site.confirm(ANN)
    site.logout()


@scenario("log in", email_verification="none")
def login(site: Driver) -> None:
    site.signup(ANN)
    site.logout()
    site.login(ANN.upper())
    site.login(ANN)


@scenario("log in by username")
def login_username(site: Driver) -> None:
    site.signup(ANN, "ann")
    site.logout()
    site.login("ANN")


@scenario("log in with a wrong password")
def login_wrong(site: Driver) -> None:
    site.signup(ANN)
    site.logout()
    site.login(ANN, "wrong")
    site.login(BOB, "wrong")


@scenario("log in unverified", email_verification="mandatory")
@scenario("log in unverified within the cool-down", email_verification="mandatory", rate_limits={})
def login_unverified(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.login(ANN)


@scenario("log in by an unverified second address, verification optional")
@scenario("log in by an unverified second address, verification mandatory", email_verification="mandatory")
def login_unverified_second(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.login(ANN)
    site.add(SECOND)
    site.logout()
    site.login(SECOND)


@scenario(
    "log in unverified, then confirm in that browser",
    email_verification="mandatory",
    login_on_email_confirmation=True,
)
def login_then_confirm(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.login(ANN)
    site.confirm(ANN)


@scenario("log in by username with any verified address", email_verification="mandatory")
def login_username_any(site: Driver) -> None:
    site.signup(ANN, "ann")
    site.confirm(ANN)
    site.login("ann")
    site.add(SECOND)
    site.logout()
    site.login("ann")


@scenario("log in as another user")
def login_as_another(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.signup(BOB)
    site.login(ANN)


@scenario("log out")
def logout(site: Driver) -> None:
    site.signup(ANN)
    site.logout()
    site.logout()


@scenario("add an address, confirm it")
def add(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.confirm(SECOND)


@scenario("add an address of one's own")
def add_own(site: Driver) -> None:
    site.signup(ANN)
    site.add(ANN.upper())


@scenario("add more addresses than allowed", max_email_addresses=2)
def add_too_many(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.add(THIRD)


@scenario("add an address that another account has verified")
def add_taken(site: Driver) -> None:
    site.signup(BOB)
    site.confirm(BOB)
    site.browser()
    site.signup(ANN)
    site.add(BOB)
    site.confirm(BOB)


@scenario("add an address while logged out")
def add_anonymous(site: Driver) -> None:
    site.signup(ANN)
    site.logout()
    site.add(SECOND)


@scenario("send a confirmation again")
def resend(site: Driver) -> None:
    site.signup(ANN)
    site.resend(ANN)


@scenario("send a confirmation of a verified address again")
def resend_verified(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.resend(ANN)


@scenario("make an address primary")
def make_primary(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.add(SECOND)
    site.confirm(SECOND)
    site.make_primary(SECOND)


@scenario("make an unverified address primary, none is verified")
def make_unverified_primary(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.make_primary(SECOND)


@scenario("make an unverified address primary, another is verified")
def make_unverified_primary_refused(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.add(SECOND)
    site.make_primary(SECOND)


@scenario("make the primary address primary")
def make_primary_again(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.make_primary(ANN)


@scenario("confirm a second address while the primary is unverified")
def confirm_second_first(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.confirm(SECOND)


@scenario("remove an address")
def remove(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.remove(SECOND)


@scenario("remove the primary address")
def remove_primary(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.remove(ANN)


@scenario("remove the only address")
def remove_only(site: Driver) -> None:
    site.signup(ANN)
    site.remove(ANN)


@scenario("change-email mode: ask and confirm", change_email=True)
def change_email(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.add(SECOND)
    site.confirm(SECOND)


@scenario("change-email mode: ask twice, confirm", change_email=True)
def change_email_twice(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.add(SECOND)
    site.add(THIRD)
    site.confirm(THIRD)


@scenario("change-email mode: confirm the first address", change_email=True)
@scenario(
    "change-email mode: confirm the first address, login on confirmation",
    change_email=True,
    email_verification="mandatory",
    login_on_email_confirmation=True,
)
def change_email_first(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)


@scenario("change-email mode: confirm a new address, the first is unverified", change_email=True)
def change_email_unverified(site: Driver) -> None:
    site.signup(ANN)
    site.add(SECOND)
    site.confirm(SECOND)


@scenario("set the first password")
def set_password(site: Driver) -> None:
    site.signup(ANN)
    site.forget_password(ANN)
    site.set_password()


@scenario("set a password though there is one")
def set_password_again(site: Driver) -> None:
    site.signup(ANN)
    site.set_password()


@scenario("change the password")
def change_password(site: Driver) -> None:
    site.signup(ANN)
    site.change_password("wrong")
    site.change_password()
    site.logout()


@scenario("reset the password")
@scenario("reset the password, login on reset", login_on_password_reset=True)
@scenario(
    "reset the password, login on reset, unverified",
    login_on_password_reset=True,
    email_verification="mandatory",
)
def reset(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.ask_reset(ANN)
    site.reset(ANN)


@scenario("reset the password twice by one link")
def reset_twice(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.ask_reset(ANN)
    site.reset(ANN)
    site.reset(ANN)
    site.login(ANN, NEW_PASSWORD)


@scenario("reset the password of an account without one")
def reset_without(site: Driver) -> None:
    site.signup(ANN)
    site.forget_password(ANN)
    site.browser()
    site.ask_reset(ANN)
    site.reset(ANN)


@scenario("reset the password while another user is logged in")
def reset_as_another(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.signup(BOB)
    site.ask_reset(ANN)
    site.reset(ANN)
    site.logout()


@scenario("reset one's password while logged in")
def reset_logged_in(site: Driver) -> None:
    site.signup(ANN)
    site.ask_reset(ANN)
    site.reset(ANN)


@scenario("ask for a reset of an unknown address")
def reset_unknown(site: Driver) -> None:
    site.ask_reset(ANN)
