"""Disk space of each distribution with its dependencies: ``python tests/benchmarks/install_size.py``.

Builds the five distributions of the checkout as wheels, installs each of them into a folder of its own
with pip, and adds up the sizes of the files that pip recorded, bytecode included. Needs pip and access
to a package index. The operating system's Python and pip itself are not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common import Options, Report

CHECKOUT = Path(__file__).resolve().parents[2]
CONTRACT = "authhost-hookspecs"
SOURCES = {
    CONTRACT: "hookspecs",
    "authhost": ".",
    "authhost-audit": "plugins/audit",
    "authhost-email": "plugins/email",
    "authhost-analytics": "plugins/analytics",
}
"""The folder of each distribution's ``pyproject.toml``."""
MEGABYTE = 10**6
LARGEST = 3
NOTE = "MB are 10^6 bytes of files as pip leaves them, bytecode included."


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each distribution that is installed in ``folder``, by its name."""
    return {each.name: _size(each) for each in distributions(path=[str(folder)])}


def _size(distribution: Distribution) -> int:
    found = (Path(str(file.locate())) for file in distribution.files or ())
    return sum(path.stat().st_size for path in found if path.is_file())


def install(name: str, wheels: Path, folder: Path) -> dict[str, int]:
    """Install a distribution from ``wheels`` and its dependencies from the index; return `sizes`."""
    wanted = [_wheel(each, wheels) for each in dict.fromkeys((CONTRACT, name))]
    _pip("install", "--target", str(folder), *map(str, wanted))
    return sizes(folder)


def build(wheels: Path) -> None:
    """Build a wheel of each distribution of the checkout."""
    _pip("wheel", "--no-deps", "-w", str(wheels), *(str(CHECKOUT / source) for source in SOURCES.values()))


def _wheel(name: str, wheels: Path) -> Path:
    [found] = wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return found


def _pip(command: str, *arguments: str) -> None:
    options = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", command, *options, *arguments], check=True)


def rows() -> list[dict[str, Any]]:
    """Return a row for each distribution: MB as floats, and the largest dependencies with their MB."""
    made = []
    with TemporaryDirectory() as temporary:
        wheels = Path(temporary) / "wheels"
        build(wheels)
        for name in SOURCES:
            found = install(name, wheels, Path(temporary) / name)
            own = found.pop(name)
            largest = sorted(found, key=lambda each: (-found[each], each))[:LARGEST]
            made.append(
                {
                    "distribution": name,
                    "MB own": round(own / MEGABYTE, 2),
                    "MB with dependencies": round((own + sum(found.values())) / MEGABYTE, 1),
                    "largest dependencies": {each: round(found[each] / MEGABYTE, 1) for each in largest},
                }
            )
    return made


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a table: the largest dependencies as one text."""
    largest = row["largest dependencies"]
    return {**row, "largest dependencies": ", ".join(f"{name} {size}" for name, size in largest.items())}


def measure(options: Options) -> Report:
    """The same as a group of ``run.py``. ``options`` change nothing: there is one round."""
    from common import Report

    return Report("Install size", NOTE, [as_text(row) for row in rows()])


def main() -> None:
    """Measure and print a table, or a JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print a JSON document instead of a table")
    given = parser.parse_args()
    found = rows()
    if given.json:
        print(json.dumps({"python": platform.python_version(), "distributions": found}, indent=2))
        return
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}. {NOTE}\n")
    print("| " + " | ".join(found[0]) + " |")
    print("| " + " | ".join("---" for _ in found[0]) + " |")
    for row in found:
        print("| " + " | ".join(str(value) for value in as_text(row).values()) + " |")


if __name__ == "__main__":
    main()
