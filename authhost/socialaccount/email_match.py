"""Login by e-mail match: connect an account at a provider to the local account with the same address.

Requires the setting `ProviderSettings.login_by_email`. Only addresses count that
the provider has verified and is trusted to verify (`ProviderSettings.trust_emails`).
"""

from __future__ import annotations

from authhost.account.recovery import recover_account
from authhost.account.verification import complete_signup
from authhost.records import SocialEmail, User
from authhost.request import Request
from authhost.security.inputs import email_key
from authhost.socialaccount.accounts import ConcurrentChange
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store import queries


def find_user_by_email(request: Request, addresses: tuple[SocialEmail, ...]) -> User | None:
    """Return the user with one of the verified addresses, or None.

    An account that has verified its address comes before one that has not.
    """
    keys = [email_key(each.email) for each in addresses if each.verified]
    claimed = [found for key in keys if (found := queries.claimed_address(request, key)) is not None]
    for address in sorted(claimed, key=lambda each: not each.verified):
        account = queries.account_by_id(request, address.user_id)
        if account is not None:
            return account.user
    return None


def prepare_matched_account(request: Request, sociallogin: SocialLogin, user: User) -> User:
    """Prepare the account of ``user`` for the connection; return its current data.

    If the address was never verified here, an attacker may have created the account
    in advance (pre-hijacking). In this case all existing login methods are removed.
    Raises `ConcurrentChange`.
    """
    queries.lock_account(request, user.id)
    keys = {email_key(each.email) for each in sociallogin.email_addresses if each.verified}
    local = [each for each in queries.addresses(request, user.id) if email_key(each.email) in keys]
    claimed = [each for each in local if each.verified or each.primary]
    if not claimed:
        raise ConcurrentChange
    if not any(each.verified for each in claimed):
        complete_signup(request, recover_account(request, user, claimed[0]))
    account = queries.account_by_id(request, user.id)
    if account is None:
        raise ConcurrentChange
    return account.user
