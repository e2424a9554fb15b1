"""The plugin host: which plugins are accepted, how their hooks are called, and how a failure is contained."""
