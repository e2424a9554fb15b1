"""Each hook is explained in full: in the docstring of its spec, on the site and on the command line."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import authhost_hookspecs as contract
import pytest
from click.testing import CliRunner

from authhost.account import Account
from authhost.cli.main import cli
from authhost.pluginhost.hooks import (
    ANSWERS,
    EXPORTS,
    REMOVALS,
    SPEC_ARGUMENTS,
    SPEC_MODULES,
    STEPS,
    VETOES,
    WRAPPABLE,
)
from authhost.pluginhost.reference import IN_FLOWS, called_flows, parse, places, reference, references
from authhost.socialaccount import SocialAccounts

PAGE = (Path(__file__).parents[1] / "docs" / "hooks.md").read_text(encoding="utf-8")
OUTSIDE_FLOWS = {"plugin_blocked", "plugin_unblocked"}
"""Notifications that an operator causes by ``host.plugins``, and no flow."""
SPECS = [vars(module)[name] for module in SPEC_MODULES for name in SPEC_ARGUMENTS if name in vars(module)]


@pytest.mark.parametrize("name", SPEC_ARGUMENTS)
def test_a_hook_is_explained_in_full(name):
    found = reference(name)  # raises for what the docstring lacks
    assert bool(found.stored) == (found.kind in IN_FLOWS)
    assert bool(places(name)) == (found.kind in IN_FLOWS and name not in OUTSIDE_FLOWS)
    assert tuple(map(int, found.since.split("."))) <= tuple(map(int, contract.CONTRACT_VERSION.split(".")))
    for sentence in filter(None, (found.when, *found.about.split("\n\n"), found.stored, found.failure)):
        assert sentence.endswith(".")
    section = re.search(rf"^### {name}$(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    for part in (found.signature, found.failure, found.example, f"since contract {found.since}"):
        assert part in section[1]
    for place in places(name):
        assert f"| {place.title} | `{place.flow}` | {place.number} of {len(place.hooks)}: " in section[1]


def test_what_flows_call_is_of_a_kind_that_flows_call():
    called = WRAPPABLE | VETOES | STEPS | EXPORTS | ANSWERS | REMOVALS
    assert {each.name for each in references() if each.kind in IN_FLOWS} == called


@pytest.mark.parametrize(
    ("part", "lack"),
    [
        (r"(?<=to stop it)\.", "a sentence that says when"),
        (r".*(?=Stored)", "a sentence that says when"),
        (r"Stored: .*?\n\n", "'Stored: …'"),
        (r"\.\. versionadded:: 1\.0", "'.. versionadded:: …'"),
        (r"Example::.*", "'Example::'"),
        (r".*", "a sentence that says when, 'Stored: …', '.. versionadded:: …', 'Example::'"),
    ],
)
def test_a_docstring_that_lacks_something_is_found(part, lack):
    def before_signup(request, email): ...

    whole = inspect.cleandoc(contract.extensions.before_signup.__doc__)
    before_signup.__doc__ = re.sub(part, "", whole, count=1, flags=re.DOTALL)
    with pytest.raises(ValueError, match=re.escape(f"the docstring of before_signup lacks {lack}") + "$"):
        parse("before_signup", before_signup)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_an_example_is_short_and_says_what_it_imports(spec):
    tree = ast.parse(reference(spec.__name__).example)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    own = [each for kind in classes for each in kind.body if isinstance(each, ast.FunctionDef)]
    (hook,) = (each for each in own if each.name == spec.__name__)
    assert hook.end_lineno - hook.lineno < 10
    assert len(own) <= 3
    assert {each.arg for each in hook.args.args} <= {"self", *inspect.signature(spec).parameters}


def test_every_flow_is_lived():
    """But for those that read or do what another one does."""
    lived = {each.flow for each in called_flows()}
    flows = {name for name in vars(Account) if not name.startswith("_")}
    flows |= {f"social_{name}" for name in vars(SocialAccounts) if not name.startswith("_")}
    assert flows - lived == {
        "cancel_login",
        "list_emails",
        "list_sessions",
        "end_session",
        "social_list_accounts",
        "social_token",
    }


def test_there_is_no_hook_of_another_name():
    with pytest.raises(LookupError, match="there is no hook 'user_logged_on'"):
        reference("user_logged_on")


# On the command line.


def authhost(*arguments):
    return CliRunner().invoke(cli, arguments, env={"AUTHHOST_SECRET_KEY": "k" * 48, "COLUMNS": "100"})


def test_all_hooks_are_listed():
    rows = [json.loads(line) for line in authhost("hooks", "--json").output.splitlines()]
    of_contract = [row["hook"] for row in rows if not row.get("published_by")]
    assert of_contract == [each.name for each in references()] == list(SPEC_ARGUMENTS)
    told = authhost("hooks").output
    for row in rows:
        assert f"{row['hook']}({row['arguments']})\n" in told


@pytest.mark.parametrize("name", SPEC_ARGUMENTS)
def test_one_hook_is_shown_whole(name):
    found = reference(name)
    told = authhost("hooks", name)
    assert told.exit_code == 0
    for part in (found.when, found.stored or "", found.failure):
        assert " ".join(part.replace("`", "").split()) in " ".join(told.output.split())
    lines = [line.rstrip() for line in told.output.splitlines()]
    assert found.example in "\n".join(lines)
    shown = json.loads(authhost("hooks", name, "--json").output)
    assert (shown["signature"], shown["example"]) == (found.signature, found.example)
    assert [flow["number"] for flow in shown["flows"]] == [place.number for place in places(name)]


def test_a_hook_that_there_is_not_is_named():
    told = authhost("hooks", "user_logged_on")
    assert told.exit_code == 1
    assert "there is no hook 'user_logged_on'" in told.output
