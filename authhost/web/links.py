"""The links of e-mails: their key is in a cookie of the browser, and the form names its link."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from authhost_hookspecs import Values

from authhost.errors import InvalidKey
from authhost.security.keys import digest
from authhost.web.fields import LINK_LENGTH
from authhost.web.visit import Visit


def link_id(key: str) -> str:
    """Return what a form calls the link with a key. It does not reveal the key, which is random."""
    return digest(key).hex()[:LINK_LENGTH]


@contextmanager
def key_of_link(visit: Visit, cookie: str, values: Values) -> Iterator[str]:
    """Yield the key of a link: the ``key`` of a program, or that in a browser's ``cookie``.

    A link that is opened later in another tab, perhaps of another account, replaces the
    cookie. The form of the earlier link is refused then. When the block ends, or refuses the key, the
    cookie is deleted. Raises `InvalidKey`.
    """
    key = str(values["key"]) or visit.cookie(cookie)
    if values["link"] and values["link"] != link_id(key):
        raise InvalidKey
    try:
        yield key
    except InvalidKey:
        visit.take_cookie(cookie)
        raise
    visit.take_cookie(cookie)
