"""Two requests at once: what one has checked must still hold when it writes."""

from __future__ import annotations

from threading import Thread

import pytest
from authhost_mfa import authenticators
from authhost_mfa.tables import authenticator_table
from sqlalchemy import select

from mfa.support import ANN, KEYS

SHORT = 0.5
"""Seconds: the other request goes on meanwhile, unless it must wait for this one."""
AUTHENTICATORS, REMOVE, CODES = "/mfa/authenticators", "/mfa/authenticators/remove", "/mfa/recovery-codes"


@pytest.fixture
def meanwhile(monkeypatch):
    """Send another request when a function is called first: before it, or with ``after`` after it."""

    def arrange(module, name, other, *, after=False):
        original, threads = getattr(module, name), []

        def patched(*arguments, **options):
            if threads:
                return original(*arguments, **options)
            thread = Thread(target=other)
            threads.append(thread)
            found = original(*arguments, **options) if after else None
            thread.start()
            thread.join(SHORT)
            return found if after else original(*arguments, **options)

        monkeypatch.setattr(module, name, patched)
        return lambda: threads[0].join(30)

    return arrange


def protecting(site):
    """Return the ids of the second factors that are stored."""
    table = authenticator_table.c
    with site.host.reader.connect() as connection:
        return list(connection.execute(select(table.id).where(table.second_factor)).scalars())


def is_guarded(site):
    with site.host.request() as request:
        return "mfa" in request.user_by_email(ANN).login_guards


def test_a_second_factor_that_is_added_during_a_reset_is_guarded(protected, stick, meanwhile):
    credential = protected.create_key(stick)
    finish = meanwhile(
        authenticators, "delete_all", lambda: protected.ann.api(KEYS, {"credential": credential}), after=True
    )
    with protected.host.request() as request:
        authenticators.reset(request, request.user_by_email(ANN), "lost phone")
    finish()
    assert is_guarded(protected) == bool(protecting(protected))
