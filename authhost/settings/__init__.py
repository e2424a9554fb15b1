"""The settings of a host: a frozen dataclass, created by code, from a TOML file or from the environment."""

from authhost.settings.model import DEFAULT_URLS, USERNAME_SCRIPTS, Settings, unknown_variables
from authhost.settings.sources import ENV_PREFIX
from authhost.settings.validation import validated

__all__ = ["DEFAULT_URLS", "ENV_PREFIX", "USERNAME_SCRIPTS", "Settings", "unknown_variables", "validated"]
