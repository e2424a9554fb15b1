"""The former names of modules and attributes, which warn."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module, reload

import pytest

import authhost
from authhost._moved import MOVED


@pytest.mark.parametrize("former", sorted(MOVED))
def test_a_former_name_gives_the_module_and_warns(former: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, former, raising=False)
    with pytest.warns(DeprecationWarning, match=MOVED[former]):
        module = import_module(former)
    assert module is import_module(MOVED[former])
    assert module.__spec__ is not None
    assert module.__spec__.name == module.__name__ == MOVED[former]


def test_a_module_that_never_was_is_missing() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module("authhost.never_was")


def test_the_finder_is_installed_once() -> None:
    before = len(sys.meta_path)
    reload(authhost)
    assert len(sys.meta_path) == before


def test_parts_of_a_host_warn_at_their_former_place(make_host) -> None:
    host = make_host()
    with pytest.warns(DeprecationWarning, match="host.services.passwords"):
        assert host.passwords is host.services.passwords
    with pytest.raises(AttributeError):
        _ = host.never_was


def test_import_authhost_loads_nothing_heavy_for_the_former_names() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import authhost; "
        "print({'importlib.abc', 'tempfile'} & set(sys.modules))"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
