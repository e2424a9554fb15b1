"""Typed calls of the hooks, one method for each hook. Only this module calls hooks through pluggy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import authhost_hookspecs as contract

from authhost.errors import (
    PLUGIN_FAILURES,
    DeliveryFailed,
    ExportFailed,
    FactorsNotRemoved,
    RequiredPluginFailed,
)

if TYPE_CHECKING:
    import pluggy
    from authhost_hookspecs import (
        Change,
        EmailAddress,
        EmailConfirmation,
        Host,
        LoginStep,
        Request,
        Session,
        SocialAccount,
        SocialLogin,
        User,
    )

    from authhost.pluginhost.published import PublishedHook
    from authhost.store.unit_of_work import UnitOfWork


class _SomePlugins:
    """The hook callers of pluggy without some plugins. Each one is made when it is first called."""

    def __init__(self, manager: pluggy.PluginManager, without: Iterable[object]) -> None:
        self._manager, self._without = manager, tuple(without)

    def __getattr__(self, hook: str) -> Any:
        caller = self._manager.subset_hook_caller(hook, self._without)
        setattr(self, hook, caller)
        return caller


class Hooks:
    """The hooks, as the flows call them.

    ``without`` are the registered objects of plugins that are not called, by name: they are blocked.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        published: Mapping[str, PublishedHook] | None = None,
        *,
        without: Mapping[str, object] | None = None,
    ) -> None:
        self._manager = manager
        self._hook: Any = _SomePlugins(manager, without.values()) if without else manager.hook
        self.published: Mapping[str, PublishedHook] = published or {}
        """The hooks that plugins publish, by name."""
        self._blocked = without or {}

    def blocked_plugins(self, hook: str) -> list[str]:
        """Return the names of the blocked plugins that implement ``hook``."""
        return sorted(name for name, view in self._blocked.items() if hook in vars(view))

    def call_published(self, request: UnitOfWork, name: str, arguments: Mapping[str, Any]) -> None:
        """Call a hook that a plugin publishes. The caller has checked the name and the arguments."""
        getattr(self._hook, name)(request=request, **arguments)

    def host_started(self, host: Host) -> None:
        self._hook.host_started(host=host)

    def host_stopping(self, host: Host) -> None:
        self._hook.host_stopping(host=host)

    def user_logged_in(self, request: Request, user: User) -> None:
        self._hook.user_logged_in(request=request, user=user)

    def user_logged_out(self, request: Request, user: User) -> None:
        self._hook.user_logged_out(request=request, user=user)

    def user_signed_up(self, request: Request, user: User) -> None:
        self._hook.user_signed_up(request=request, user=user)

    def password_set(self, request: Request, user: User) -> None:
        self._hook.password_set(request=request, user=user)

    def password_changed(self, request: Request, user: User) -> None:
        self._hook.password_changed(request=request, user=user)

    def password_reset(self, request: Request, user: User) -> None:
        self._hook.password_reset(request=request, user=user)

    def email_confirmed(self, request: Request, email_address: EmailAddress) -> None:
        self._hook.email_confirmed(request=request, email_address=email_address)

    def email_confirmation_sent(
        self, request: Request, confirmation: EmailConfirmation, signup: bool
    ) -> None:
        self._hook.email_confirmation_sent(request=request, confirmation=confirmation, signup=signup)

    def email_changed(
        self,
        request: Request,
        user: User,
        from_email_address: EmailAddress | None,
        to_email_address: EmailAddress,
    ) -> None:
        self._hook.email_changed(
            request=request,
            user=user,
            from_email_address=from_email_address,
            to_email_address=to_email_address,
        )

    def email_added(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._hook.email_added(request=request, user=user, email_address=email_address)

    def email_removed(self, request: Request, user: User, email_address: EmailAddress) -> None:
        self._hook.email_removed(request=request, user=user, email_address=email_address)

    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        self._hook.pre_social_login(request=request, sociallogin=sociallogin)

    def social_account_added(self, request: Request, sociallogin: SocialLogin) -> None:
        self._hook.social_account_added(request=request, sociallogin=sociallogin)

    def social_account_updated(self, request: Request, sociallogin: SocialLogin) -> None:
        self._hook.social_account_updated(request=request, sociallogin=sociallogin)

    def social_account_removed(self, request: Request, socialaccount: SocialAccount) -> None:
        self._hook.social_account_removed(request=request, socialaccount=socialaccount)

    def account_ready(self, request: Request, user: User) -> None:
        self._hook.account_ready(request=request, user=user)

    def social_login_begun(self, request: Request, provider: str, process: str) -> None:
        self._hook.social_login_begun(request=request, provider=provider, process=process)

    def password_reset_requested(self, request: Request, user: User | None) -> None:
        self._hook.password_reset_requested(request=request, user=user)

    def session_ended(self, request: Request, session: Session, reason: str) -> None:
        self._hook.session_ended(request=request, session=session, reason=reason)

    def impersonation_started(self, request: Request, user: User, session: Session) -> None:
        self._hook.impersonation_started(request=request, user=user, session=session)

    def impersonation_ended(self, request: Request, session: Session, reason: str) -> None:
        self._hook.impersonation_ended(request=request, session=session, reason=reason)

    def user_deactivated(self, request: Request, user: User) -> None:
        self._hook.user_deactivated(request=request, user=user)

    def account_recovered(self, request: Request, user: User) -> None:
        self._hook.account_recovered(request=request, user=user)

    def password_removed(self, request: Request, user: User) -> None:
        self._hook.password_removed(request=request, user=user)

    def password_reset_required(self, request: Request, user: User) -> None:
        self._hook.password_reset_required(request=request, user=user)

    def user_reactivated(self, request: Request, user: User) -> None:
        self._hook.user_reactivated(request=request, user=user)

    def user_deleted(self, request: Request, user: User) -> None:
        self._hook.user_deleted(request=request, user=user)

    def user_deleted_of(self, plugin: str, request: Request, user: User) -> bool:
        """Call `user_deleted` of one plugin; return False if it is blocked or not loaded."""
        if not self._manager.has_plugin(plugin) or plugin in self._blocked:
            return False
        others = [each for name, each in self._manager.list_name_plugin() if name != plugin]
        self._manager.subset_hook_caller("user_deleted", others)(request=request, user=user)
        return True

    def export_user(self, request: Request, user: User) -> dict[str, Any]:
        """Return what each plugin stores about the user, by the plugin's name; raises `ExportFailed`.

        It would be incomplete without a blocked plugin.
        """
        if blocked := self.blocked_plugins("export_user"):
            raise ExportFailed(plugin=blocked[0])
        return dict(sorted(self._hook.export_user(request=request, user=user)))

    def remove_factors(self, request: Request, user: User, reason: str) -> int:
        """Return how many factors the plugins have removed; raises `FactorsNotRemoved`."""
        if blocked := self.blocked_plugins("remove_factors"):
            raise FactorsNotRemoved(plugin=blocked[0])
        return sum(self._hook.remove_factors(request=request, user=user, reason=reason))

    def factors_removed(self, request: Request, user: User, reason: str, count: int) -> None:
        self._hook.factors_removed(request=request, user=user, reason=reason, count=count)

    def plugin_blocked(self, request: Request, plugin: str, reason: str) -> None:
        self._hook.plugin_blocked(request=request, plugin=plugin, reason=reason)

    def plugin_unblocked(self, request: Request, plugin: str) -> None:
        self._hook.plugin_unblocked(request=request, plugin=plugin)

    def user_reauthenticated(self, request: Request, user: User) -> None:
        self._hook.user_reauthenticated(request=request, user=user)

    def login_pending(self, request: Request, user: User, steps: tuple[str, ...]) -> None:
        self._hook.login_pending(request=request, user=user, steps=steps)

    def flow_refused(self, request: Request, flow: str, error: Exception, user: User | None) -> None:
        self._hook.flow_refused(request=request, flow=flow, error=error, user=user)

    def before_signup(self, request: Request, email: str | None) -> None:
        self._hook.before_signup(request=request, email=email)

    def check_password(self, request: Request, password: str, user: User | None) -> None:
        self._hook.check_password(request=request, password=password, user=user)

    def before_login(self, request: Request, user: User) -> None:
        self._hook.before_login(request=request, user=user)

    def login_steps(self, request: Request, user: User) -> list[tuple[str, LoginStep]]:
        """Return what a login still needs, with the plugin's name; raises `Vetoed` if a plugin fails."""
        found = self._hook.login_steps(request=request, user=user)
        return [step for steps in found for step in steps]

    def is_administrator(self, request: Request, user: User) -> bool:
        """Return whether a plugin says so; raises `Vetoed` if one fails."""
        return any(self._hook.is_administrator(request=request, user=user))

    def before_change(self, request: Request, user: User, change: Change) -> None:
        self._hook.before_change(request=request, user=user, change=change)

    def deliver_message(self, request: UnitOfWork, message: contract.Message) -> None:
        """Pass ``message`` to the plugins, until one accepts it; raise `DeliveryFailed` if none does.

        If rows that the accepting plugin has queued cannot be stored, the unit of work fails,
        unless it is a message of a plugin.
        """
        must_store, request.must_store = request.must_store, message.kind != "plugin"
        try:
            taken = self._hook.deliver_message(request=request, message=message)
        except RequiredPluginFailed:
            raise
        except PLUGIN_FAILURES as error:
            request.check_sent()
            raise DeliveryFailed from error
        finally:
            request.must_store = must_store
        if not taken:
            raise DeliveryFailed
