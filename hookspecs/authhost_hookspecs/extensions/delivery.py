"""The extension point that delivers messages."""

# Specifications have no bodies; their annotations say what implementations return.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.declarations import Message
from authhost_hookspecs.protocols import Request


@hookspec(firstresult=True)
def deliver_message(request: Request, message: Message) -> bool | None:
    """A message has to be delivered: accept ``message`` and return True, or return None.

    The first plugin that returns True delivers it; later ones are not called.
    Deliver it after this unit of work has committed: by `Request.on_commit`, or by a
    row that a worker delivers later. If rows that are inserted here cannot be stored,
    the flow fails.

    Since 1.1, a message of the kind ``plugin`` is one that a plugin sends by
    `Request.send`: deliver its ``subject``, ``text`` and ``html`` as they are. A minor
    version may add kinds, so return None for a kind that you do not know. If an
    implementation raises instead, only the plugin that sends such a message is
    affected, and its flow continues.

    ``message`` contains the key and the link, which are secrets: do not write them to
    logs, and only encrypted to tables.

    Stored: a digest of the key.

    .. versionadded:: 1.0

    Example::

        from functools import partial
        from queue import SimpleQueue

        from authhost_hookspecs import Message, Request, hookimpl


        class Texts:
            def __init__(self) -> None:
                self.to_send: SimpleQueue[Message] = SimpleQueue()

            @hookimpl
            def deliver_message(self, request: Request, message: Message) -> bool:
                request.on_commit(partial(self.to_send.put, message))
                return True
    """
