"""The markers of this contract, and its version."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT_NAME: Final = "authhost"
"""The name by which pluggy finds specifications and implementations; also the entry point group."""

CONTRACT_VERSION: Final = "1.1"
"""The semantic version of the contract. It is independent of the version of any distribution."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
