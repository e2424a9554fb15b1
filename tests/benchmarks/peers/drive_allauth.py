"""django-allauth through its views. ``ACCOUNT_EMAIL_NOTIFICATIONS`` is off, as shipped."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, include, path
from measure import OTHER_PASSWORD, PASSWORD, SESSION_CHECK, SQLITE_PRAGMAS, Flows, Laps, main


def empty(request: HttpRequest) -> HttpResponse:
    """Do nothing."""
    return HttpResponse(status=204)


def me(request: HttpRequest) -> HttpResponse:
    """Answer who is logged in."""
    return HttpResponse(request.user.email)


urlpatterns: list[URLPattern | URLResolver] = []


def database(url: str) -> dict[str, Any]:
    """Django's form of a database URL."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        options = {"init_command": ";".join(f"PRAGMA {each}" for each in SQLITE_PRAGMAS)}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path[1:], "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def prepare(url: str) -> Flows:
    """A project with the account app alone."""
    settings.configure(
        SECRET_KEY="k" * 48,
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database(url)},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        ROOT_URLCONF=__name__,
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGIN_REDIRECT_URL="/empty",
        USE_TZ=True,
        ACCOUNT_LOGIN_METHODS={"email"},
        ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"],
        ACCOUNT_EMAIL_VERIFICATION="optional",
        ACCOUNT_RATE_LIMITS=False,
    )
    django.setup()
    from django.core.management import call_command

    urlpatterns.extend((path("empty", empty), path("me", me), path("", include("allauth.urls"))))
    call_command("migrate", verbosity=0)
    return all_flows


def all_flows(laps: Laps, email: str) -> None:
    """Take an account through all flows, in one browser."""
    client = Client()

    def post(to: str, **data: str) -> None:
        response = client.post(to, data)
        assert response.status_code == 302, (to, response.status_code, response.content)

    with laps.lap("empty_request"):
        client.post("/empty")
    with laps.lap("signup"):
        post("/signup/", email=email, password1=PASSWORD)
    post("/logout/")
    with laps.lap("login"):
        post("/login/", login=email, password=PASSWORD)
    with laps.lap(SESSION_CHECK):
        assert client.get("/me").content.decode() == email
    with laps.lap("change_password"):
        post("/password/change/", oldpassword=PASSWORD, password1=OTHER_PASSWORD, password2=OTHER_PASSWORD)
    with laps.lap("add_email"):
        post("/email/", email=f"other-{email}", action_add="")
    with laps.lap("logout"):
        post("/logout/")


if __name__ == "__main__":
    main(prepare, "django-allauth")
