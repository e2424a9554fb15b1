"""The audit plugin."""
