"""What all servers share: options, one process, the number of threads, a socket that already listens."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from typing import Any

PROCESSES = 1
THREADS = 8
"""Threads of gunicorn, and the most that an ASGI application uses. fastapi-users uses none."""
KEEP_ALIVE = 75
"""Seconds; longer than a point lasts."""
ARGON2 = {"memory_cost": 19456, "time_cost": 2, "parallelism": 1}
"""KiB, passes and lanes of the real hash: authhost's defaults, for all."""


def options(description: str) -> argparse.Namespace:
    """Read the options of a server."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", metavar="URL", required=True, help="an empty database")
    parser.add_argument("--fd", type=int, required=True, help="the descriptor of a socket that listens")
    parser.add_argument("--hash", choices=("cheap", "real"), required=True)
    parser.add_argument("--users", type=int, required=True, help="how many accounts to store")
    parser.add_argument("--framework", choices=("fastapi", "flask"), help="of authhost alone")
    return parser.parse_args()


def address(number: int) -> str:
    """The address of a stored account."""
    return f"user{number}@example.org"


def serve_wsgi(make_app: Callable[[], Any], fd: int) -> None:
    """Serve with gunicorn's worker of threads. ``make_app`` runs in the worker, after the fork."""
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            given = {
                "bind": [f"fd://{fd}"],
                "workers": PROCESSES,
                "threads": THREADS,
                "worker_class": "gthread",
                "keepalive": KEEP_ALIVE,
                "timeout": 120,
                "graceful_timeout": 1,
                "loglevel": "warning",
            }
            for name, value in given.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return make_app()

    Server().run()


def serve_asgi(app: Any, fd: int) -> None:
    """Serve with uvicorn, with uvloop and httptools for all."""
    import uvicorn

    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=1,
    )
    # uvicorn's own option for a descriptor takes the socket for a Unix one, and leaves Nagle's algorithm on.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])
