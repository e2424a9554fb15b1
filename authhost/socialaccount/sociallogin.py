"""A social login that is being processed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from authhost.account.flow import check_change
from authhost.errors import InvalidInput, SocialAccountTaken
from authhost.records import SocialAccount, SocialEmail, SocialToken, Unpicklable, User
from authhost.security.inputs import email as parse_email
from authhost.store import queries, statements

if TYPE_CHECKING:
    import authhost_hookspecs as contract
    from authhost_hookspecs import Factor

    from authhost.providers.app import App
    from authhost.request import Request

MAX_EMAILS = 10


class SocialLogin(Unpicklable):
    """The argument of hooks such as `pre_social_login` (see `authhost_hookspecs.SocialLogin`)."""

    __slots__ = (
        "_account",
        "_matched_user",
        "_process",
        "_request",
        "_token",
        "_user",
        "app",
        "connect_attempted",
        "email_addresses",
        "factors",
    )

    def __init__(
        self,
        app: App,
        process: str,
        account: SocialAccount,
        *,
        token: SocialToken | None,
        email_addresses: tuple[SocialEmail, ...],
        user: User | None,
        factors: tuple[Factor, ...] = (),
    ) -> None:
        self._request: Request | None = None
        """The request during `pre_social_login`."""
        self._process, self._account, self._token, self._user = process, account, token, user
        self._matched_user = user
        self.app, self.email_addresses = app, email_addresses
        self.factors = factors
        """What the person has proved at the provider, if the operator maps its claims."""
        self.connect_attempted = False

    @property
    def process(self) -> str:
        """The process given to `begin`: ``login``, ``connect`` or ``redirect``."""
        return self._process

    @property
    def account(self) -> SocialAccount:
        """The account at the provider."""
        self._reload_after_connect()
        return self._account

    @property
    def token(self) -> SocialToken | None:
        """The provider's token, or None."""
        return self._token

    @property
    def user(self) -> User | None:
        """The local user, or None if there is none yet."""
        self._reload_after_connect()
        return self._user

    @property
    def is_existing(self) -> bool:
        """Whether the account at the provider is connected to a local one."""
        return self.account.id is not None

    def connect(self, request: contract.Request, user: contract.User) -> None:
        """Connect the account to ``user``. Only possible during `pre_social_login`.

        If the plugin's call fails, the connection is rolled back. Raises
        ``ValueError`` if the account is already connected or the hook has ended,
        `SocialAccountTaken` if another request has connected the account, and `Vetoed`
        if an implementation of `before_change` refuses it.
        """
        if self._request is None or self.is_existing:
            raise ValueError("call connect() only during pre_social_login, and only if is_existing is false")
        check_change(self._request, user, "connect", provider=self.app.id)
        account = replace(self._account, id=request.new_id(), user_id=user.id)
        self.connect_attempted = True
        try:
            with request.db.begin_nested():
                request.db.execute(statements.LOCK_USER, {"of_user": user.id})
                request.db.execute(statements.INSERT_SOCIAL_ACCOUNT, account.values())
        except IntegrityError as error:
            raise SocialAccountTaken from error

    def set_connected(self, account: SocialAccount, user: User) -> None:
        """Set the account and the user that the flow has stored."""
        self._account, self._user = account, user

    @contextmanager
    def processed_by(self, request: Request) -> Iterator[None]:
        """Make this ``request.sociallogin``. If the block fails, forget what it has stored."""
        request.sociallogin, before = self, (self._account, self._user)
        try:
            yield
        except BaseException:
            self._request, self.connect_attempted = None, False
            self._account, self._user = before
            raise

    def open(self, request: Request) -> None:
        """Begin `pre_social_login`: until `close`, `connect` is possible."""
        self._request = request

    def close(self) -> None:
        """End `pre_social_login`: after this, `connect` raises ``ValueError``."""
        self._reload_after_connect()
        self._request = None

    def _reload_after_connect(self) -> None:
        """Read the account again after a call of `connect`: it is rolled back if the plugin's call fails."""
        if not self.connect_attempted or self._request is None:
            return
        found = queries.social_account(self._request, self._account.issuer, self._account.uid)
        if found is None or found.user_id is None:
            self._account, self._user = replace(self._account, id=None, user_id=None), self._matched_user
            return
        account = queries.account_by_id(self._request, found.user_id)
        self._account, self._user = found, account.user if account else None

    def __repr__(self) -> str:
        return f"SocialLogin(process={self._process!r}, account={self._account!r})"


def email_addresses(app: App, named: tuple[contract.ProviderEmail, ...]) -> tuple[SocialEmail, ...]:
    """Return the valid addresses without duplicates, primary and verified ones first."""
    found: dict[str, SocialEmail] = {}
    for each in sorted(named, key=lambda email: (not email.primary, not email.verified)):
        try:
            given = parse_email(each.email)
        except InvalidInput:
            continue
        verified = each.verified is True and app.trusts_emails
        found.setdefault(given.key, SocialEmail(given.address, verified, bool(each.primary)))
    return tuple(found.values())[:MAX_EMAILS]


def signup_email(sociallogin: SocialLogin) -> SocialEmail | None:
    """Return the address for a new account: the first verified one, or else the first one, or None."""
    addresses = sociallogin.email_addresses
    return next((each for each in addresses if each.verified), addresses[0] if addresses else None)
