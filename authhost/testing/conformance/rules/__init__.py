"""Rules that read the source of what a plugin's hooks run. Each takes a `PluginSource` and yields faults."""
