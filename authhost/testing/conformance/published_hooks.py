"""The hooks that other installed plugins publish: where they are, and values for their arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from authhost_hookspecs import User, hookimpl

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.declarations import PluginRefused
from authhost.pluginhost.discovery import installed
from authhost.pluginhost.implementations import hookspecs_of
from authhost.pluginhost.published import PublishedHook, published_hooks

OF_OUR_PLUGINS = {
    "email_delivery_failed": "authhost-email",
    "authenticator_added": "authhost-mfa",
    "authenticator_removed": "authhost-mfa",
    "authenticator_changed": "authhost-mfa",
    "authenticator_reset": "authhost-mfa",
    "authenticator_used": "authhost-mfa",
    "authentication_refused": "authhost-mfa",
    "second_factors_recovered": "authhost-mfa",
    "authentication_failed": "authhost-mfa",
    "second_factor_policy": "authhost-mfa",
}
"""The distributions of hooks that plugins of this project publish. A note names them."""
VALUES: Mapping[Any, Any] = {
    str: "example",
    bytes: b"example",
    bool: True,
    int: 1,
    float: 1.0,
    UUID: UUID(int=7),
    datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    timedelta: timedelta(minutes=5),
    list: (),
    tuple: (),
    dict: {},
    Mapping: {},
    NoneType: None,
}
"""A value of each type that an argument of a published hook may have."""


class UnknownType(TypeError):
    """There is no value for an argument of this type."""


def hooks_of_others(name: str, plugin: object) -> dict[str, PublishedHook]:
    """The hooks that the other installed plugins publish, by name. A plugin that fails publishes none."""
    found: dict[str, PublishedHook] = {}
    for publisher, source in installed():
        try:
            other = source.entry_point.load()
            register = hookspecs_of(other)
            if publisher == name or other is plugin or register is None:
                continue
            found |= {each.name: each for each in published_hooks(publisher, register.function)}
        except (PluginRefused, *PLUGIN_FAILURES):
            continue  # the check of that plugin reports it
    return found


class StandIn:
    """Publishes the hooks of a plugin, and does nothing else, so that it needs no settings."""

    def __init__(self, hooks: list[PublishedHook]) -> None:
        self._hooks = hooks

    @hookimpl
    def register_hookspecs(self) -> list[Any]:
        """The specifications of the other plugin."""
        return [each.spec for each in self._hooks]


def stand_ins(hooks: Mapping[str, PublishedHook]) -> dict[str, StandIn]:
    """A plugin for each publisher. Their names differ from those of the publishers, which are installed."""
    publishers = dict.fromkeys(each.plugin for each in hooks.values())
    return {
        f"stand_in_of_{name}": StandIn([each for each in hooks.values() if each.plugin == name])
        for name in publishers
    }


def argument_sets(hook: PublishedHook, user: User | None) -> Iterator[dict[str, Any]]:
    """The arguments of two calls: with a value for each, and with None where the type allows it.

    Raises `UnknownType` if no value is known for an argument.
    """
    hints = get_type_hints(hook.spec)
    names = hook.arguments[1:]
    full = {name: _value(name, hints.get(name, str), user) for name in names}
    yield full
    optional = {name: None for name in names if NoneType in get_args(hints.get(name))}
    if optional:
        yield full | optional


def _value(name: str, hint: Any, user: User | None) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        return get_args(hint)[0]
    if origin in (Union, UnionType):
        return _value(name, next(each for each in get_args(hint) if each is not NoneType), user)
    kind = origin or hint
    if kind is User:
        return user
    if kind in VALUES:
        return VALUES[kind]
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{each.name: _value(each.name, hints[each.name], user) for each in fields(kind)})
    raise UnknownType(f"{name} is a {getattr(kind, '__name__', kind)}")
