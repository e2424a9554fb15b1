"""Checks that a plugin does not change how flows end or what others receive, unless it refuses on purpose."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, get_args

from authhost_hookspecs import Message
from authhost_hookspecs.declarations import MessageKind

from authhost.errors import PLUGIN_FAILURES, DeliveryFailed
from authhost.pluginhost.hooks import NOTIFICATIONS, VETOES
from authhost.pluginhost.results import UnusableResult, check_delivered, check_nothing, check_ran
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.hook_call import HookCall
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.report import Fault
from authhost.testing.host import PASSWORD
from authhost.testing.scenario import Scenario, Step

FAY = "fay@example.org"


def outcomes(context: CheckContext) -> Iterator[Fault]:
    """Every flow ends in the same way with the plugin and without it."""
    run = context.with_plugin
    yield from _changed_outcomes(run.steps, context.without_plugin)
    if run.stopped_after is not None:
        yield Fault(
            f"the flows after {run.stopped_after.title!r} could not run; change the plugin's settings so "
            "that it accepts the test accounts",
            note=any(step.ended_by_plugin for step in run.steps),
        )
    if "pre_social_login" in context.checked.implementations:
        yield from _account_takeover(context)
    yield from dict.fromkeys(fault for call in run.calls for fault in _unusable_result(call))
    yield from dict.fromkeys(_lost_results(context))
    yield from dict.fromkeys(
        Fault(
            f"writes to the host's own table {table}; write to tables of your own (register_tables)",
            call.hook,
            location,
        )
        for call in run.calls
        for table, location in call.host_tables.items()
    )


def _changed_outcomes(steps: Sequence[Step], without_plugin: Sequence[Step]) -> Iterator[Fault]:
    """Flows that end differently. After a refusal on purpose this may be its consequence, so it is a note."""
    expected = {each.title: each for each in without_plugin}
    refused: list[str] = []
    unjudged: list[str] = []
    for step in steps:
        normal = expected.get(step.title, step)
        if step.ended_by_plugin:
            refused.append(step.title)
            yield Fault(f"{step.title!r} was ended by the plugin on purpose: {step.outcome}", note=True)
        elif normal != step and refused:
            unjudged.append(step.title)
        elif normal != step:
            yield Fault(
                f"{step.title!r} ends with {step.outcome!r}; without the plugin it ends with "
                f"{normal.outcome!r}; let the flow end as before, or raise Refused in a veto",
                cause=f"ends with {step.outcome}",
                shows_in=repr(step.title),
            )
    ran = {step.title for step in steps}
    missing = [each.title for each in without_plugin if each.title not in ran]
    if refused and (unjudged or missing):
        yield Fault(
            f"since the plugin ended {_titles(refused)}, these flows ended differently or did not run, and "
            f"were not judged: {_titles([*unjudged, *missing])}; give settings with --set that accept the "
            "test accounts, or test them yourself",
            note=True,
        )


def _titles(titles: Sequence[str]) -> str:
    return ", ".join(map(repr, titles))


def _account_takeover(context: CheckContext) -> Iterator[Fault]:
    """An unverified address from a provider must not log in to the account that owns this address."""
    if find_spec("oidc_provider_mock") is None:
        return
    with silenced(), context.recorded_host() as (host, mailbox, _):
        with host.request() as request:
            host.account.signup(request, email=FAY, password=PASSWORD)
            host.account.confirm_email(request, key=mailbox.key())
            owner = request.user_by_email(FAY)
        scenario = Scenario(host, mailbox, context.provider)
        result = scenario.social_login("Log in as a stranger", FAY, email_verified=False)
        if owner is None or getattr(getattr(result, "account", None), "user_id", None) != owner.id:
            return
    yield Fault(
        "logs in to the account that owns an address, although the provider does not say that the address "
        "is verified; check `verified` of sociallogin.email_addresses",
        "pre_social_login",
    )


def _keeps(callback: Any, message: Message) -> bool:
    """Whether a callback has the message, and not only something about it, such as its kind."""
    values: list[Any] = [*getattr(callback, "args", ()), *getattr(callback, "keywords", {}).values()]
    for each in getattr(inspect.unwrap(callback), "__closure__", None) or ():
        with suppress(ValueError):
            values.append(each.cell_contents)
    jobs = [each for each in values if isinstance(getattr(each, "args", None), tuple)]
    values.extend(value for job in jobs for value in job.args)
    contents = [each for each in (message.key, message.link, message.text) if each]
    return any(value is message or value in contents for value in values if not hasattr(value, "args"))


def _lost_results(context: CheckContext) -> Iterator[Fault]:
    """What a wrapper of `deliver_message` makes of the result of the plugin that delivers."""
    wrapper = next(
        (each for each in context.checked.marked() if each.hook == "deliver_message" and each.wrapper), None
    )
    if wrapper is None:
        return
    names = list(inspect.signature(wrapper.function).parameters)
    messages = {
        call.arguments["message"].kind: call.arguments["message"]
        for call in context.with_plugin.calls
        if "message" in call.arguments
    }
    if not messages:
        messages = {
            kind: Message(kind, FAY, subject="Hello", text="Hello")
            if kind == "plugin"
            else Message(kind, FAY, key="k", link="https://x.example")
            for kind in get_args(MessageKind)
        }
    with silenced(), context.host({context.checked.name: context.checked.plugin}) as (host, _):
        for message in messages.values():
            for given in (True, None):
                with host.request(ip_address="127.0.0.1") as request:
                    values = {"request": request, "message": message}
                    returned = _sent_through(wrapper.function(*(values[name] for name in names)), given)
                    queued = bool(request.callbacks or request.queued)
                    request.rollback()
                if given and returned is not True and not isinstance(returned, Exception):
                    lost = "None" if returned is None else f"a {type(returned).__name__}"
                    yield Fault(
                        f"loses the result: another plugin has returned True, the wrapper returns {lost}, "
                        "so the flow ends as if nobody delivered the message; "
                        "write `result = yield` and `return result`",
                        "deliver_message",
                    )
                elif given is None and returned and not isinstance(returned, Exception) and not queued:
                    yield Fault(
                        "invents a result: no plugin has accepted the message, and the wrapper returns "
                        f"{returned!r}, so the message is lost; write `result = yield` and `return result`",
                        "deliver_message",
                    )
            error = DeliveryFailed()
            with host.request(ip_address="127.0.0.1") as request:
                values = {"request": request, "message": message}
                returned = _sent_through(wrapper.function(*(values[name] for name in names)), error)
                queued = bool(request.queued) or any(_keeps(each.run, message) for each in request.callbacks)
                request.rollback()
            if not isinstance(returned, Exception) and not queued:
                yield Fault(
                    f"hides the failure of another plugin and returns {returned!r}; raise it again",
                    "deliver_message",
                )


def _sent_through(generator: Generator[None, Any, Any], given: Any) -> Any:
    """What a wrapper returns, or the exception that it raises, if the delivery has this result."""
    try:
        next(generator)
        if isinstance(given, Exception):
            generator.throw(given)
        else:
            generator.send(given)
    except StopIteration as end:
        return end.value
    except PLUGIN_FAILURES as error:
        return error if isinstance(error, Exception) else RuntimeError()
    return RuntimeError("a second yield, which `failures` reports")


def _unusable_result(call: HookCall) -> Iterator[Fault]:
    """A result that the host does not accept from this hook."""
    try:
        if call.hook in VETOES and call.returned is not None:
            check_nothing(call.returned)
        elif call.hook == "deliver_message":
            check_delivered(call.returned)
        elif call.hook in NOTIFICATIONS:
            check_ran(call.returned)
    except UnusableResult as error:
        yield Fault(str(error), call.hook)


def arguments(context: CheckContext) -> Iterator[Fault]:
    """No hook changes its arguments."""
    changed: defaultdict[str, set[str]] = defaultdict(set)
    for call in context.with_plugin.calls:
        changed[call.hook].update(call.changed_arguments)
    for hook, names in changed.items():
        for name in sorted(names):
            yield Fault(f"changes its argument {name}, which other plugins and the flow use too", hook)
