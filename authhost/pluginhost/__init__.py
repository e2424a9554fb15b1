"""The plugin host: accepts or refuses plugins, calls their hooks, and rolls back a call that fails."""
