"""What all parts of one web layer share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authhost_hookspecs import Field

from authhost.host import AuthHost
from authhost.web.cookies import Cookies
from authhost.web.origins import OriginCheck
from authhost.web.plugins import PluginRoutes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WebContext:
    """The parts of one web layer that a visit, the pages and the endpoints use."""

    host: AuthHost
    root: str
    """The path of the application on its site; empty if it is the whole site."""
    prefix: str
    """The prefix of the paths in links: ``root`` and the setting ``web_prefix``."""
    cookies: Cookies
    origins: OriginCheck
    fields: Mapping[str, tuple[Field, ...]]
    """The fields of each endpoint, by its path below the prefix."""
    plugins: PluginRoutes
