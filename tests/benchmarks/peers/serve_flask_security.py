"""Flask-Security's JSON login, and a protected view of Flask, on gunicorn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drive_flask_security import CHEAP_HASH, make_app
from measure import PASSWORD
from serving import ARGON2, address, options, serve_wsgi

REAL_HASH = {
    "SECURITY_PASSWORD_SCHEMES": ["argon2"],
    "SECURITY_PASSWORD_HASH": "argon2",
    "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": {
        "argon2__memory_cost": ARGON2["memory_cost"],
        "argon2__time_cost": ARGON2["time_cost"],
        "argon2__parallelism": ARGON2["parallelism"],
    },
    "SECURITY_DEPRECATED_HASHING_SCHEMES": [],
}


def make_served(url: str, hash_name: str, users: int) -> Any:
    """The application with accounts whose addresses are confirmed."""
    from flask_security import hash_password

    app = make_app(url, CHEAP_HASH if hash_name == "cheap" else REAL_HASH)
    with app.app_context():
        store = app.extensions["security"].datastore
        password = hash_password(PASSWORD)
        for email in map(address, range(users)):
            store.create_user(email=email, password=password, confirmed_at=datetime.now(UTC))
        store.commit()
    return app


if __name__ == "__main__":
    given = options(__doc__)
    serve_wsgi(lambda: make_served(given.database, given.hash, given.users), given.fd)
