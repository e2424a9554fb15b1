"""The providers that authhost knows by itself. A declaration is data; none is used until it is set up."""

from __future__ import annotations

from authhost_hookspecs import Provider

from authhost.providers.catalogue import (
    commerce,
    developers,
    identity,
    media,
    oauth1,
    regional,
    social,
    work,
)

_KINDS = (commerce, developers, identity, media, oauth1, regional, social, work)

BUILT_IN: tuple[Provider, ...] = tuple(
    sorted((each for kind in _KINDS for each in kind.PROVIDERS), key=lambda provider: provider.id)
)
"""All of them, by id."""

__all__ = ["BUILT_IN"]
