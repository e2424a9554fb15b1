"""Checks of what a plugin does to the flows: nothing, unless it refuses on purpose."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from uuid import UUID

from authhost_hookspecs import Message, Refused, StopFlow

from authhost.errors import PLUGIN_FAILURES, InvalidCredentials
from authhost.pluginhost.guard import AFTER_COMMIT, UnusableResult, check_delivered, check_nothing, check_ran
from authhost.pluginhost.implementations import GUARDED, SPEC_ARGUMENTS, VETOES
from authhost.providers.app import App, ProviderSettings
from authhost.providers.catalogue import BUILT_IN
from authhost.records import EmailAddress, EmailConfirmation, Session, SocialAccount, User
from authhost.request import Request
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.testing.conformance.report import Fault, HookTime
from authhost.testing.conformance.trial import Lived, Trial, listened, printed, quiet
from authhost.testing.conformance.watching import Call
from authhost.testing.life import Life
from authhost.testing.stage import PASSWORD

FAY = "fay@example.org"
SLOW = 50_000_000
"""Nanoseconds. Of several calls the fastest counts: a machine may be busy."""


def outcomes(trial: Trial) -> Iterator[Fault]:
    """Every flow ends as it does without the plugin."""
    lived = trial.within
    decided = False
    for without, within in zip(trial.without, lived.steps, strict=False):
        decided = decided or within.decided
        if within.decided:
            yield Fault(f"{within.title!r} ended by the plugin's own decision: {within.outcome}", note=True)
        elif without != within and not decided:
            yield Fault(
                f"{within.title!r} ends with {within.outcome!r}; without the plugin with {without.outcome!r}"
            )
    if lived.ended_by is not None:
        yield Fault(
            f"the flows after {lived.ended_by.title!r} could not be tried; set the plugin so that it lets "
            "people in",
            note=decided,
        )
    if "pre_social_login" in trial.subject.implementations:
        yield from _taken_over(trial)
    yield from dict.fromkeys(fault for call in lived.calls for fault in _unread(call))
    yield from dict.fromkeys(
        Fault(
            f"writes to the host's own table {table}; keep tables of your own (register_tables)",
            call.hook,
            place,
        )
        for call in lived.calls
        for table, place in call.foreign.items()
    )


def _taken_over(trial: Trial) -> Iterator[Fault]:
    """Who says at a provider that an address is theirs, without proof, gets nobody's account by that."""
    if find_spec("oidc_provider_mock") is None:
        return
    with quiet(), trial.watched() as (host, mailbox, _):
        with host.request() as request:
            host.account.signup(request, email=FAY, password=PASSWORD)
            host.account.confirm_email(request, key=mailbox.key())
            owner = request.user_by_email(FAY)
        result = Life(host, mailbox, trial.provider).come("A stranger", FAY, email_verified=False)
        if owner is None or getattr(getattr(result, "account", None), "user_id", None) != owner.id:
            return
    yield Fault(
        "gives the account of an address to whom a provider names with it, though the provider does not say "
        "that it is verified; ask for `verified` of sociallogin.email_addresses",
        "pre_social_login",
    )


def _unread(call: Call) -> Iterator[Fault]:
    """What a hook returns though nobody reads it, and its author thinks that somebody does."""
    try:
        if call.hook in VETOES and call.returned is not None:
            check_nothing(call.returned)
        elif call.hook == "deliver_message":
            check_delivered(call.returned)
        elif call.hook in GUARDED:
            check_ran(call.returned)
    except UnusableResult as error:
        yield Fault(str(error), call.hook)


def failures(trial: Trial) -> Iterator[Fault]:
    """No hook raises anything but `Refused` and `StopFlow` where they are meant to be raised."""
    lived = trial.within
    seen = set()
    for call, step in zip(lived.calls, lived.of_call, strict=True):
        if call.error is None:
            continue
        place = trial.subject.place(call.error.__traceback__)
        if (call.hook, type(call.error), place) not in seen:
            seen.add((call.hook, type(call.error), place))
            yield Fault(f"raised {_raised(call.error)} in {step!r}", call.hook, place)
    yield from dict.fromkeys(fault for call in lived.calls for fault in _later(call, trial))
    yield from _afterwards(
        lived.logged, trial.subject.name, {(hook, kind.__name__) for hook, kind, _ in seen}
    )
    yield from _logged(lived.logged, trial.subject.name)


def _raised(error: BaseException) -> str:
    text = traceback.format_exception_only(error)[-1].strip()[:200]
    if "database is locked" in text:
        text += "; it writes by a connection of its own: use request.insert or request.db"
    return text


def _later(call: Call, trial: Trial) -> Iterator[Fault]:
    """What a callback of a call has raised."""
    if call.later_error is not None:
        place = trial.subject.place(call.later_error.__traceback__)
        yield Fault(f"a callback of request.on_commit raised {_raised(call.later_error)}", call.hook, place)


def _afterwards(records: Any, name: str, raised: set[tuple[str, str]]) -> Iterator[Fault]:
    """What the guard has seen fail though no call had raised it: it could not keep what was written."""
    told: set[tuple[str, str]] = set()
    for record in records:
        if record.name == "authhost.plugins" and record.msg.startswith("plugin %s failed in"):
            plugin, hook, kind = record.args[:3]
            if hook == AFTER_COMMIT or kind == UnusableResult.__name__:
                continue  # said where the call is looked at
            if plugin == name and (hook, kind) not in raised | told:
                told.add((hook, kind))
                yield Fault(
                    f"leaves request.db unusable ({kind}); end no transaction that it has not begun", hook
                )


def _logged(records: Any, name: str) -> Iterator[Fault]:
    """What the host has logged of failures outside the hooks themselves."""
    told = set()
    for record in records:
        if record.name not in ("authhost", "authhost.plugins"):
            continue
        if not record.msg.startswith("rows of plugin") or record.args[0] != name:
            continue
        message = f"rows that it queued were not stored: {record.args[1]}"
        if message not in told:
            told.add(message)
            yield Fault(message)


def arguments(trial: Trial) -> Iterator[Fault]:
    """No hook changes what it is handed."""
    changed: defaultdict[str, set[str]] = defaultdict(set)
    for call in trial.within.calls:
        changed[call.hook].update(call.changed)
    for hook, names in changed.items():
        for name in sorted(names):
            yield Fault(f"changes its argument {name}; other plugins and the flow see that", hook)


def times(trial: Trial) -> Iterator[Fault]:
    """No hook takes long: the person waits for all of them."""
    for hook, calls in _by_hook(trial.within).items():
        fastest = min(call.nanoseconds for call in calls)
        if fastest > SLOW and hook in GUARDED | VETOES | {"deliver_message"}:
            yield Fault(
                f"takes {fastest / 1e6:.0f} ms at the least; do it after the commit (request.on_commit), "
                "or leave a row for a worker",
                hook,
            )
        fastest = min(call.later for call in calls)
        if fastest > SLOW:
            yield Fault(
                f"a callback of request.on_commit takes {fastest / 1e6:.0f} ms at the least, and the answer "
                "waits for it; hand the work to a thread, or leave a row for a worker",
                hook,
            )


def measured(lived: Lived) -> tuple[HookTime, ...]:
    """How long each hook took in a life."""
    found = []
    for hook, calls in _by_hook(lived).items():
        took = [call.nanoseconds / 1000 for call in calls]
        found.append(HookTime(hook, len(took), round(sum(took) / len(took), 1), round(max(took), 1)))
    return tuple(sorted(found, key=lambda time: -time.mean))


def _by_hook(lived: Lived) -> dict[str, list[Call]]:
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for call in lived.calls:
        if not call.hook.startswith("register_"):
            found[call.hook].append(call)
    return found


# At the edges of what the contract promises.


HOURS = (0, 6, 12, 18)
"""From now: some plugins do something at night alone."""
LOGGED_IN = frozenset({"user_logged_in", "user_logged_out"})
"""Only of these the contract promises that somebody is logged in."""
ANYBODY = frozenset({"flow_refused", "password_reset_requested"})
"""Of these the contract says that nobody may be known whom it is about."""


def edges(trial: Trial) -> Iterator[Fault]:
    """It takes None wherever the contract allows it: nobody logged in, no address, no client, no account."""
    found = [fault for hours in HOURS for fault in _at(trial, hours)]
    yield from dict.fromkeys(found)


def _at(trial: Trial, hours: int) -> Iterator[Fault]:
    with (
        listened() as logged,
        printed(),
        trial.watched(hours=hours, email_verification="none") as (host, _, watched),
    ):
        with host.request() as request:
            signed_up = host.account.signup(request, email="eve@example.org", password=PASSWORD)
            now = request.now
        assert signed_up.user is not None
        bare = User(signed_up.user.id, None, None, True, False, now, None)
        for hook in trial.subject.implementations:
            if hook not in GUARDED | VETOES | {"deliver_message"}:
                continue
            watched.calls.clear()
            token = signed_up.session_token if hook in LOGGED_IN else None
            with host.request(session_token=token) as request:
                values = _bare(request, bare)
                if hook in ANYBODY:
                    values["user"] = None
                given = {name: values[name] for name in SPEC_ARGUMENTS[hook] if name != "request"}
                try:
                    getattr(host.services.hooks, hook)(request, **given)
                except (Refused, StopFlow, *PLUGIN_FAILURES):
                    pass  # a veto, or seen below
            for call in watched.calls:
                for fault in _later(call, trial):
                    yield replace(fault, message=f"{fault.message}, where there was nobody to name")
                if call.error is not None:
                    place = trial.subject.place(call.error.__traceback__)
                    said = ", ".join(f"{name}={_short(value)}" for name, value in given.items())
                    yield Fault(
                        f"raised {_raised(call.error)} for {said or 'an anonymous request'}", hook, place
                    )
    for fault in _logged(logged, trial.subject.name):
        yield Fault(f"{fault.message}, where there was nobody and nothing to name")


def _bare(request: Request, user: User) -> dict[str, Any]:
    """As little as the contract promises."""
    now = request.now
    address = EmailAddress(UUID(int=1), user.id, "eve@example.org", False, False)
    account = SocialAccount(None, None, "corp", "https://issuer.example.org", "1", {}, now, now)
    app = App("corp", BUILT_IN[0], ProviderSettings(client_id="x"))
    session = Session(UUID(int=3), user.id, now, now, now, now, "password", None, None, "")
    login = SocialLogin(request, app, "login", account, token=None, email_addresses=(), user=None)
    return {
        "user": user,
        "email_address": address,
        "from_email_address": None,
        "to_email_address": address,
        "confirmation": EmailConfirmation(UUID(int=2), address, now, now + timedelta(days=3)),
        "signup": False,
        "session": session,
        "reason": "replaced",
        "sociallogin": login,
        "socialaccount": account,
        "provider": "corp",
        "process": "redirect",
        "flow": "login",
        "error": InvalidCredentials(),
        "email": None,
        "message": Message("password_reset_unknown_account", "nobody@example.org"),
    }


def _short(value: Any) -> str:
    return repr(value) if value is None or isinstance(value, str | bool) else type(value).__name__
