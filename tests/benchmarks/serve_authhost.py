"""authhost with three plugins in FastAPI on uvicorn, or in Flask on gunicorn, and a protected route."""

from __future__ import annotations

from typing import Any

from common import CHEAP_HASH, insert_users, make_host
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from flask import Flask
from peers.serving import THREADS, options, serve_asgi, serve_wsgi

from authhost import AuthHost
from authhost.web import fastapi as web_fastapi, flask as web_flask


def stored_host(url: str, hash_name: str, users: int) -> AuthHost:
    """A host with accounts; the real hash is the default of the settings."""
    host = make_host(url, **(CHEAP_HASH if hash_name == "cheap" else {}))
    insert_users(host, users)
    return host


def make_fastapi(url: str, hash_name: str, users: int) -> FastAPI:
    """A FastAPI application with authhost mounted."""
    app = FastAPI(on_startup=[limit_threads])
    web_fastapi.mount(app, stored_host(url, hash_name, users))

    @app.get("/me", response_class=PlainTextResponse)
    def me(user: web_fastapi.RequiredUser) -> str:
        return user.email or ""

    return app


async def limit_threads() -> None:
    """Use as many threads as gunicorn has."""
    from anyio.to_thread import current_default_thread_limiter

    current_default_thread_limiter().total_tokens = THREADS


def make_flask(url: str, hash_name: str, users: int) -> Any:
    """A Flask application with authhost mounted."""
    app = Flask(__name__)
    web_flask.mount(app, stored_host(url, hash_name, users))

    @app.get("/me")
    @web_flask.login_required
    def me() -> str:
        user = web_flask.current_user()
        return (user and user.email) or ""

    return app


if __name__ == "__main__":
    given = options(__doc__ or "")
    about = given.database, given.hash, given.users
    if given.framework == "flask":
        serve_wsgi(lambda: make_flask(*about), given.fd)
    else:
        serve_asgi(make_fastapi(*about), given.fd)
