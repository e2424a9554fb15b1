"""A login that a provider has vouched for, while it is being processed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from authhost.errors import InvalidInput, SocialAccountTaken
from authhost.records import SocialAccount, SocialEmail, SocialToken, User
from authhost.security.inputs import email as parse_email
from authhost.store import queries, statements

if TYPE_CHECKING:
    import authhost_hookspecs as contract

    from authhost.providers.app import App
    from authhost.request import Request

MOST_EMAILS = 10


class SocialLogin:
    """What `pre_social_login` and its like are handed (`authhost_hookspecs.SocialLogin`)."""

    __slots__ = (
        "_account",
        "_matched",
        "_process",
        "_request",
        "_token",
        "_user",
        "app",
        "email_addresses",
        "tried",
    )

    def __init__(
        self,
        request: Request,
        app: App,
        process: str,
        account: SocialAccount,
        *,
        token: SocialToken | None,
        email_addresses: tuple[SocialEmail, ...],
        user: User | None,
    ) -> None:
        self._request: Request | None = request
        self._process, self._account, self._token, self._user = process, account, token, user
        self._matched = user
        self.app, self.email_addresses = app, email_addresses
        self.tried = False

    @property
    def process(self) -> str:
        """What was begun: ``login``, ``connect`` or ``redirect``."""
        return self._process

    @property
    def account(self) -> SocialAccount:
        """The account at the provider."""
        self._look_again()
        return self._account

    @property
    def token(self) -> SocialToken | None:
        """The provider's token, or None."""
        return self._token

    @property
    def user(self) -> User | None:
        """The local account that it leads to, or None when there is none yet."""
        self._look_again()
        return self._user

    @property
    def is_existing(self) -> bool:
        """Whether the account at the provider is connected to a local one."""
        return self.account.id is not None

    def connect(self, request: contract.Request, user: contract.User) -> None:
        """Connect to ``user``, from inside `pre_social_login`.

        What is written here stands or falls with the plugin's call. Raises
        ``ValueError`` where there is nothing to connect (any more), and
        `SocialAccountTaken` where somebody else was faster.
        """
        if self._request is None or self.is_existing:
            raise ValueError("this sociallogin cannot be connected: it is connected already, or over")
        account = replace(self._account, id=request.new_id(), user_id=user.id)
        self.tried = True
        try:
            with request.db.begin_nested():
                request.db.execute(statements.LOCK_USER, {"of_user": user.id})
                request.db.execute(statements.INSERT_SOCIAL_ACCOUNT, account.values())
        except IntegrityError as error:
            raise SocialAccountTaken from error

    def becomes(self, account: SocialAccount, user: User) -> None:
        """The flow has connected or refreshed it."""
        self._account, self._user = account, user

    def close(self) -> None:
        """`pre_social_login` is over."""
        self._look_again()
        self._request = None

    def _look_again(self) -> None:
        """After a try to connect, the database knows what became of it: a failed call was undone."""
        if not self.tried or self._request is None:
            return
        found = queries.social_account(self._request, self._account.issuer, self._account.uid)
        if found is None or found.user_id is None:
            self._account, self._user = replace(self._account, id=None, user_id=None), self._matched
            return
        account = queries.account_by_id(self._request, found.user_id)
        self._account, self._user = found, account.user if account else None

    def __repr__(self) -> str:
        return f"SocialLogin(process={self._process!r}, account={self._account!r})"


def email_addresses(app: App, named: tuple[contract.ProviderEmail, ...]) -> tuple[SocialEmail, ...]:
    """The addresses that can be used, the preferred one first, each once."""
    found: dict[str, SocialEmail] = {}
    for each in sorted(named, key=lambda email: (not email.primary, not email.verified)):
        try:
            given = parse_email(each.email)
        except InvalidInput:
            continue
        verified = each.verified is True and app.trusts_emails
        found.setdefault(given.key, SocialEmail(given.address, verified, bool(each.primary)))
    return tuple(found.values())[:MOST_EMAILS]


def usable_email(sociallogin: SocialLogin) -> SocialEmail | None:
    """The address of an account that this person signs up with: a verified one before others."""
    addresses = sociallogin.email_addresses
    return next((each for each in addresses if each.verified), addresses[0] if addresses else None)
