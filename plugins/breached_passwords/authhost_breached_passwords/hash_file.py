"""Looks up a hash in a sorted text file by binary search. The file is not loaded into memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from authhost_breached_passwords.errors import LookupFailed

LINE = re.compile(rb"([0-9A-Fa-f]{40})(?::([0-9]{1,15}))?[ \t]*\r?\n?")
MAX_LINE = 64
"""Bytes of a line, with its end."""
SAMPLES = 1000
EMPTY = "it is empty"

Read = Callable[[int, int], bytes]
"""Returns that many bytes from an offset; fewer at the end of the file."""


class UnusableFile(LookupFailed):
    """A line is not a hash, or the lines are not sorted. Only `check_file` reports the place."""


def count_in_file(path: str, digest: str) -> float:
    """Return in how many breaches a SHA-1 hash was found: 0 if it is not in the file, inf without a count.

    Every call opens the file, so it can be replaced while the host runs. Raises `LookupFailed`.
    """
    with _opened(path) as (read, size):
        return search(read, size, digest)


@contextmanager
def _opened(path: str) -> Iterator[tuple[Read, int]]:
    """Open a file; its errors, and those of its lines, name it."""
    try:
        with open(path, "rb", buffering=0) as file:

            def read(offset: int, size: int) -> bytes:
                file.seek(offset)
                return file.read(size)

            yield read, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise LookupFailed(f"the file {path} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL byte in the path
        raise LookupFailed(f"the file {path!r} cannot be read: it is not a path") from None
    except UnusableFile as error:
        raise UnusableFile(f"the file {path} is not usable: {error}") from None


def search(read: Read, size: int, digest: str) -> float:
    """Return the count of a hash in the lines of ``size`` bytes, by about log2(size) reads.

    An empty file, and a last line that is not a hash, are errors: the file was cut off, and hashes
    after that place would be missing.
    """
    if not size:
        raise UnusableFile(EMPTY)
    _parsed(_last_line(read, size)[1])
    wanted = digest.upper().encode("ascii")
    low, high = 0, size  # the line of the hash begins at low or after it, and before high
    while low < high:
        middle = (low + high) // 2
        start, line = _line_at(read, low, middle)
        if start >= high:
            high = middle
            continue
        found, count = _parsed(line)
        if found == wanted:
            return count
        if found < wanted:
            low = start + len(line)
        else:
            high = start
    return 0


def _line_at(read: Read, low: int, offset: int) -> tuple[int, bytes]:
    """Return the first line that begins at ``offset`` or later, and where. A line begins at ``low``."""
    if offset == low:
        return low, _first_line(read(low, MAX_LINE))
    text = read(offset - 1, 2 * MAX_LINE)
    newline = text.find(b"\n")
    if newline < 0:
        if len(text) >= 2 * MAX_LINE:
            raise UnusableFile("it has a line that is not a hash")
        return offset + len(text), b""
    return offset + newline, _first_line(text[newline + 1 :])


def _first_line(text: bytes) -> bytes:
    return text[: text.find(b"\n") + 1] or text


def _parsed(line: bytes) -> tuple[bytes, float]:
    match = LINE.fullmatch(line)
    if match is None:
        raise UnusableFile("it has a line that is not a hash")
    return match[1].upper(), int(match[2]) if match[2] is not None else inf


def check_file(path: str) -> None:
    """Check the first, the last and up to 1,000 other lines: each is a hash, and larger than the one before.

    Raises `LookupFailed`; the text says where.
    """
    with _opened(path) as (read, size):
        if not size:
            raise UnusableFile(EMPTY)
        _check_lines(_sample(read, size))


def _sample(read: Read, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their offsets, in the order of the file; the first and the last are among them."""
    last = -1
    for number in range(SAMPLES):
        start, line = _line_at(read, 0, size * number // SAMPLES)
        if line and start > last:
            last = start
            yield start, line
    start, line = _last_line(read, size)
    if start > last:
        yield start, line


def _last_line(read: Read, size: int) -> tuple[int, bytes]:
    """Return the last line, and where it begins."""
    end = max(size - 2 * MAX_LINE, 0)
    text = read(end, 2 * MAX_LINE)
    start = text.rfind(b"\n", 0, -1) + 1
    return end + start, text[start:]


def _check_lines(lines: Iterator[tuple[int, bytes]]) -> None:
    before = b""
    for offset, line in lines:
        try:
            digest, _ = _parsed(line)
        except UnusableFile:
            raise UnusableFile(f"the line at byte {offset} is not a SHA-1 hash in hex") from None
        if digest <= before:
            raise UnusableFile(f"the line at byte {offset} is not larger than the lines before it")
        before = digest
