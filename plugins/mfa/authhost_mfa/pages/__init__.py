"""The pages of the plugin, as values."""
