"""Flask-Security through its JSON routes. Its sessions are signed cookies; an account has one address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_mail import Mail
from flask_security import Security, SQLAlchemyUserDatastore, auth_required, current_user
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy
from measure import OTHER_PASSWORD, PASSWORD, SESSION_CHECK, SQLITE_PRAGMAS, Flows, Laps, main
from sqlalchemy import event

CHEAP_HASH = {
    "SECURITY_PASSWORD_SCHEMES": ["ldap_salted_sha1"],
    "SECURITY_PASSWORD_HASH": "ldap_salted_sha1",
    "SECURITY_PASSWORD_SINGLE_HASH": ["ldap_salted_sha1"],
    "SECURITY_HASHING_SCHEMES": ["hex_md5"],
    "SECURITY_DEPRECATED_HASHING_SCHEMES": [],
}


def make_app(url: str, hashing: Mapping[str, Any]) -> Flask:
    """An application with registration, confirmation by mail, password change and tracking."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="k" * 48,
        SQLALCHEMY_DATABASE_URI=url,
        WTF_CSRF_ENABLED=False,
        MAIL_SUPPRESS_SEND=True,
        MAIL_DEFAULT_SENDER="noreply@example.org",
        SECURITY_PASSWORD_SALT="s" * 32,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SECURITY_REGISTERABLE=True,
        SECURITY_PASSWORD_CONFIRM_REQUIRED=False,
        SECURITY_CONFIRMABLE=True,
        SECURITY_LOGIN_WITHOUT_CONFIRMATION=True,
        SECURITY_CHANGEABLE=True,
        SECURITY_TRACKABLE=True,
        **hashing,
    )
    db = SQLAlchemy(app)
    fsqla_v3.FsModels.set_db_info(db)
    role = type("Role", (db.Model, fsqla_v3.FsRoleMixin), {})
    user = type("User", (db.Model, fsqla_v3.FsUserMixin), {})
    Mail(app)
    Security(app, SQLAlchemyUserDatastore(db, user, role))
    app.add_url_rule("/empty", "empty", lambda: ("", 204), methods=["POST"])
    app.add_url_rule("/me", "me", auth_required("session")(lambda: current_user.email))
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", set_pragmas)
        db.create_all()
    return app


def prepare(url: str) -> Flows:
    """The application with a cheap hash, through its test client."""
    app = make_app(url, CHEAP_HASH)
    return lambda laps, email: all_flows(app.test_client(), laps, email)


def set_pragmas(connection: Any, record: object) -> None:
    """Set a new SQLite connection up."""
    for pragma in SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def all_flows(client: FlaskClient, laps: Laps, email: str) -> None:
    """Take an account through all flows, in one browser."""

    def post(to: str, **data: str) -> None:
        response = client.post(to, json=data)
        assert response.status_code == 200, (to, response.status_code, response.text)

    with laps.lap("empty_request"):
        client.post("/empty", json={})
    with laps.lap("signup"):
        post("/register", email=email, password=PASSWORD)
    post("/logout")
    with laps.lap("login"):
        post("/login", email=email, password=PASSWORD)
    with laps.lap(SESSION_CHECK):
        assert client.get("/me").text == email
    with laps.lap("change_password"):
        post("/change", password=PASSWORD, new_password=OTHER_PASSWORD, new_password_confirm=OTHER_PASSWORD)
    with laps.lap("logout"):
        post("/logout")


if __name__ == "__main__":
    main(prepare, "Flask-Security")
