"""``authhost tour``: shows every flow with real plugins, a real SMTP server and a real OpenID provider."""

from authhost.cli.tour.run import run

__all__ = ["run"]
