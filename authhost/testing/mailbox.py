"""A plugin that keeps the messages of a host, so that a test can read their keys."""

from __future__ import annotations

from collections.abc import Generator

from authhost_hookspecs import Message, hookimpl

MAILBOX = "authhost-mailbox"
"""The name under which the kit adds a mailbox to its hosts."""


class Mailbox:
    """Keeps every message, with its key and link, and leaves the delivery to the other plugins.

    If no other plugin delivers the message, it counts as delivered.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        """All messages, in order; those of `Request.send` have the kind ``plugin``."""

    @hookimpl(wrapper=True)
    def deliver_message(self, message: Message) -> Generator[None, bool | None, bool]:
        """Called by the host."""
        self.messages.append(message)
        yield
        return True

    def key(self) -> str:
        """The key of the core's newest message. Raises `LookupError` if there is none or it has no key."""
        newest = next((each for each in reversed(self.messages) if each.kind != "plugin"), None)
        if newest is None or newest.key is None:
            raise LookupError(
                "the mailbox has no message with a key; run a flow that sends one first, such as signup"
            )
        return newest.key
