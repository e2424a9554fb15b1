"""The lines of a security notice that say when, from where and with what something was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def details(context: Mapping[str, str | None], when: str, _: Callable[..., str]) -> list[str]:
    """One line for each thing that is known."""
    found = [_("When: %(time)s") % {"time": when}]
    if context.get("ip_address"):
        found.append(_("From: %(ip)s") % {"ip": context["ip_address"]})
    if context.get("user_agent"):
        found.append(_("With: %(agent)s") % {"agent": context["user_agent"]})
    return found
