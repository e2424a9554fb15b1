"""The tests need the plugin, its library, and the virtual authenticator of the testing kit."""

from __future__ import annotations

from importlib.util import find_spec

if any(find_spec(each) is None for each in ("authhost_mfa", "webauthn", "cbor2")):
    collect_ignore_glob = ["test_*.py"]
