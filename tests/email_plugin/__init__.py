"""The e-mail plugin."""
