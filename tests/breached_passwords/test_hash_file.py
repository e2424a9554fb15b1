"""The binary search in a file of hashes."""

from __future__ import annotations

from math import inf

import pytest
from authhost_breached_passwords.errors import LookupFailed
from authhost_breached_passwords.hash_file import UnusableFile, check_file, count_in_file, search
from hypothesis import given, strategies as st

HASHES = st.integers(0, 16**40 - 1).map("{:040X}".format)
# Close to each other, so that neighbours and common prefixes occur.
CLOSE = st.integers(0, 300).map("ABCDE{:035X}".format)
COUNTS = st.none() | st.integers(1, 10**9)


def lookup(text: bytes, digest: str) -> float:
    return search(lambda offset, size: text[offset : offset + size], len(text), digest)


def content(counts, end="\n", last_end=True) -> bytes:
    lines = [each if count is None else f"{each}:{count}" for each, count in sorted(counts.items())]
    return (end.join(lines) + (end if last_end and lines else "")).encode()


@given(
    counts=st.dictionaries(HASHES | CLOSE, COUNTS, min_size=1, max_size=60),
    others=st.lists(HASHES | CLOSE, max_size=20),
    end=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
)
def test_the_result_is_that_of_a_dictionary(counts, others, end, last_end):
    text = content(counts, end, last_end)
    for digest in [*counts, *others]:
        expected = counts.get(digest, 0)
        assert lookup(text, digest) == (inf if expected is None else expected)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_end", [True, False])
def test_one_line(end, last_end):
    digest = "5" * 40
    text = content({digest: 7}, end, last_end)
    assert lookup(text, digest) == 7
    assert lookup(text, "4" * 40) == lookup(text, "6" * 40) == 0


def test_the_ends_of_a_prefix():
    first, last = "ABCDE" + "0" * 35, "ABCDE" + "F" * 35
    text = content({"ABCDD" + "F" * 35: 1, first: 2, last: 3, "ABCDF" + "0" * 35: 4})
    assert [lookup(text, each) for each in (first, last)] == [2, 3]
    assert lookup(text, "ABCDE" + "0" * 34 + "1") == 0


def test_a_file_of_40_gigabytes_is_searched_with_few_reads():
    line, step, total = 44, 16**40 // 10**9, 10**9
    reads = []

    def read(offset: int, size: int) -> bytes:
        reads.append(size)
        first = offset // line
        lines = b"".join(
            f"{number * step:040X}:7\r\n".encode() for number in range(first, min(first + 4, total))
        )
        return lines[offset % line :][:size]

    assert line * total > 40 * 10**9
    for number in (0, 1, total // 3, total - 1):
        assert search(read, line * total, f"{number * step:040X}") == 7
        assert search(read, line * total, f"{number * step + 1:040X}") == 0
    assert len(reads) < 8 * 2 * 40
    assert max(reads) <= 128


def test_lower_case():
    assert lookup(content({"ABCDE" + "0" * 35: 5}).lower(), "ABCDE" + "0" * 35) == 5


@pytest.mark.parametrize("last", ["F" * 39, "F" * 40 + ":", "F" * 40 + ":1\nF", "\n", "\0" * 44])
@pytest.mark.parametrize("digest", ["0" * 40, "A" * 40, "F" * 40])
def test_a_file_that_was_cut_off_is_no_answer_for_any_hash(last, digest):
    text = content({f"{number:X}" * 40: 1 for number in range(10)}) + last.encode()
    with pytest.raises(UnusableFile, match="a line that is not a hash"):
        lookup(text, digest)


@pytest.mark.parametrize(("text", "problem"), [(b"", "it is empty"), (b"AB", "not a hash")])
def test_an_empty_file_and_a_part_of_a_line_are_no_answer(tmp_path, text, problem):
    (tmp_path / "hashes.txt").write_bytes(text)
    with pytest.raises(UnusableFile, match=problem):
        count_in_file(str(tmp_path / "hashes.txt"), "A" * 40)


@pytest.mark.parametrize(
    "text", [b"<html>not hashes</html>\n" * 50, b"x" * 10_000, b"\n\n\n", b"\xef\xbb\xbf" + b"0" * 40]
)
def test_a_line_that_is_no_hash(text, tmp_path):
    path = tmp_path / "hashes.txt"
    path.write_bytes(text)
    with pytest.raises(UnusableFile, match=r"hashes\.txt is not usable: it has a line that is not a hash"):
        count_in_file(str(path), "A" * 40)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(LookupFailed, match=r"nowhere\.txt cannot be read: No such file"):
        count_in_file(str(tmp_path / "nowhere.txt"), "A" * 40)
    with pytest.raises(LookupFailed, match="it is not a path"):
        count_in_file("a\0b", "A" * 40)


def test_a_new_file_is_used_at_once(hash_file):
    path = hash_file({"old": 1})
    digest = "A9993E364706816ABA3E25717850C26C9CD0D89D"  # the SHA-1 test vector of "abc"
    assert count_in_file(path, digest) == 0
    assert count_in_file(hash_file({"abc": 9}), digest) == 9


# `authhost check`.


@given(counts=st.dictionaries(HASHES, COUNTS, min_size=1, max_size=60), end=st.sampled_from(["\n", "\r\n"]))
def test_a_sorted_file_is_usable(tmp_path_factory, counts, end):
    path = tmp_path_factory.mktemp("hashes") / "hashes.txt"
    path.write_bytes(content(counts, end))
    check_file(str(path))
    path.write_bytes(content(counts, end, last_end=False))
    check_file(str(path))


def big(tmp_path, change):
    lines = [f"{number * 16**36:040X}:1" for number in range(3000)]
    change(lines)
    path = tmp_path / "hashes.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (list.reverse, "is not larger than the lines before it"),
        (lambda lines: lines.sort(key=lambda line: line[::-1]), "is not larger than the lines before it"),
        (lambda lines: lines.append("0" * 40), "is not larger than the lines before it"),
        (lambda lines: lines.append("the end"), "is not a SHA-1 hash in hex"),
        (lambda lines: lines.insert(0, "HASH:COUNT"), "at byte 0 is not a SHA-1 hash in hex"),
        (list.clear, "at byte 0 is not a SHA-1 hash in hex"),
        (lambda lines: lines.insert(1500, "x" * 5000), "not a SHA-1 hash in hex|a line that is not a hash"),
    ],
)
def test_an_unusable_file(tmp_path, change, problem):
    with pytest.raises(UnusableFile, match=problem):
        check_file(big(tmp_path, change))


def test_an_empty_file_is_unusable(tmp_path):
    (tmp_path / "hashes.txt").touch()
    with pytest.raises(UnusableFile, match="it is empty"):
        check_file(str(tmp_path / "hashes.txt"))


def test_a_big_file_is_usable(tmp_path):
    check_file(big(tmp_path, lambda lines: None))
