"""The recipes of docs/cookbook: the modules that its pages contain, by plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "cookbook"
BLOCK = re.compile(r"```python\n# (authhost_(\w+?)/[\w/]+\.py)\n(.*?)```", re.DOTALL)
PREFIX = "authhost_"


@dataclass
class Recipe:
    """A plugin on a page of the cookbook."""

    name: str
    page: Path
    files: dict[str, str] = field(default_factory=dict)
    """The source of each of its modules, by path."""


def read() -> dict[str, Recipe]:
    """All recipes by the name of the plugin, in the order of the pages."""
    found: dict[str, Recipe] = {}
    for page in sorted(FOLDER.glob("*.md")):
        for path, name, source in BLOCK.findall(page.read_text(encoding="utf-8")):
            found.setdefault(name, Recipe(name, page)).files[path] = source
    return found


def write(recipes: dict[str, Recipe], folder: Path) -> None:
    """Write the packages of all recipes into a folder, like their authors would."""
    for recipe in recipes.values():
        for path, source in recipe.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source, encoding="utf-8")
            (file.parent / "__init__.py").touch()


def untested(recipes: dict[str, Recipe]) -> Iterator[str]:
    """The recipes that have no test named after them: ``test_NAME`` or ``test_NAME_…``."""
    tests = "".join(each.read_text(encoding="utf-8") for each in Path(__file__).parent.glob("test_*.py"))
    return (name for name in recipes if not re.search(rf"def test_{name}(_\w+)?\(", tests))
