"""Earlier versions of the contract and their hosts, from the history of this repository."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MARKERS = "hookspecs/authhost_hookspecs/_markers.py"
"""The file that states the version of the contract."""


def last_commit_with(contract: str) -> str:
    """Return the last commit of the main line with a version of the contract, such as ``1.0``.

    Raises `LookupError` without the history, as in an archive or a shallow clone.
    """
    line = f'CONTRACT_VERSION: Final = "{contract}"'
    found = _git("log", "--first-parent", "--format=%H", f"-S{line}", "--", MARKERS).decode().split()
    # The search finds the commits that add or remove the line; the newest has removed it.
    before = f"{found[0]}^" if found else "HEAD"
    if line not in _git("show", f"{before}:{MARKERS}").decode():
        raise LookupError(f"SKIPPED: the history of this clone has no commit with contract {contract}")
    return _git("rev-parse", before).decode().strip()


def export(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a new folder, and return it."""
    with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=False)
    except OSError as error:
        raise LookupError(f"SKIPPED: git does not run: {error}") from None
    if done.returncode:
        raise LookupError(f"SKIPPED: git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout
