"""What messages say of the person and the device: words that a stranger may have chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

LINK = re.compile(r"://|(?<=\w)[.。．｡](?=[^\W\d])")
"""What mail programs make a link of: a scheme, or the dot of a domain name, unlike that of a version."""


def unlinked(text: str) -> str:
    """Words as they are, but so that no mail program makes a link of them."""
    return LINK.sub(" ", text)


def details(context: Mapping[str, str | None], when: str, _: Callable[..., str]) -> list[str]:
    """The lines of a security notice: when, from where and with what, as far as it is known."""
    found = [_("When: %(time)s") % {"time": when}]
    if context.get("ip_address"):
        found.append(_("From: %(ip)s") % {"ip": context["ip_address"]})
    agent = context.get("user_agent")
    if agent:
        found.append(_("With: %(agent)s") % {"agent": unlinked(agent)})
    return found
