"""Renders pages as HTML with Jinja2."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import Image, Page, PageMessage
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
)

if TYPE_CHECKING:
    from authhost.settings import Settings
    from authhost.web.visit import Visit

TEMPLATES = "authhost.web_templates"
"""The entry point group of packages whose folder ``templates`` replaces templates of the pages."""
OWN_PREFIX = "authhost"
"""A template that replaces ``page.html.j2`` can extend ``authhost/page.html.j2``, the original."""


class Renderer:
    """Renders pages of one site. A template of the application has precedence, then those of plugins."""

    def __init__(self, settings: Settings, prefix: str, static: Callable[[str], str]) -> None:
        self._settings, self._prefix, self._static = settings, prefix, static

    @cached_property
    def environment(self) -> Environment:
        """The Jinja2 environment. It escapes everything, and knows no undefined names."""
        own = PackageLoader("authhost.web")
        loaders: list[BaseLoader] = []
        if self._settings.web_templates:
            loaders.append(FileSystemLoader(self._settings.web_templates))
        loaders += [PackageLoader(each.value) for each in entry_points(group=TEMPLATES)]
        loaders += [own, PrefixLoader({OWN_PREFIX: own})]
        environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["target"] = self._target
        environment.filters["data_url"] = _data_url
        return environment

    def render(self, visit: Visit, page: Page, messages: tuple[PageMessage, ...]) -> str:
        """Return the HTML of a page: from the template ``pages/ID.html.j2`` if there is one."""
        template = self.environment.select_template([f"pages/{page.id}.html.j2", "page.html.j2"])
        values: dict[str, Any] = {
            "page": page,
            "messages": (*messages, *page.messages),
            "language": visit.language.tag,
            "direction": visit.language.direction,
            "_": visit.gettext,
            "prefix": self._prefix,
            "static": self._static,
            "site_name": self._settings.site_name,
            "logo": self._settings.brand_logo,
            "home": self._settings.after_login or f"{self._prefix}/",
            "logged_in": visit.logged_in,
            "impersonated": visit.is_impersonated,
            "account_name": visit.account_name,
        }
        return template.render(values)

    def _target(self, target: str) -> str:
        """Return the URL of a link or a form: a path below the prefix, or an absolute URL as it is."""
        return target if target.startswith(("https://", "http://")) else self._prefix + target


def _data_url(image: Image) -> str:
    """Return the URL of an image. In ``<img>`` an SVG runs no scripts and loads nothing (SVG 2, 2.2.2)."""
    return f"data:image/svg+xml;base64,{b64encode(image.svg.encode()).decode()}"
