"""django-allauth's headless API for browsers, and a protected view of Django, on gunicorn."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from drive_allauth import database
from measure import PASSWORD
from serving import ARGON2, address, options, serve_wsgi


class RealHasher(Argon2PasswordHasher):
    """argon2id with the same cost as everywhere."""

    memory_cost, time_cost, parallelism = ARGON2["memory_cost"], ARGON2["time_cost"], ARGON2["parallelism"]


HASHERS = {"cheap": "django.contrib.auth.hashers.MD5PasswordHasher", "real": f"{__name__}.RealHasher"}
urlpatterns: list[Any] = []


def me(request: HttpRequest) -> HttpResponse:
    """Answer who is logged in."""
    return HttpResponse(request.user.email)


def make_app(url: str, hash_name: str, users: int) -> Any:
    """A project with the account app and the headless API. Connections stay open."""
    settings.configure(
        SECRET_KEY="k" * 48,
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {**database(url), "CONN_MAX_AGE": None}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.headless",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        ROOT_URLCONF=__name__,
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        PASSWORD_HASHERS=[HASHERS[hash_name]],
        USE_TZ=True,
        HEADLESS_CLIENTS=("browser",),
        ACCOUNT_LOGIN_METHODS={"email"},
        ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"],
        ACCOUNT_EMAIL_VERIFICATION="optional",
        ACCOUNT_RATE_LIMITS=False,
    )
    django.setup()
    from django.contrib.auth.decorators import login_required
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    urlpatterns.extend((path("me", login_required(me)), path("_allauth/", include("allauth.headless.urls"))))
    call_command("migrate", verbosity=0)
    insert_users(users)
    return get_wsgi_application()


def insert_users(count: int) -> None:
    """Store accounts with confirmed addresses that share a password."""
    from allauth.account.models import EmailAddress
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import User

    password = make_password(PASSWORD)
    for email in map(address, range(count)):
        user = User.objects.create(username=email, email=email, password=password)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)


if __name__ == "__main__":
    given = options(__doc__)
    serve_wsgi(lambda: make_app(given.database, given.hash, given.users), given.fd)
