"""Reads settings from a TOML file and from environment variables."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from authhost.errors import ConfigurationError

ENV_PREFIX = "AUTHHOST_"


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file; raises `ConfigurationError`. ``[plugins.NAME]`` becomes ``plugin_settings``."""
    try:
        values: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        hint = "; set the list of plugins by AUTHHOST_PLUGINS" if "('plugins'," in str(error) else ""
        raise ConfigurationError(f"cannot read {path}: {error}{hint}") from error
    if isinstance(values.get("database_url"), str):
        values["database_url"] = _absolute_sqlite_url(Path(path), values["database_url"])
    tables = values.pop("plugins", {})
    if isinstance(tables, list):
        values["plugins"] = tables
    else:
        values["plugin_settings"] = tables
    return values


def _absolute_sqlite_url(toml: Path, url: str) -> str:
    """Return ``url`` with an absolute path of the SQLite file, relative to the folder of the TOML file.

    Raises `ConfigurationError` if the file does not exist there but in the current
    folder, which former versions used: otherwise an empty database would replace it.
    """
    scheme, slashes, name = url.partition(":///")
    if (
        scheme.partition("+")[0] != "sqlite"
        or not slashes
        or name.startswith(("/", ":", "file:"))
        or not name
    ):
        return url
    plain, folder = name.partition("?")[0], os.path.dirname(os.path.abspath(toml))
    file, here = Path(folder, plain), Path(plain).absolute()
    if here != file and here.exists() and not file.exists():
        raise ConfigurationError(
            f"database_url in {toml} means {file}, which does not exist, but {here} does; "
            "write the complete path of the database"
        )
    from sqlalchemy import make_url  # quotes the path as this version of SQLAlchemy parses it

    return make_url(url).set(database=f"{folder}/{plain}").render_as_string(hide_password=False)


def read_environment(cls: type) -> dict[str, Any]:
    """Return the fields of ``cls`` that environment variables set; raises `ConfigurationError`."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        text = os.environ.get(ENV_PREFIX + name.upper())
        if text is None:
            continue
        kinds = [get_origin(kind) for kind in (hint, *get_args(hint))]
        if tuple in kinds:
            parts = tuple(part.strip() for part in text.split(",") if part.strip())
            # A single key may contain a comma, so this is a list only where each part can be a key.
            single = name == "secret_key" and (len(parts) < 2 or any(len(part) < 32 for part in parts))
            found[name] = text if single else parts
        elif Mapping in kinds and bool not in get_args(hint):
            raise ConfigurationError(f"{ENV_PREFIX}{name.upper()} can only be set in the TOML file")
        else:
            found[name] = text
    return found


def table_environment(kind: str) -> Iterator[tuple[str, str, str]]:
    """Yield ``AUTHHOST_PLUGINS__EMAIL__SMTP_HOST=…`` as ("email", "smtp_host", "…")."""
    for variable, text in os.environ.items():
        if (found := setting_of_table(kind, variable)) is not None:
            yield *found, text


def setting_of_table(kind: str, variable: str) -> tuple[str, str] | None:
    """Return the table and the setting that a variable names, or None: their letters may be capitals."""
    parts = variable.split("__")
    return (parts[1].lower(), parts[2].lower()) if parts[0] == ENV_PREFIX + kind and len(parts) == 3 else None
