"""The former name of `authhost.testing.pytest_plugin`, until the next minor version."""

import warnings

from authhost.testing.pytest_plugin import *  # noqa: F403

warnings.warn(
    "authhost.testing.plugin is now authhost.testing.pytest_plugin; install authhost again to update its "
    "entry point",
    DeprecationWarning,
    stacklevel=2,
)
