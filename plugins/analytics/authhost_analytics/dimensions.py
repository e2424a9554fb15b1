"""The properties of an event that are counted."""

DIMENSIONS = ("event", "flow", "outcome", "provider", "method")
"""The columns by which events are counted. A column that does not apply is empty."""
