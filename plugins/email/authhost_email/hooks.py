"""The hooks that this plugin publishes."""

from __future__ import annotations

from uuid import UUID

from authhost_hookspecs import Request, hookspec


@hookspec
def email_delivery_failed(
    request: Request, message_id: UUID, kind: str, user_id: UUID | None, reason: str
) -> None:
    """A message could not be delivered, and was given up.

    The worker calls it once for each such message, in a unit of work of its own: nobody
    is logged in there. ``kind`` is the kind of the message, such as ``password_reset``.
    ``user_id`` is None if the outbox does not know the account. ``reason`` is
    ``rejected`` (the server refused the message or its recipient),
    ``attempts_exhausted``, ``cannot_decrypt`` (no key decrypts its link),
    ``cannot_compose`` (its template failed, or its row cannot be read) or
    ``interrupted`` (all workers died while they were sending it). Later versions may
    add reasons.

    Stored: the message is ``dead``. If a required plugin fails here, the message is
    tried again later instead.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, hookimpl


        class Bounces:
            @hookimpl(optionalhook=True)
            def email_delivery_failed(self, request: Request, kind: str, reason: str) -> None:
                if reason == "rejected" and kind == "email_confirmation":
                    request.on_commit(lambda: print("a confirmation was rejected"))
    """
