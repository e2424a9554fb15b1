"""The flows of social login, such as ``host.socialaccount.begin(request, …)``.

`cookie_name` returns the name of the cookie that belongs to a callback.
"""

from authhost.socialaccount.begin import begin
from authhost.socialaccount.complete import complete
from authhost.socialaccount.connections import disconnect, list_accounts, token
from authhost.socialaccount.pending import cookie_name
from authhost.socialaccount.signup import signup


class SocialAccounts:
    """The flows of social login, with the names that django-allauth's signals documentation uses."""

    begin = staticmethod(begin)
    complete = staticmethod(complete)
    signup = staticmethod(signup)
    disconnect = staticmethod(disconnect)
    list_accounts = staticmethod(list_accounts)
    token = staticmethod(token)


__all__ = ["SocialAccounts", "cookie_name"]
