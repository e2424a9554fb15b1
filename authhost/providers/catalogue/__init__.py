"""The built-in provider declarations. A declaration is data; it is used once the provider is configured."""

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

_MODULES = (commerce, developers, identity, media, oauth1, regional, social, work)

BUILT_IN: tuple[Provider, ...] = tuple(
    sorted((each for module in _MODULES for each in module.PROVIDERS), key=lambda provider: provider.id)
)
"""All built-in declarations, sorted by id."""

__all__ = ["BUILT_IN"]
