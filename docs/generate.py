"""Writes the pages that follow from the code: ``python docs/generate.py``."""

from __future__ import annotations

import ast
import inspect
import json
from itertools import chain
from pathlib import Path
from types import ModuleType

import authhost_hookspecs as contract

from authhost import errors, settings
from authhost.cli.provider_check import kind_of
from authhost.pluginhost import reference
from authhost.pluginhost.hooks import SPEC_ARGUMENTS, SPEC_MODULES
from authhost.providers.app import App, ProviderSettings
from authhost.providers.catalogue import BUILT_IN
from authhost.security import ratelimits
from authhost.testing import hook_order as recorded

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py. Change the docstrings instead. -->\n"


def paragraphs(documentation: str | None) -> str:
    """A docstring as Markdown; raises `ValueError` where there is none."""
    if not documentation:
        raise ValueError("a docstring is missing")
    return inspect.cleandoc(documentation).replace("``", "`")


def hook_order() -> str:
    """What each flow calls, as JSON: `authhost.pluginhost.reference` reads it."""
    return "[\n" + ",\n".join(map(json.dumps, recorded.hook_order())) + "\n]\n"


def hook_table(hooks: list[reference.HookReference]) -> list[str]:
    """All hooks at a glance."""
    rows = []
    for each in hooks:
        flows = ", ".join(dict.fromkeys(f"`{place.flow}`" for place in reference.places(each.name)))
        rows.append(f"| [{each.name}](#{each.name}) | {each.kind} | {flows or 'no flow'} |")
    return ["| hook | kind | called in |", "| --- | --- | --- |", *rows, ""]


def flow_table() -> list[str]:
    """All flows, and what they call."""
    rows = []
    for title, flow, called in reference.called_flows():
        names = ", ".join(f"[{name}](#{name})" for name in called)
        rows.append(f"| {title} | `{flow}` | {names or 'none'} |")
    return ["| what happens | flow | hooks in order |", "| --- | --- | --- |", *rows, ""]


def place_table(name: str) -> list[str]:
    """Where the flows call one hook."""
    rows = []
    for title, flow, number, hooks in reference.places(name):
        order = ", ".join(f"**{each}**" if each == name else each for each in hooks)
        rows.append(f"| {title} | `{flow}` | {number} of {len(hooks)}: {order} |")
    return ["| what happens | flow | place among its hooks |", "| --- | --- | --- |", *rows, ""]


def hook(each: reference.HookReference) -> list[str]:
    """All of one hook."""
    text = [f"*{each.kind}, since contract {each.since}*", each.when, each.about]
    text += [each.stored and f"**Stored:** {each.stored}", f"**If it raises:** {each.failure}"]
    return [
        f"### {each.name}",
        "",
        "```python",
        each.signature,
        "```",
        "",
        *("\n\n".join(filter(None, text)).replace("``", "`"), ""),
        *(place_table(each.name) if each.kind in reference.IN_FLOWS else ()),
        "```python",
        each.example,
        "```",
        "",
    ]


def hooks_of(module: ModuleType) -> list[str]:
    """All hooks of a module of the contract, under its own docstring."""
    own = (reference.reference(name) for name in vars(module) if name in SPEC_ARGUMENTS)
    return [paragraphs(module.__doc__), "", *(line for each in own for line in hook(each))]


class _Annotation(str):
    """An annotation whose repr has no quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _signature(function: object) -> inspect.Signature:
    """The signature of a function whose annotations are strings, without quotes around them."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    parameters = [
        each if each.annotation is each.empty else each.replace(annotation=_Annotation(each.annotation))
        for each in found.parameters.values()
    ]
    return found.replace(parameters=parameters, return_annotation=_Annotation(found.return_annotation))


def protocol(name: str) -> str:
    """What a plugin may rely on of one value."""
    kind = getattr(contract, name)
    lines = [f"### {name}\n", paragraphs(kind.__doc__), ""]
    for attribute, value in vars(kind).items():
        if attribute.startswith("_"):
            continue
        if isinstance(value, property):
            assert value.fget is not None
            returned = str(inspect.signature(value.fget).return_annotation)
            title = f"`{attribute}: {returned}`"
        elif inspect.isfunction(value):
            title = f"`{attribute}{_signature(value)}`"
        else:
            continue
        lines.append(f"- {title}: " + " ".join(paragraphs(value.__doc__).split()))
    return "\n".join(lines) + "\n"


def hooks() -> str:
    """The hook reference."""
    protocols = [
        name
        for name in contract.__all__
        if inspect.isclass(getattr(contract, name))
        and getattr(getattr(contract, name), "_is_protocol", False)
    ]
    return "\n".join(
        [
            NOTE,
            "# Hooks",
            "",
            f"Contract {contract.CONTRACT_VERSION}. An implementation names the arguments that it wants, "
            "in any order. `authhost hooks NAME` shows one hook.",
            "",
            *hook_table(reference.references()),
            "The order of calls is that of every flow run once, with mandatory verification and a login on",
            "confirmation and on reset. The table `events` of the examples is that of",
            "[register_tables](#register_tables).",
            "",
            "## Signals of accounts",
            "",
            *hooks_of(contract.account),
            "## Signals of social accounts",
            "",
            *hooks_of(contract.socialaccount),
            "## Extension points",
            "",
            paragraphs(contract.extensions.__doc__),
            "",
            *chain.from_iterable(hooks_of(module) for module in SPEC_MODULES[2:]),
            "## What each flow calls",
            "",
            *flow_table(),
            "## What the arguments promise",
            "",
            *(protocol(name) for name in protocols),
        ]
    )


def attributes(kind: type) -> dict[str, str]:
    """The docstrings under the fields of a dataclass."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            if not (isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)):
                raise ValueError(f"setting {field.target.id} has no docstring")
            annotation = ast.unparse(field.annotation).replace(" | ", " or ")
            meaning = " ".join(paragraphs(str(text.value.value)).split())
            found[field.target.id] = f"`{annotation}` | {_default(field.value)} | {meaning}"
    return found


def _default(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call):
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        if "default" in given:
            return f"`{ast.unparse(given['default'])}`"
        factory = given["default_factory"]
        return f"`{ast.unparse(factory.body)}`" if isinstance(factory, ast.Lambda) else "empty"
    return f"`{ast.unparse(value)}`" if value is not None else ""


def table_of(kind: type) -> list[str]:
    """The fields of a dataclass."""
    rows = [f"| `{name}` | {rest} |" for name, rest in attributes(kind).items()]
    return ["| name | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]


def providers() -> str:
    """The reference of providers: what an operator sets, which are built in, how one is declared."""
    built_in = []
    for each in BUILT_IN:
        app = App(each.id, each, ProviderSettings(client_id="x"))
        needs = ", ".join(f"`{name}`" for name in app.missing_settings()) or ""
        elsewhere = App(each.id, each, ProviderSettings(client_id="x", server="https://other.example"))
        trusted = (
            "yes" if elsewhere.trusts_emails else "at its own server" if app.trusts_emails else "when set"
        )
        built_in.append(
            f"| `{each.id}` | [{each.name}]({each.docs}) | {kind_of(each)} | {needs} | {trusted} |"
        )
    kinds = (contract.OAuth2Provider, contract.OpenIDConnectProvider, contract.OAuth1Provider)
    declared = [
        line
        for kind in (contract.Profile, contract.ProviderEmail, *kinds)
        for line in (f"### {kind.__name__}", "", paragraphs(kind.__doc__), "", *table_of(kind))
    ]
    return "\n".join(
        [
            NOTE,
            "# Providers",
            "",
            "Set one up by a table `[providers.NAME]`, or by `AUTHHOST_PROVIDERS__NAME__SETTING`. Several",
            "apps of one provider have different names and the same `provider`.",
            "",
            "## What an operator sets",
            "",
            *table_of(ProviderSettings),
            "## Built in",
            "",
            f'{len(BUILT_IN)} are built in. "Trusted" says whether the provider\'s word that an address is',
            "verified counts where `trust_emails` is not set. Many providers never say that an address is",
            "verified; their addresses are confirmed by mail. A server that is not the provider's own is",
            "trusted only where `trust_emails` is set.",
            "",
            "| provider | who | protocol | needs also | trusted |",
            "| --- | --- | --- | --- | --- |",
            *built_in,
            "",
            "## How one is declared",
            "",
            "A plugin returns declarations from `register_providers`.",
            "",
            *declared,
        ]
    )


def setting_table() -> str:
    """The reference of the settings and the rate limits."""
    limits = [f"| `{action}` | `{rates}` |" for action, rates in ratelimits.DEFAULTS.items()]
    return "\n".join(
        [
            NOTE,
            "# Settings",
            "",
            "From a TOML file, then from the environment (`AUTHHOST_` and the name in capitals; lists are",
            "separated by commas), then from code. Times are in seconds. A plugin's own are under",
            "`[plugins.NAME]`, or `AUTHHOST_PLUGINS__NAME__SETTING`.",
            "",
            *table_of(settings.Settings),
            "## Rate limits",
            "",
            "Amount / period / what it is counted by: `ip` (an IPv4 address, or the /64 of an IPv6 address),",
            "`user` (who is logged in), `key` (the account, name or address that the action concerns), or",
            "`key+ip` (both together). A period may be a number of units, such as `5/30 minute/key`.",
            "",
            "| action | default |",
            "| --- | --- |",
            *limits,
            "",
        ]
    )


def error_table() -> str:
    """The reference of the refusals."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.AuthError) and kind is not errors.AuthError
    ]
    rows = [
        f"| `{kind.code}` | `{kind.__name__}` | {' '.join(paragraphs(kind.__doc__).split())} |"
        for kind in kinds
    ]
    return "\n".join(
        [
            NOTE,
            "# Refusals",
            "",
            "Each is an `authhost.AuthError`: `error.code` is stable, `str(error)` is for people,",
            "`error.fields` for programs. None carries a secret.",
            "",
            "| code | class in `authhost.errors` | when |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def check_table() -> str:
    """The checks of the conformance suite, for the page of the authors of plugins."""
    from authhost.testing.conformance import CHECKS

    return "".join(f"| `{name}` | {paragraphs(check.__doc__)} |\n" for name, check in CHECKS.items())


PLUGINS = ("analytics", "audit", "email")


def sequence_pages() -> str:
    """A diagram for each flow, traced while it ran."""
    from authhost.testing.hook_order import traced_flows
    from authhost.testing.scenario import REDIRECT
    from authhost.testing.sequence_diagrams import sequence_diagram

    parts = [
        NOTE.replace("Change the docstrings instead", "It is traced while every flow runs"),
        "# Who is called in each flow",
        "",
        "Each flow once, with mandatory verification, login on confirmation and on reset, and the plugins",
        f"{', '.join(PLUGINS[:-1])} and {PLUGINS[-1]}. `authhost tour --trace` shows the same with",
        "times, and `AUTHHOST_TRACE=1` in an application of your own.",
        "",
    ]
    for each in traced_flows(PLUGINS):
        title = each.step.title
        # Of the redirects to the provider, which are all alike, only the first is drawn.
        if not title.endswith(REDIRECT) or title == f"Sign up through a provider{REDIRECT}":
            parts += [f"## {title}", "", "```mermaid", sequence_diagram(each, PLUGINS), "```", ""]
    return "\n".join(parts)


PAGES = {
    "flows/sequences.md": sequence_pages,
    "../authhost/pluginhost/hook_order.json": hook_order,
    "hooks.md": hooks,
    "providers.md": providers,
    "settings.md": setting_table,
    "refusals.md": error_table,
}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (HERE / name).write_text(write(), encoding="utf-8")
