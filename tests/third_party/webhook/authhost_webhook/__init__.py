"""Posts the signals of authhost to a webhook: signed, in order, at least once."""

from authhost_webhook.plugin import plugin

__all__ = ["plugin"]
