"""The markers of this contract, and its version."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT_NAME: Final = "authhost"
"""The name under which pluggy finds the specs and the implementations; also the entry-point group."""

CONTRACT_VERSION: Final = "1.1"
"""The semantic version of the contract, apart from the version of any distribution."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
