"""Login by e-mail match: the provider vouches for an address that a local account has.

Only where the operator allows it for the provider (`ProviderSettings.login_by_email`),
and only for addresses that the provider has verified and is trusted about.
"""

from __future__ import annotations

from authhost.account.recovery import recover_account
from authhost.account.verification import complete_signup
from authhost.records import SocialEmail, User
from authhost.request import Request
from authhost.security.inputs import email_key
from authhost.socialaccount.accounts import ConnectedMeanwhile
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store import queries


def match_by_email(request: Request, addresses: tuple[SocialEmail, ...]) -> User | None:
    """The account that has one of the verified addresses, or None; first one that has verified it, too."""
    keys = [email_key(each.email) for each in addresses if each.verified]
    claimed = [found for key in keys if (found := queries.claimed_address(request, key)) is not None]
    for address in sorted(claimed, key=lambda each: not each.verified):
        account = queries.account_by_id(request, address.user_id)
        if account is not None:
            return account.user
    return None


def connect_match(request: Request, sociallogin: SocialLogin, user: User) -> User:
    """Make ``user``'s account ready to be connected; return the user as it is now.

    Where the address was never verified here, somebody else may have planted
    the account: all ways in that were there before go first.
    """
    queries.lock_account(request, user.id)
    keys = {email_key(each.email) for each in sociallogin.email_addresses if each.verified}
    local = [each for each in queries.addresses(request, user.id) if email_key(each.email) in keys]
    claimed = [each for each in local if each.verified or each.primary]
    if not claimed:
        raise ConnectedMeanwhile
    if not any(each.verified for each in claimed):
        complete_signup(request, recover_account(request, user, claimed[0]))
    account = queries.account_by_id(request, user.id)
    if account is None:
        raise ConnectedMeanwhile
    return account.user
