"""The flows of social login: ``host.socialaccount.begin(request, …)`` and its like.

`cookie_name` finds the name of the cookie that belongs to a callback.
"""

from authhost.socialaccount.begin import begin
from authhost.socialaccount.complete import complete
from authhost.socialaccount.connections import disconnect, list_accounts, token
from authhost.socialaccount.signup import signup
from authhost.socialaccount.steps import cookie_name


class SocialAccounts:
    """The flows of social login, under the names of the signals' documentation."""

    begin = staticmethod(begin)
    complete = staticmethod(complete)
    signup = staticmethod(signup)
    disconnect = staticmethod(disconnect)
    list_accounts = staticmethod(list_accounts)
    token = staticmethod(token)


__all__ = ["SocialAccounts", "cookie_name"]
