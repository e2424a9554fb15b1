"""A rule about the person whom a hook is about, who is not always the logged-in user."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

SUBJECTS: Mapping[str, str] = {
    "account_ready": "user",
    "account_recovered": "user",
    "email_added": "user",
    "email_changed": "user",
    "email_confirmation_sent": "confirmation",
    "email_confirmed": "email_address",
    "email_removed": "user",
    "export_user": "user",
    "factors_removed": "user",
    "impersonation_ended": "session",
    "impersonation_started": "user",
    "password_removed": "user",
    "password_reset": "user",
    "password_reset_requested": "user",
    "remove_factors": "user",
    "session_ended": "session",
    "user_deactivated": "user",
    "user_deleted": "user",
    "password_reset_required": "user",
    "user_reactivated": "user",
    "user_signed_up": "user",
}
"""The argument of each hook that names the person, where nobody or somebody else may be logged in."""


def other_users(source: PluginSource) -> Iterator[Fault]:
    """A hook that uses the logged-in user, and never the person whom it is about.

    A helper may note who has done it, for all hooks: only the hook's own function counts.
    """
    by_hook: dict[str, list[Reached]] = {}
    for reached in source.reached:
        if reached.hook in SUBJECTS:
            by_hook.setdefault(reached.hook, []).append(reached)
    for hook, functions in by_hook.items():
        subject = SUBJECTS[hook]
        own = source.of_hook(hook)
        if any(_names_subject(each, subject) for each in functions) and not _is_ambiguous(own):
            continue  # somebody else may be noted, too: who has done it
        for reached in functions:
            for node in _uses_of_logged_in_user(reached) if reached is own else ():
                yield Fault(
                    "uses request.user, who may be nobody or somebody else here; use "
                    f"{_path_to_owner(subject)}, whom the hook is about",
                    hook,
                    reached.at(node),
                )


def _is_ambiguous(reached: Reached | None) -> bool:
    """Whether a function takes the logged-in user or the person, whoever is there."""
    choices = (ast.IfExp, ast.BoolOp)
    nodes = own_nodes(reached.node) if reached is not None else ()
    shown = (dotted(each) for each in nodes if isinstance(each, choices))
    return any("request.user.id" in each and ".user_id" in each for each in shown)


def _path_to_owner(subject: str) -> str:
    if subject == "user":
        return "user"
    if subject == "confirmation":
        return "confirmation.email_address.user_id"
    return f"{subject}.user_id"


def _names_subject(reached: Reached, subject: str) -> bool:
    """Whether a function uses the owner of the argument, or passes the argument on."""
    nodes = own_nodes(reached.node)
    if subject in ("user", "session"):  # rows about a session need no user
        loaded = (each for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load))
        own = {each.arg for each in ast.walk(reached.node.args) if isinstance(each, ast.arg)}
        if subject in own and any(each.id == subject for each in loaded):
            return True
    if any(isinstance(each, ast.Attribute) and each.attr == "user_id" for each in nodes):
        return True
    passed = (
        value
        for each in nodes
        if isinstance(each, ast.Call)
        for value in (*each.args, *(keyword.value for keyword in each.keywords))
    )
    return any(dotted(value) == subject or dotted(value).endswith(".email_address") for value in passed)


def _uses_of_logged_in_user(reached: Reached) -> Iterator[ast.AST]:
    """Uses of ``request.user`` beside questions whether somebody is logged in."""
    nodes = own_nodes(reached.node)
    asked: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Compare):
            asked.update(id(each) for each in (node.left, *node.comparators))
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            asked.update(map(id, ast.walk(node.test)))
    for node in nodes:
        if not isinstance(node, ast.Attribute) or dotted(node) != "request.user" or id(node) in asked:
            continue
        yield node
