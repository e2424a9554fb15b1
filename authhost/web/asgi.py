"""The web layer as an ASGI application, or in front of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from anyio import CancelScope, to_thread

from authhost.web.http import MAX_BODY, WebRequest, WebResponse
from authhost.web.mounted import PATH_KEY, STATE_KEY, Mounted, applied_headers
from authhost.web.probes import asks_for_life, live

if TYPE_CHECKING:
    from authhost.web.mounted import Source

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
SCOPE_KEY = "authhost.mounted"
ENDS = ("lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed")
"""Messages of an application after which no request comes."""
T = TypeVar("T")


class ASGIApp:
    """Serves the web layer; passes all other paths to ``app``, if there is one.

    ``source`` is a host, its settings, or the path of its configuration, as in `Mounted`. The body is
    read, and refused if it is too large, before a thread is used. At ``lifespan`` the
    host is opened and closed.
    """

    def __init__(self, source: Source | Mounted, app: ASGIApplication | None = None) -> None:
        self.mounted = source if isinstance(source, Mounted) else Mounted(source)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        scope[SCOPE_KEY] = self.mounted
        scope[STATE_KEY] = {PATH_KEY: path_of(scope)}
        if scope["type"] != "http":
            if self._app is not None:
                await self._app(scope, receive, send)
            return
        if asks_for_life(self.mounted.settings, scope["method"], path_of(scope)):
            await _send(live(), send)
            return
        web = self.mounted.web
        if web.serves(path_of(scope)):
            body = await _read_body(receive)
            if body is not None:
                http = request_of(scope, body=body)
                await _send(await to_thread.run_sync(web.handle, http), send)
        elif self._app is not None:
            await self._app(scope, receive, self._applying(scope, send))
        else:
            await _send(WebResponse("There is no such page.\n", 404, content_type="text/plain"), send)

    def _applying(self, scope: Scope, send: Send) -> Send:
        """Return ``send`` so that the response gets the cookies of the route's unit of work."""

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in applied_headers(scope)
                ]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        return sending

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            await self._own_lifespan(receive, send)
            return

        async def opening() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await to_thread.run_sync(lambda: self.mounted.web)
            return message

        async def closing(message: MutableMapping[str, Any]) -> None:
            if message["type"] in ENDS:
                await to_thread.run_sync(self.mounted.close)
            await send(message)

        await self._app(scope, opening, closing)

    async def _own_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await to_thread.run_sync(lambda: self.mounted.web)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await to_thread.run_sync(self.mounted.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


def path_of(scope: Scope) -> str:
    """Return the path below the root path. Servers include the root path in ``path`` (ASGI HTTP 2.3)."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root + "/") else path


def request_of(scope: Scope, *, body: bytes = b"", native: Any = None) -> WebRequest:
    """Return the request of an ASGI scope. Its path is that of the whole application."""
    client = scope.get("client")
    return WebRequest(
        scope.get("method", "GET"),  # a WebSocket has none
        scope.get(STATE_KEY, {}).get(PATH_KEY) or path_of(scope),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        query_string=scope.get("query_string", b""),
        body=body,
        scheme=scope.get("scheme", "http"),
        remote_addr=client[0] if client else None,
        root_path=scope.get("root_path", ""),
        native=native,
    )


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body; no more than is needed to see that it is too large.

    None if the client disconnects before its end: a part of a form is not what the person
    sent, and could store the beginning of a password.
    """
    parts: list[bytes] = []
    size = 0
    while size <= MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)[: MAX_BODY + 1]


@asynccontextmanager
async def in_thread(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager in threads, such as the unit of work of a route.

    It is also left when the route is cancelled, such as by a time-out: otherwise its
    transaction would stay open.
    """
    value = await to_thread.run_sync(manager.__enter__)
    try:
        yield value
    except BaseException as error:
        with CancelScope(shield=True):
            await to_thread.run_sync(manager.__exit__, type(error), error, error.__traceback__)
        raise
    with CancelScope(shield=True):
        await to_thread.run_sync(manager.__exit__, None, None, None)


async def _send(response: WebResponse, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": response.body})
