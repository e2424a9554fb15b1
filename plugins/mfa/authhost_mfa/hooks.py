"""The hooks that this plugin publishes. Their names and arguments are those of ``allauth.mfa``."""

from __future__ import annotations

from authhost_hookspecs import Request, User, hookspec

from authhost_mfa.policy import Decision
from authhost_mfa.values import Authenticator


@hookspec
def authenticator_added(request: Request, user: User, authenticator: Authenticator) -> None:
    """A user has enrolled an authenticator, or got the first recovery codes.

    ``authenticator`` has ``id``, ``kind`` (``totp``, ``webauthn`` or ``recovery_codes``), ``name``,
    ``created_at``, ``last_used_at``, ``second_factor`` and, for recovery codes, ``remaining``.

    Stored: the authenticator.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Reward:
            @hookimpl(optionalhook=True)
            def authenticator_added(self, request: Request, user: User) -> None:
                request.answer.message("success", "Thank you for protecting your account.")
    """


@hookspec
def authenticator_removed(request: Request, user: User, authenticator: Authenticator) -> None:
    """An authenticator was removed: by its user, before `factors_removed`, or by `account_recovered`.

    Stored: it is deleted.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Watch:
            @hookimpl(optionalhook=True)
            def authenticator_removed(self, request: Request, user: User) -> None:
                request.on_commit(lambda: print("an authenticator was removed"))
    """


@hookspec
def authenticator_changed(request: Request, user: User, authenticator: Authenticator) -> None:
    """A user has changed whether each login asks for a passkey or security key.

    ``authenticator.second_factor`` is the new choice. `authenticator_removed` follows for the recovery codes
    if it was the last second factor. It has no counterpart in ``allauth.mfa``.

    Stored: the choice.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from authhost_mfa.values import Authenticator


        class Watch:
            @hookimpl(optionalhook=True)
            def authenticator_changed(
                self, request: Request, user: User, authenticator: Authenticator
            ) -> None:
                if not authenticator.second_factor:
                    request.answer.message("warning", "Your account is less protected now.")
    """


@hookspec
def authenticator_reset(request: Request, user: User, authenticator: Authenticator) -> None:
    """A user has replaced the recovery codes by new ones.

    Stored: the new codes; the old ones are deleted.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Watch:
            @hookimpl(optionalhook=True)
            def authenticator_reset(self, request: Request, user: User) -> None:
                request.on_commit(lambda: print("there are new recovery codes"))
    """


@hookspec
def authenticator_used(
    request: Request, user: User, authenticator: Authenticator, reauthenticated: bool, passwordless: bool
) -> None:
    """A user has proved to have an authenticator.

    ``reauthenticated`` is true if the user was logged in already, ``passwordless`` if it was the first
    proof of a login. Otherwise it was a step of a login, which may still be refused.

    Stored: the time of the use. A recovery code is deleted.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from authhost_mfa.values import Authenticator


        class Watch:
            @hookimpl(optionalhook=True)
            def authenticator_used(
                self, request: Request, user: User, authenticator: Authenticator
            ) -> None:
                if authenticator.remaining == 0:
                    request.answer.message("warning", "That was your last recovery code.")
    """


@hookspec
def authentication_failed(
    request: Request, user: User, authenticator: Authenticator, reauthentication: bool
) -> None:
    """Somebody has sent a wrong or used code, or a wrong response of a passkey or security key.

    It is called in a unit of work of its own, since that of the refused action is rolled back:
    nobody is logged in there. ``reauthentication`` says whether ``user`` was logged in.

    Stored: the number of consecutive wrong codes.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Watch:
            @hookimpl(optionalhook=True)
            def authentication_failed(self, request: Request, user: User) -> None:
                request.on_commit(lambda: print("a wrong code from", request.ip_address))
    """


@hookspec
def authentication_refused(
    request: Request, user: User, method: str, reauthentication: bool, repeated: int
) -> None:
    """A limit has refused to check a code: during a pause after wrong ones, or after 100 of them.

    ``method`` is ``totp`` or ``mailboxes``. ``repeated`` is how many tries this call stands for: the first 5
    of a minute have one call each, then one follows per 5, 10, 20, … tries, and the next call includes the
    rest. The sum is exact. It is called in a unit of work of its own, like `authentication_failed`.
    It has no counterpart in ``allauth.mfa``.

    Stored: how many tries were refused.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Watch:
            @hookimpl(optionalhook=True)
            def authentication_refused(self, request: Request, user: User, repeated: int) -> None:
                request.on_commit(lambda: print(repeated, "tries from", request.ip_address))
    """


@hookspec
def second_factors_recovered(request: Request, user: User) -> None:
    """A person who has lost all factors has proved to have two mailboxes of the account.

    The login may still be refused. The authenticators stay, until the person removes them. It has no
    counterpart in ``allauth.mfa``.

    Stored: the codes are used; no browser is trusted any more.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl


        class Watch:
            @hookimpl(optionalhook=True)
            def second_factors_recovered(self, request: Request, user: User) -> None:
                request.on_commit(lambda: print("somebody has logged in with two mailboxes"))
    """


@hookspec
def second_factor_policy(request: Request, user: User, decision: Decision) -> None:
    """Decide whether this user needs a second factor. Called if the setting ``policy`` is ``selected``.

    Call ``decision.require()`` if so. If one implementation requires it, it is required. A failing
    implementation selects nobody, so declare the plugin as required (``required_plugins``): then
    its failure refuses the login.

    Stored: nothing.

    .. versionadded:: 0.2

    Example::

        from authhost_hookspecs import Request, User, hookimpl
        from authhost_mfa.policy import Decision


        class Staff:
            @hookimpl
            def second_factor_policy(self, request: Request, user: User, decision: Decision) -> None:
                if user.email_verified and (user.email or "").endswith("@staff.example.org"):
                    decision.require()
    """


PUBLISHED = (
    authenticator_added,
    authenticator_removed,
    authenticator_changed,
    authenticator_reset,
    authenticator_used,
    authentication_failed,
    authentication_refused,
    second_factors_recovered,
    second_factor_policy,
)
