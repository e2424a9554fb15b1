"""What people do with second factors. The module adds its scenarios to those of `scenarios`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers import NEW_PASSWORD, Driver
from factors import wrong_code
from scenarios import ANN, BOB, KNOWN, OTHER, SECOND, own_account, scenario, social


def with_factors(name: str, **options: Any) -> Callable[[Callable[[Driver], None]], Callable[[Driver], None]]:
    """Add a scenario on sites with second factors."""
    return scenario(f"mfa: {name}", mfa=True, **options)


def protected_account(site: Driver) -> None:
    """An account with an authenticator app, logged in."""
    own_account(site)
    site.factors.confirm_password()
    site.factors.add_app()


def begin_login(site: Driver) -> None:
    """Give the password of that account in another browser, and nothing else."""
    site.browser()
    site.login(ANN)
    site.check_session()


@with_factors("add an authenticator app")
def add_app(site: Driver) -> None:
    protected_account(site)
    site.check_session()


@with_factors("add an authenticator app with a wrong code, then with a right one")
def add_app_wrong(site: Driver) -> None:
    own_account(site)
    site.factors.confirm_password()
    site.factors.add_app(right=False)
    site.factors.add_app()


@with_factors("add a second authenticator app")
def add_second_app(site: Driver) -> None:
    protected_account(site)
    site.factors.add_app()


@with_factors("add an authenticator app right after the login")
def add_app_after_login(site: Driver) -> None:
    own_account(site)
    site.factors.add_app()


@with_factors("add an authenticator app, the address is unverified")
def add_app_unverified(site: Driver) -> None:
    site.signup(ANN)
    site.factors.confirm_password()
    site.factors.add_app()


@with_factors("add an authenticator app, a second address is unverified")
def add_app_unverified_second(site: Driver) -> None:
    own_account(site)
    site.add(SECOND)
    site.factors.confirm_password()
    site.factors.add_app()


@with_factors("add an address to an account with a factor")
def add_address(site: Driver) -> None:
    protected_account(site)
    site.add(SECOND)


@with_factors("log in with a code")
@with_factors("log in with a code, verification mandatory", email_verification="mandatory")
def login_code(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.verify(code=site.factors.app.next_code())
    site.check_session()
    site.logout()


@with_factors("log in with the code of the enrolment")
def login_code_of_enrolment(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.verify(code=site.factors.app.code())


@with_factors("log in with a code of the period before")
def login_code_before(site: Driver) -> None:
    protected_account(site)
    site.factors.app.next_code()
    begin_login(site)
    code = site.factors.app.code()
    site.factors.app.next_code()
    site.factors.verify(code=code)


@with_factors("log in with a code of two periods before")
def login_code_long_before(site: Driver) -> None:
    protected_account(site)
    site.factors.app.next_code()
    begin_login(site)
    code = site.factors.app.code()
    site.factors.app.next_code()
    site.factors.app.next_code()
    site.factors.verify(code=code)
    site.check_session()


@with_factors("log in with a wrong code, then with a right one")
def login_wrong_code(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.app.next_code()
    site.factors.verify(code=wrong_code(site.factors.app))
    site.check_session()
    site.factors.verify(code=site.factors.app.code())
    site.check_session()


@with_factors("log in with six wrong codes, then with a right one", rate_limits={})
def login_wrong_codes(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.app.next_code()
    for _ in range(6):
        site.factors.verify(code=wrong_code(site.factors.app))
    site.factors.verify(code=site.factors.app.code())
    site.check_session()


@with_factors("log in twice with one code")
def login_code_twice(site: Driver) -> None:
    protected_account(site)
    code = site.factors.app.next_code()
    begin_login(site)
    site.factors.verify(code=code)
    begin_login(site)
    site.factors.verify(code=code)
    site.check_session()


@with_factors("log in with a recovery code")
def login_recovery_code(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.verify(recovery_code=site.factors.recovery_codes[3])
    site.check_session()


@with_factors("log in twice with one recovery code")
def login_recovery_code_twice(site: Driver) -> None:
    protected_account(site)
    for _ in range(2):
        begin_login(site)
        site.factors.verify(recovery_code=site.factors.recovery_codes[0])
        site.check_session()


@with_factors("log in as another user with a factor")
def login_as_another(site: Driver) -> None:
    protected_account(site)
    site.browser()
    own_account(site, BOB)
    site.login(ANN)
    site.check_session()
    site.factors.verify(code=site.factors.app.next_code())
    site.check_session()


def trusted_browser(site: Driver) -> None:
    """A protected account, logged in in a browser that needs no factor from now on."""
    protected_account(site)
    begin_login(site)
    site.factors.verify(code=site.factors.app.next_code(), trust=True)
    site.check_session()


@with_factors("trust a browser, then log in there and in another one")
def trust(site: Driver) -> None:
    trusted_browser(site)
    site.logout()
    site.login(ANN)
    site.check_session()
    begin_login(site)


@with_factors("trust a browser, then change the password")
def trust_password(site: Driver) -> None:
    trusted_browser(site)
    site.change_password()
    site.logout()
    site.login(ANN, NEW_PASSWORD)
    site.check_session()


@with_factors("trust a browser, then use a recovery code")
def trust_recovery_code(site: Driver) -> None:
    trusted_browser(site)
    site.factors.reauthenticate(recovery_code=site.factors.recovery_codes[0])
    site.logout()
    site.login(ANN)
    site.check_session()


@with_factors("trust a browser, then replace the recovery codes")
def trust_recovery_codes(site: Driver) -> None:
    trusted_browser(site)
    site.factors.reauthenticate(code=site.factors.app.next_code())
    site.factors.new_recovery_codes()
    site.logout()
    site.login(ANN)
    site.check_session()


@with_factors("trust a browser, then replace the authenticator app")
def trust_app(site: Driver) -> None:
    trusted_browser(site)
    site.factors.reauthenticate(code=site.factors.app.next_code())
    site.factors.remove_app()
    site.factors.confirm_password()
    site.factors.add_app()
    site.logout()
    site.login(ANN)
    site.check_session()


@with_factors("confirm with a code that it is the user")
def reauthenticate(site: Driver) -> None:
    protected_account(site)
    site.factors.reauthenticate(code=site.factors.app.next_code())
    site.check_session()


@with_factors("confirm with a recovery code that it is the user")
def reauthenticate_recovery_code(site: Driver) -> None:
    protected_account(site)
    site.factors.reauthenticate(recovery_code=site.factors.recovery_codes[0])


@with_factors("confirm with a wrong code that it is the user")
def reauthenticate_wrong(site: Driver) -> None:
    protected_account(site)
    site.factors.reauthenticate(code=wrong_code(site.factors.app))
    site.check_session()


@with_factors("replace the recovery codes, log in with an old and with a new one")
def replace_recovery_codes(site: Driver) -> None:
    protected_account(site)
    old = site.factors.recovery_codes[0]
    site.factors.reauthenticate(code=site.factors.app.next_code())
    site.factors.new_recovery_codes()
    begin_login(site)
    site.factors.verify(recovery_code=old)
    site.check_session()
    site.factors.verify(recovery_code=site.factors.recovery_codes[0])
    site.check_session()


@with_factors("replace the recovery codes without a factor")
def replace_recovery_codes_without(site: Driver) -> None:
    own_account(site)
    site.factors.confirm_password()
    site.factors.new_recovery_codes()


@with_factors("remove the authenticator app, then log in")
def remove_app(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.verify(code=site.factors.app.next_code())
    site.factors.reauthenticate(code=site.factors.app.next_code())
    site.factors.remove_app()
    begin_login(site)


@with_factors("remove the authenticator app right after a login with a code")
def remove_app_after_login(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.verify(code=site.factors.app.next_code())
    site.factors.remove_app()


@with_factors("remove the authenticator app after the password alone")
def remove_app_password(site: Driver) -> None:
    protected_account(site)
    begin_login(site)
    site.factors.verify(code=site.factors.app.next_code())
    site.factors.app.clock.forward(hours=1)
    site.factors.confirm_password()
    site.factors.remove_app()


@with_factors("reset the password, then log in with a code")
@with_factors("reset the password, login on reset, then log in with a code", login_on_password_reset=True)
def reset_password(site: Driver) -> None:
    protected_account(site)
    site.browser()
    site.ask_reset(ANN)
    site.reset(ANN)
    site.check_session()
    site.login(ANN, NEW_PASSWORD)
    site.check_session()
    site.factors.verify(code=site.factors.app.next_code())
    site.check_session()


@with_factors("reset the password, login on reset with a code", login_on_password_reset=True)
def login_on_reset(site: Driver) -> None:
    protected_account(site)
    site.browser()
    site.ask_reset(ANN)
    site.reset(ANN)
    site.factors.verify(code=site.factors.app.next_code())
    site.check_session()


@social("mfa: log in with a code", mfa=True, email_verification="optional")
def social_login(site: Driver) -> None:
    protected_account(site)
    site.arrive(OTHER, "connect")
    site.browser()
    site.arrive(OTHER)
    site.check_session()
    site.factors.verify(code=site.factors.app.next_code())
    site.check_session()


@social("mfa: log in by e-mail with a code", mfa=True, email_verification="optional", login_by_email=True)
def social_login_by_email(site: Driver) -> None:
    protected_account(site)
    site.browser()
    site.arrive(KNOWN)
    site.check_session()
    site.factors.verify(code=site.factors.app.next_code())
    site.check_session()
