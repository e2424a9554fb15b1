"""Appends each signal as a JSON line to the file that the environment variable DOORBOOK names."""

from __future__ import annotations

import json
import os

from authhost_hookspecs import (
    EmailAddress,
    EmailConfirmation,
    Request,
    SocialAccount,
    SocialLogin,
    User,
    hookimpl,
)


class DoorBook:
    """Implements all 15 documented signals, with all their arguments."""

    def _write(self, signal: str, request: Request, **arguments: object) -> None:
        line = json.dumps({"signal": signal, "request": str(request.id), **arguments}, default=str)

        def write() -> None:
            with open(os.environ["DOORBOOK"], "a", encoding="utf-8") as book:
                book.write(line + "\n")

        # Write after the commit, since the flow may still be rolled back.
        request.on_commit(write)

    @hookimpl
    def user_logged_in(self, request: Request, user: User) -> None:
        self._write("user_logged_in", request, user=user.email)

    @hookimpl
    def user_logged_out(self, request: Request, user: User) -> None:
        self._write("user_logged_out", request, user=user.email)

    @hookimpl
    def user_signed_up(self, request: Request, user: User) -> None:
        self._write("user_signed_up", request, user=user.email)

    @hookimpl
    def password_set(self, request: Request, user: User) -> None:
        self._write("password_set", request, user=user.email)

    @hookimpl
    def password_changed(self, request: Request, user: User) -> None:
        self._write("password_changed", request, user=user.email)

    @hookimpl
    def password_reset(self, request: Request, user: User) -> None:
        self._write("password_reset", request, user=user.email)

    @hookimpl
    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        self._write("email_confirmed", request, email_address=email_address.email)

    @hookimpl
    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        address = confirmation.email_address.email
        self._write("email_confirmation_sent", request, confirmation=address, signup=signup)

    @hookimpl
    def email_changed(
        self,
        request: Request,
        user: User,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        self._write(
            "email_changed",
            request,
            user=user.email,
            from_email_address=from_email_address.email if from_email_address else None,
            to_email_address=to_email_address.email,
        )

    @hookimpl
    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._write("email_added", request, user=user.email, email_address=email_address.email)

    @hookimpl
    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._write("email_removed", request, user=user.email, email_address=email_address.email)

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        self._write("pre_social_login", request, sociallogin=sociallogin.account.uid)

    @hookimpl
    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        self._write("social_account_added", request, sociallogin=sociallogin.account.uid)

    @hookimpl
    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        self._write("social_account_updated", request, sociallogin=sociallogin.account.uid)

    @hookimpl
    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._write("social_account_removed", request, socialaccount=socialaccount.uid)


plugin = DoorBook()
