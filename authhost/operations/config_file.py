"""Changes settings in the TOML file, and keeps its comments, order, mode and owner."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from authhost.errors import ConfigurationError

REMEDY = "; run the command with --print, and change the settings by hand"


def write_settings(
    path: Path, table: Sequence[str], values: Mapping[str, str | tuple[str, ...]], *, former: bytes
) -> None:
    """Set ``values`` in a table of the file, such as ``("plugins", "audit")``.

    An empty value removes a setting. The file is replaced in one step, so a process that reads it
    sees the former or the new one. ``former`` is the file from which the values were computed. Raises
    `ConfigurationError`, and changes nothing, if the file is another one now, if it cannot be written, or
    if another command is changing it.
    """
    path = path.resolve()  # the file itself, not a link to it
    temporary = path.with_name(f".{path.name}.new")
    try:
        # Also a lock: a second command that changes the file fails here.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"another command is changing {path}; if there is none, delete {temporary}"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be replaced: {error.strerror}{REMEDY}") from error
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            status = path.stat()
            if path.read_bytes() != former:
                raise ConfigurationError(f"{path} was changed while this command ran; run it again")
            file.write(_changed(path, former, table, values))
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # from here on, a file of that name is of another command
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigurationError(f"{path} cannot be replaced: {error.strerror}{REMEDY}") from error
        raise


def _changed(
    path: Path, former: bytes, table: Sequence[str], values: Mapping[str, str | tuple[str, ...]]
) -> str:
    """Return the text of the file with the new values; the ends of the lines stay as they are."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(former.decode())
        target = document
        for name in table:
            if name not in target:
                target[name] = tomlkit.table()
            target = target[name]
        for name, value in values.items():
            if value:
                target[name] = list(value) if isinstance(value, tuple) else value
            else:
                target.pop(name, None)
        return tomlkit.dumps(document)
    except (TOMLKitError, ValueError, TypeError, AttributeError) as error:
        where = ".".join(table)
        raise ConfigurationError(f"{path} has no table [{where}] that can be changed{REMEDY}") from error
