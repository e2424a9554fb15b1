"""Create the project of a new plugin from templates (``authhost plugins new``)."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from authhost_hookspecs import CONTRACT_VERSION

NAME = re.compile(r"(?!.*(__|_$))[a-z][a-z0-9_]{0,30}")
"""No _ at the end and no two _ in a row: names of distributions do not allow them."""
SUFFIX = ".template"


class InvalidName(ValueError):
    """The name cannot be part of the names of a module, a table and an environment variable."""


def write_project(name: str, directory: Path) -> Path:
    """Write the project ``authhost-NAME`` into ``directory``; return its folder.

    Raises `InvalidName`, and ``FileExistsError`` if the folder exists.
    """
    if not NAME.fullmatch(name):
        raise InvalidName(
            f"{name!r} cannot be the name of a plugin; use lower-case letters, digits and single _, "
            "such as doorbell"
        )
    project = directory / f"authhost-{name.replace('_', '-')}"
    if project.exists():
        raise FileExistsError(f"{project} already exists; choose another name or another --directory")
    words = {
        "name": name,
        "distribution": project.name,
        "package": f"authhost_{name}",
        "title": name.replace("_", " ").capitalize(),
        "kind": "".join(part.capitalize() for part in name.split("_")),
        "contract": CONTRACT_VERSION,
        "next_contract": str(int(CONTRACT_VERSION.partition(".")[0]) + 1),
    }
    _copy(files(__name__) / "template", project, words)
    return project


def _copy(source: Traversable, target: Path, words: dict[str, str]) -> None:
    target.mkdir(parents=True)
    for each in source.iterdir():
        name = each.name.removesuffix(SUFFIX)
        name = name.replace("PACKAGE", words["package"]).replace("NAME", words["name"])
        if each.is_dir():
            if each.name != "__pycache__":
                _copy(each, target / name, words)
            continue
        text = Template(each.read_text(encoding="utf-8")).substitute(words)
        (target / name).write_text(text, encoding="utf-8")
