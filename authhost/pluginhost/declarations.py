"""Checks what a plugin declares when it is loaded: its version of the contract, its settings, its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import Distribution
from importlib.util import find_spec
from string import Formatter
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import authhost_hookspecs as contract

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.results import check_ran

T = TypeVar("T")
Implementations = Mapping[str, Callable[[], Any]]
FIELD_TYPES = (str, int, float, bool)


class PluginRefused(Exception):
    """A plugin was refused. The text is a sentence that says why, and what to do."""


def check_contract(distribution: Distribution | None) -> None:
    """Compare the version range of the plugin's distribution with the contract version of this host."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in (distribution.requires if distribution is not None else None) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name != "authhost-hookspecs":
            continue
        if not requirement.specifier.contains(contract.CONTRACT_VERSION, prereleases=True):
            raise PluginRefused(
                f"it needs contract {requirement.specifier}, this host has {contract.CONTRACT_VERSION}; "
                "install a release of the plugin for this contract"
            )


def declared_settings(implementations: Implementations) -> type[Any] | None:
    """Return the dataclass of a plugin's settings, or None. Every field must have a default."""
    kind = _declared(implementations, "register_settings", type)
    if kind is None:
        return None
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginRefused(f"its settings {kind.__name__} must be a frozen dataclass")
    hints = get_type_hints(kind)
    for each in fields(kind):
        if each.default is MISSING and each.default_factory is MISSING:
            raise PluginRefused(f"its setting {each.name} has no default; every setting must be optional")
        hint = hints[each.name]
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if not all(one in (*FIELD_TYPES, NoneType) for one in kinds):
            raise PluginRefused(
                f"its setting {each.name} must be a str, int, float or bool, or one of these | None, "
                "since environment variables can set it"
            )
    return kind


def declared_tables(implementations: Implementations) -> contract.PluginTables | None:
    """Return a plugin's tables, or None. Their migrations and what they name must exist."""
    tables = _declared(implementations, "register_tables", contract.PluginTables)
    if tables is not None and not _is_package(tables.migrations):
        raise PluginRefused(
            f"register_tables names the migrations {tables.migrations!r}, which is not an importable package"
        )
    known = getattr(tables.metadata, "tables", {}) if tables is not None else {}
    for table in tables.retained if tables is not None else ():
        if table not in known:
            raise PluginRefused(
                f"register_tables names the retained table {table!r}, which is not in its metadata; "
                "correct the name"
            )
    for column, purpose in tables.sealed.items() if tables is not None else ():
        _check_sealed(known, column, purpose)
    return tables


def _check_sealed(tables: Any, column: str, purpose: str) -> None:
    name, _, of_table = column.partition(".")
    table = tables.get(name)
    if table is None or of_table not in table.columns:
        raise PluginRefused(
            f"register_tables names the sealed column {column!r}, which is not in its metadata; "
            "write it as table.column"
        )
    unknown = [each for _, each, *_ in Formatter().parse(purpose) if each and each not in table.columns]
    if unknown:
        raise PluginRefused(
            f"register_tables names the column {unknown[0]!r} in the purpose of {column}, which {name} "
            "does not have; correct the name"
        )
    if len(table.primary_key) != 1:
        raise PluginRefused(
            f"register_tables names the sealed column {column!r}, but the primary key of its table is not "
            "one column; add an identifier"
        )


def _is_package(name: str) -> bool:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.submodule_search_locations is not None


def _declared(implementations: Mapping[str, Callable[[], Any]], hook: str, kind: type[T]) -> T | None:
    """Call a ``register_…`` hook of one plugin. Returns None if the plugin does not implement it."""
    if hook not in implementations:
        return None
    try:
        declared = implementations[hook]()
        check_ran(declared)
    except PLUGIN_FAILURES as error:
        raise PluginRefused(
            f"{hook} failed ({type(error).__name__}: {error}); repair or uninstall it, or block it"
        ) from error
    if not isinstance(declared, kind):
        raise PluginRefused(f"{hook} must return a {kind.__name__}, not {type(declared).__name__}")
    return declared
