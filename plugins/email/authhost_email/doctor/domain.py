"""Checks the DNS records of the sender's domain, if dnspython is installed (``authhost-email[dns]``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

from authhost_email.doctor.results import Result
from authhost_email.redaction import redact

if TYPE_CHECKING:
    from dns.resolver import Resolver

INSTALL = "pip install 'authhost-email[dns]'"


def create_resolver(timeout: float) -> Resolver:
    """Return a resolver that uses the name servers of this machine. ``timeout`` is in seconds, per record.

    Raises ``ImportError`` if dnspython is not installed, and ``dns.exception.DNSException``
    if the machine has no name servers.
    """
    from dns.resolver import Resolver

    resolver = Resolver()
    resolver.lifetime = timeout
    return resolver


def examine_domain(domain: str, create: Callable[[], Resolver]) -> Iterator[Result]:
    """Yield a result for each record that receiving servers check: MX, SPF and DMARC.

    ``domain`` is in ASCII. DKIM is not checked, since the selector is known to the
    mail server only.
    """
    if _is_local(domain):
        yield Result("skipped", "domain", f"{domain} is no domain of the Internet, so its DNS is not checked")
        return
    try:
        from dns.exception import DNSException
    except ImportError:
        found = f"MX, SPF and DMARC of {domain} are not checked, because dnspython is not installed"
        yield Result("skipped", "domain", found, INSTALL)
        return
    try:
        resolver = create()
        mx = _examine_mx(resolver, domain)
        yield mx
        if mx.level != "error":
            yield _examine_spf(resolver, domain)
            yield _examine_dmarc(resolver, domain)
    except DNSException as error:
        found = f"the DNS records of {domain} cannot be read: {redact(str(error) or type(error).__name__)}"
        yield Result("warning", "domain", found, "check the name servers of this machine and of the domain")


def _is_local(domain: str) -> bool:
    try:
        ip_address(domain.strip("[]").removeprefix("IPv6:"))
    except ValueError:
        return "." not in domain or domain == "localhost.localdomain"
    return True


def _examine_mx(resolver: Resolver, domain: str) -> Result:
    """MX and, without one, the address of the domain (RFC 5321, section 5.1; RFC 7505 for the null MX)."""
    from dns.resolver import NXDOMAIN, NoAnswer

    remedy = f"add an MX record to {domain}, or set from_address to an address that receives mail"
    try:
        found = resolver.resolve(domain, "MX")
    except NXDOMAIN:
        return Result("error", "mx", f"the domain {domain} does not exist", "correct from_address")
    except NoAnswer:
        for kind in ("A", "AAAA"):
            if resolver.resolve(domain, kind, raise_on_no_answer=False).rrset is not None:
                return Result("ok", "mx", f"{domain} has no MX record; its {kind} record replaces it")
        return Result(
            "warning", "mx", f"{domain} receives no mail, so many servers refuse it as a sender", remedy
        )
    names = [str(each.exchange).rstrip(".") for each in sorted(found, key=lambda each: each.preference)]
    if names == [""]:
        return Result("warning", "mx", f"{domain} says that it receives no mail (null MX)", remedy)
    return Result("ok", "mx", f"{domain} receives mail at {', '.join(names)}")


def _examine_spf(resolver: Resolver, domain: str) -> Result:
    """RFC 7208. Whether the record allows the server that finally sends is not known here."""
    found = [each for each in _texts(resolver, domain) if f"{each.lower()} ".startswith("v=spf1 ")]
    if not found:
        remedy = f"add a TXT record to {domain} such as 'v=spf1 mx -all', with the servers that send"
        return Result("warning", "spf", f"{domain} has no SPF record", remedy)
    if len(found) > 1:
        remedy = "keep one: receivers ignore all if there are several"
        return Result("error", "spf", f"{domain} has {len(found)} SPF records", remedy)
    shown = redact(found[0])
    if {"all", "+all"} & set(found[0].lower().split()):
        return Result(
            "warning", "spf", f"everybody may send for {domain}: {shown}", "end it with -all or ~all"
        )
    return Result("ok", "spf", shown)


def _examine_dmarc(resolver: Resolver, domain: str) -> Result:
    """RFC 7489. The record of a parent domain applies, too."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        name = "_dmarc." + ".".join(labels[start:])
        for text in _texts(resolver, name):
            if text.lower().replace(" ", "").startswith("v=dmarc1"):
                return Result("ok", "dmarc", f"{name}: {redact(text)}")
    remedy = f"add a TXT record to _dmarc.{domain}, such as 'v=DMARC1; p=none; rua=mailto:…'"
    return Result("warning", "dmarc", f"{domain} has no DMARC record; large providers require one", remedy)


def _texts(resolver: Resolver, name: str) -> list[str]:
    from dns.resolver import NXDOMAIN

    try:
        found = resolver.resolve(name, "TXT", raise_on_no_answer=False)
    except NXDOMAIN:
        return []
    return [b"".join(each.strings).decode("utf-8", "replace") for each in found.rrset or ()]
