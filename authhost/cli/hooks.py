"""``authhost hooks``: the reference of the hooks, with the installed plugins that implement them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from authhost.cli.completion import hook_names
from authhost.cli.lazy_host import LazyHost
from authhost.cli.suggestions import suggestion
from authhost.operations.console import json_option, rich_console

if TYPE_CHECKING:
    from authhost.pluginhost.reference import HookReference


@click.command("hooks")
@click.argument("name", required=False, shell_complete=hook_names)
@json_option
@click.pass_obj
def hooks(lazy_host: LazyHost, name: str | None, as_json: bool) -> None:
    """List all hooks, or describe one.

    Examples:

      authhost hooks

      authhost hooks user_logged_in

      authhost hooks user_logged_in --json | jq -r .example
    """
    from authhost.pluginhost.reference import places, references

    registry = lazy_host.registry()
    published = registry.specs.published
    found = {each.name: each for each in references()} | {
        hook: each.reference for hook, each in published.items()
    }
    publishers = {hook: each.plugin for hook, each in published.items()}
    if name is not None and name not in found:
        hint = suggestion(name, found)
        raise click.ClickException(f"there is no hook {name!r}.{hint} `authhost hooks` lists all hooks.")
    loaded = list(registry.loaded())
    plugins = {hook: [each.name for each in loaded if hook in each.hooks] for hook in found}
    if name is None:
        rows = [
            {
                "hook": hook,
                "kind": each.kind,
                "arguments": ", ".join(registry.specs.arguments[hook]),
                "published_by": publishers.get(hook),
                "plugins": ", ".join(plugins[hook]),
                "when": each.when,
            }
            for hook, each in found.items()
        ]
        if as_json:
            lazy_host.console.print_rows(rows, as_json=True)
        else:
            _print_list(rows)
    elif as_json:
        flows = [place._asdict() for place in places(name)]
        click.echo(
            json.dumps(
                {
                    **asdict(found[name]),
                    "published_by": publishers.get(name),
                    "flows": flows,
                    "plugins": plugins[name],
                }
            )
        )
    else:
        _print_hook(found[name], publishers.get(name), plugins[name])


def _print_list(rows: list[dict[str, Any]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console = rich_console()
    for row in rows:
        publisher = row["published_by"] and f"published by {row['published_by']}"
        console.print(Text.assemble((row["hook"], "bold"), f"({row['arguments']})"))
        notes = Text("; ".join(filter(None, (row["kind"], publisher, row["plugins"]))), "dim")
        for line in (Text(row["when"].replace("`", "")), notes):
            console.print(Padding(line, (0, 0, 0, 4)))


def _print_hook(each: HookReference, publisher: str | None, plugins: list[str]) -> None:
    from rich import box
    from rich.console import Group, RenderableType
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.table import Table
    from rich.text import Text

    from authhost.pluginhost.reference import IN_FLOWS, places

    def code(text: str) -> Syntax:
        return Syntax(text, "python", theme="ansi_dark", background_color="default", word_wrap=True)

    text = [
        each.when,
        each.about,
        each.stored and f"**Stored:** {each.stored}",
        f"**If it raises:** {each.failure}",
        publisher and f"**Published by:** the plugin {publisher}",
        f"**Implemented by:** {', '.join(plugins) or 'no installed plugin'}",
    ]
    parts: list[RenderableType] = [
        code(each.signature),
        Markdown(f"*{each.kind}, since {publisher or 'contract'} {each.since}*"),
        Markdown("\n\n".join(filter(None, text)).replace("``", "`")),
    ]
    if each.kind in IN_FLOWS and not publisher:
        table = Table(
            "what happens",
            "flow",
            "place",
            "hooks in order",
            box=box.SIMPLE_HEAD if sys.stdout.isatty() else None,
        )
        for title, flow, number, called in places(each.name):
            order = Text(" ").join(Text(hook, "bold" if hook == each.name else "dim") for hook in called)
            table.add_row(title, flow, f"{number} of {len(called)}", order)
        parts.append(table)
    parts.append(code(each.example))
    rich_console().print(Group(*(Padding(part, (0, 0, 1, 0)) for part in parts)))
