"""Former module names, which work with a warning for one minor version."""

from __future__ import annotations

import pytest
from authhost_analytics import erasure, forgetting, rolling, rollup


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (rolling, "roll_up", rollup.roll_up),
        (rolling, "Busy", rollup.Busy),
        (forgetting, "forget", erasure.erase_user),
    ],
)
def test_a_former_name_is_an_alias(module, name, value):
    with pytest.warns(DeprecationWarning, match="is deprecated: import"):
        assert getattr(module, name) is value


@pytest.mark.parametrize("module", [rolling, forgetting])
def test_an_unknown_name_is_an_error(module):
    with pytest.raises(AttributeError):
        _ = module.unknown
