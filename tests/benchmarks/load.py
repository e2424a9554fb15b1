"""The load generator: keep-alive connections to a server on this machine, in a process of its own.

It reads a `Plan` as JSON from stdin and prints a list with one result for each point.
Each point ends after a number of requests or after a time, whichever comes first.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter

HOST = "127.0.0.1"
LOGIN, CHECK = "login", "session check"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send to which server."""

    port: int
    login: str
    """The path that a login is posted to."""
    content_type: str
    bodies: Sequence[str]
    """The body of a login for each connection; each logs in a user of its own."""
    emails: Sequence[str]
    """What the response of ``check`` contains, for each connection."""
    check: str
    """The path of the protected route."""
    points: Sequence[tuple[str, int]]
    """Flow (`LOGIN` or `CHECK`) and number of connections of each point."""
    count: int
    """The most requests of a point."""
    seconds: float
    """The longest time of a point, in seconds."""
    warm_up: int
    """Requests before each point that do not count. A thread of a server is slower at its first ones."""
    timeout: float = 300
    """Seconds for all points; `TimeoutError` after them."""


@dataclass(slots=True)
class Response:
    """A status, the values of Set-Cookie, and the body."""

    status: int
    cookies: list[str]
    body: bytes


@dataclass(slots=True)
class Connection:
    """One keep-alive connection, which is opened again after the server has closed it."""

    port: int
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> Response:
        """Send one request and return its response; raises `OSError` or `EOFError` if there is none."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self.port)
        reader, writer = self._streams
        try:
            writer.write(request)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = [
                (name.lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines[1:])
            ]
            found = dict(headers)
            body = await self._body(reader, found)
        except (OSError, EOFError):
            self.close()
            raise
        if found.get("connection", "").lower() == "close":
            self.close()
        cookies = [value.partition(";")[0] for name, value in headers if name == "set-cookie"]
        return Response(int(lines[0].split()[1]), cookies, body)

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await reader.readexactly(int(headers["content-length"]))
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        """Close it, if it is open."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(slots=True)
class Count:
    """What the connections of one point have in common."""

    left: int
    deadline: float
    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def request(method: str, path: str, headers: dict[str, str], body: str = "") -> bytes:
    """Return the bytes of a request, as the page of the same site sends it."""
    content = body.encode()
    lines = {"Host": "localhost", "Accept": "application/json", "Sec-Fetch-Site": "same-origin", **headers}
    if content:
        lines["Content-Length"] = str(len(content))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def login_request(plan: Plan, number: int) -> bytes:
    """Return the login of the user of a connection."""
    return request("POST", plan.login, {"Content-Type": plan.content_type}, plan.bodies[number])


def credential(response: Response) -> dict[str, str]:
    """Return the header that a logged-in browser or program sends."""
    if response.cookies:
        return {"Cookie": "; ".join(each for each in response.cookies if not each.endswith("="))}
    return {"Authorization": f"Bearer {json.loads(response.body)['access_token']}"}


async def prepare(plan: Plan, flow: str, number: int) -> tuple[Connection, bytes, bytes]:
    """Log in once, which also warms up; return the connection, the request and what its response contains."""
    connection = Connection(plan.port)
    login = login_request(plan, number)
    response = await connection.send(login)
    if response.status != 200:
        raise SystemExit(f"POST {plan.login} has status {response.status}, not 200: {response.body[:500]!r}")
    if flow == LOGIN:
        return connection, login, b""
    check, email = request("GET", plan.check, credential(response)), plan.emails[number].encode()
    response = await connection.send(check)
    if response.status != 200 or email not in response.body:
        raise SystemExit(f"GET {plan.check} has status {response.status}, {response.body[:500]!r}")
    return connection, check, email


async def repeat(connection: Connection, sent: bytes, expected: bytes, count: Count) -> None:
    """Send one request after another until the point ends."""
    while count.left > 0 and perf_counter() < count.deadline:
        count.left -= 1
        started = perf_counter()
        try:
            response = await connection.send(sent)
        except (OSError, EOFError) as error:
            count.errors.append(type(error).__name__)
            continue
        if response.status == 200 and expected in response.body:
            count.milliseconds.append((perf_counter() - started) * 1000)
        else:
            count.errors.append(f"status {response.status}")


async def measure(plan: Plan, flow: str, connections: int) -> dict[str, object]:
    """Return requests per second, p50 and p99 in ms, and how many requests failed, of one point."""
    ready = [await prepare(plan, flow, number) for number in range(connections)]
    warm_up = Count(plan.warm_up, perf_counter() + plan.timeout)
    await asyncio.gather(*(repeat(*each, warm_up) for each in ready))
    started = perf_counter()
    count = Count(plan.count, started + plan.seconds)
    await asyncio.gather(*(repeat(*each, count) for each in ready))
    seconds = perf_counter() - started
    for connection, _, _ in ready:
        connection.close()
    return {"flow": flow, "connections": connections, **summary(count, seconds)}


def summary(count: Count, seconds: float) -> dict[str, object]:
    """Return the figures of a point that took ``seconds``. Failed requests count as errors alone."""
    values = count.milliseconds
    if len(values) < 2:
        raise SystemExit(f"{len(values)} requests succeeded; errors: {sorted(set(count.errors))}")
    percentiles = quantiles(values, n=100, method="inclusive")
    return {
        "requests": len(values),
        "rate": len(values) / seconds,
        "p50": percentiles[49],
        "p99": percentiles[98],
        "errors": len(count.errors),
    }


async def main() -> None:
    """Measure all points of the plan."""
    plan = Plan(**json.load(sys.stdin))
    async with asyncio.timeout(plan.timeout):
        print(json.dumps([await measure(plan, flow, connections) for flow, connections in plan.points]))


if __name__ == "__main__":
    asyncio.run(main())
