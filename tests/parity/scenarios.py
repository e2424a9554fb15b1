"""What people do, told once for both sides. A scenario's name stands in the table of differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from drivers import NEW_PASSWORD, PROVIDERS, Driver, Person

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


@scenario("sign up as another user, verification none", email_verification="none")
@scenario("sign up as another user, verification optional", email_verification="optional")
def signup_as_another(site: Driver) -> None:
    site.signup(ANN)
    site.signup(BOB)
    site.logout()


@scenario("sign up as another user, verification mandatory", email_verification="mandatory")
def signup_as_another_waits(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.login(ANN)
    site.signup(BOB)
    site.logout()


@scenario("log in unverified as another user", email_verification="mandatory")
def login_as_another_waits(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.signup(BOB)
    site.confirm(BOB)
    site.login(BOB)
    site.login(ANN)
    site.logout()


@scenario("sign up with an address that another account has only added")
def signup_added(site: Driver) -> None:
    site.signup(ANN)
    site.confirm(ANN)
    site.add(BOB)
    site.browser()
    site.signup(BOB)


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


# Social login: each with django-allauth's dummy and with a real OpenID provider.

KNOWN, UNKNOWN = Person("101", ANN, True), Person("102", ANN, False)
OTHER, QUIET = Person("103", BOB, True), Person("104")


def social(name: str, **options: Any) -> Callable[[Callable[[Driver], None]], Callable[[Driver], None]]:
    """Add a scenario with each provider."""

    def add(run: Callable[[Driver], None]) -> Callable[[Driver], None]:
        for provider in PROVIDERS:
            scenario(f"{provider}: {name}", provider=provider, **options)(run)
        return run

    return add


def each_verification(
    name: str, *verifications: str, **options: Any
) -> Callable[[Callable[[Driver], None]], Callable[[Driver], None]]:
    """Add a scenario under each way of verifying addresses."""

    def add(run: Callable[[Driver], None]) -> Callable[[Driver], None]:
        for verification in verifications or ("none", "optional", "mandatory"):
            social(f"{name}, verification {verification}", email_verification=verification, **options)(run)
        return run

    return add


def own_account(site: Driver, email: str = ANN) -> None:
    """An account with a verified address, logged in."""
    site.signup(email)
    site.confirm(email)
    site.login(email)


@each_verification("first login, address verified")
def first_login(site: Driver) -> None:
    site.arrive(KNOWN)


@each_verification("first login, address not verified")
def first_login_unverified(site: Driver) -> None:
    site.arrive(UNKNOWN)


@each_verification("login of a known account")
def known_account(site: Driver) -> None:
    site.arrive(KNOWN)
    site.browser()
    site.arrive(KNOWN)


@social("confirm after a first login, then log in", email_verification="mandatory")
def confirm_then_login(site: Driver) -> None:
    site.arrive(UNKNOWN)
    site.confirm(ANN)
    site.browser()
    site.arrive(UNKNOWN)


@social("login as another user", email_verification="optional")
def as_another(site: Driver) -> None:
    site.arrive(KNOWN)
    site.arrive(OTHER)


@social("login again as the same user", email_verification="optional")
def as_the_same(site: Driver) -> None:
    site.arrive(KNOWN)
    site.arrive(KNOWN)


@each_verification(
    "the address belongs to a local account, not verified by the provider", "optional", "mandatory"
)
def conflict(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.arrive(UNKNOWN)


@each_verification(
    "the address belongs to a local account, verified by the provider", "optional", "mandatory"
)
def conflict_verified(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.arrive(KNOWN)


@each_verification("the address is claimed by a local account, verified by the provider alone")
def squatted(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.arrive(KNOWN)


@each_verification("login by e-mail", "optional", "mandatory", login_by_email=True)
def by_email(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.arrive(KNOWN)
    site.browser()
    site.arrive(KNOWN)


@each_verification(
    "login by e-mail, not verified by the provider", "optional", "mandatory", login_by_email=True
)
def by_unverified_email(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.arrive(UNKNOWN)


@each_verification("login by e-mail to an account that never verified it", login_by_email=True)
def by_email_planted(site: Driver) -> None:
    site.signup(ANN)
    site.browser()
    site.arrive(KNOWN)


@each_verification("signup with another address than the taken one", "optional", "mandatory")
def other_address(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.arrive(UNKNOWN)
    site.social_signup(BOB)


@each_verification("signup of somebody without address")
def without_address(site: Driver) -> None:
    site.arrive(QUIET)
    site.social_signup(ANN)


@social("signup that is agreed to first", email_verification="optional", social_auto_signup=False)
def agreed(site: Driver) -> None:
    site.arrive(KNOWN)
    site.social_signup(ANN)


@social("connect, then connect again", email_verification="optional")
def connect(site: Driver) -> None:
    own_account(site)
    site.arrive(OTHER, "connect")
    site.arrive(OTHER, "connect")


@social("connect another user's", email_verification="optional")
def connect_taken(site: Driver) -> None:
    site.arrive(OTHER)
    site.browser()
    own_account(site)
    site.arrive(OTHER, "connect")


@social("connect while nobody is logged in", email_verification="optional")
def connect_anonymous(site: Driver) -> None:
    site.arrive(KNOWN, "connect")


@social("prove who one is", email_verification="optional")
def redirect(site: Driver) -> None:
    site.arrive(KNOWN, "redirect")


@social("disconnect", email_verification="optional")
def disconnect(site: Driver) -> None:
    own_account(site)
    site.arrive(OTHER, "connect")
    site.disconnect()


@social("disconnect the last way to log in", email_verification="optional")
def disconnect_last(site: Driver) -> None:
    site.arrive(KNOWN)
    site.disconnect()


@social("a plugin connects by e-mail", email_verification="optional")
def plugin_connects(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.plugin("connect")
    site.arrive(KNOWN)


@social("a plugin stops the flow", email_verification="optional")
def plugin_stops(site: Driver) -> None:
    site.plugin("stop")
    site.arrive(KNOWN)


@social("login by e-mail as another user", email_verification="optional", login_by_email=True)
def by_email_as_another(site: Driver) -> None:
    own_account(site)
    site.browser()
    site.arrive(OTHER)
    site.arrive(KNOWN)
