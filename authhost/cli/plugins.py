"""``authhost plugins``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from authhost.cli.completion import hook_names, plugin_names
from authhost.cli.lazy_host import LazyHost
from authhost.cli.plugin_blocks import block, known_blocks, unblock
from authhost.cli.suggestions import suggestion
from authhost.operations.console import Terminal, json_option

if TYPE_CHECKING:
    from authhost.pluginhost.blocks import Block
    from authhost.pluginhost.plugin_records import PluginRecord
    from authhost.testing.conformance import Report, Verdict

FIRST_RESULT_HOOKS = frozenset({"deliver_message"})


@click.group("plugins")
def plugins() -> None:
    """List, block, explain, measure and check plugins, and create a new one."""


plugins.add_command(block)
plugins.add_command(unblock)


@plugins.command("list")
@json_option
@click.pass_obj
def plugins_list(lazy_host: LazyHost, as_json: bool) -> None:
    """List the plugins in the order in which they are called.

    The reason says whether the settings or `authhost plugins block` have blocked a plugin.

    Example: authhost plugins list --json
    """
    blocks = known_blocks(lazy_host)
    rows = [_row(record, blocks) for record in lazy_host.registry().records]
    lazy_host.console.print_rows(rows, as_json=as_json, empty="no plugins found")


@plugins.command("show")
@click.argument("name", shell_complete=plugin_names)
@json_option
@click.pass_obj
def plugins_show(lazy_host: LazyHost, name: str, as_json: bool) -> None:
    """Show a plugin with its hooks, and the tables that it does not delete with an account.

    Example: authhost plugins show audit
    """
    records = [each for each in lazy_host.registry().records if each.name == name]
    if not records:
        hint = suggestion(name, [each.name for each in lazy_host.registry().records])
        raise click.ClickException(f"there is no plugin {name!r}.{hint} See `authhost plugins list`.")
    blocks = known_blocks(lazy_host)
    rows = [
        _row(each, blocks)
        | {"hooks": list(each.hooks), "publishes": list(each.published)}
        | {"retained": dict(each.tables.retained) if each.tables is not None else {}}
        for each in records
    ]
    lazy_host.console.print_rows(rows, as_json=as_json)


def _row(record: PluginRecord, blocks: Mapping[str, Block]) -> dict[str, Any]:
    block = blocks.get(record.name) if record.status == "loaded" else None
    return {
        "name": record.name,
        "status": "blocked" if block is not None else record.status,
        "distribution": record.distribution,
        "version": record.version,
        "hooks": len(record.hooks),
        "reason": str(block) if block is not None else record.reason,
    }


@plugins.command("why")
@click.argument("hook", shell_complete=hook_names)
@json_option
@click.pass_obj
def plugins_why(lazy_host: LazyHost, hook: str, as_json: bool) -> None:
    """Show the order in which plugins are called for a hook, the reason, and the effect of a failure.

    Example: authhost plugins why user_logged_in
    """
    registry = lazy_host.registry()
    if hook not in registry.specs.arguments:
        hint = suggestion(hook, registry.specs.arguments)
        raise click.ClickException(f"there is no hook {hook!r}.{hint} See `authhost hooks`.")
    caller, required = getattr(registry.manager.hook, hook), registry.settings.required_plugins
    rows = [
        {
            "call": number,
            "plugin": implementation.plugin_name,
            "why": _explain_order(implementation),
            "failure": _explain_failure(hook, implementation.plugin_name in required),
        }
        for number, implementation in enumerate(reversed(caller.get_hookimpls()), 1)
    ]
    lazy_host.console.print_rows(rows, as_json=as_json, empty=f"no plugin implements {hook}")


def _explain_order(implementation: Any) -> str:
    place = "wraps all that follow, " if implementation.wrapper else ""
    if implementation.tryfirst:
        return f"{place}asks to be first (tryfirst)"
    if implementation.trylast:
        return f"{place}asks to be last (trylast)"
    return f"{place}by its name"


def _explain_failure(hook: str, required: bool) -> str:
    from authhost.pluginhost.hooks import ANSWERS, EXPORTS, REMOVALS, STEPS, VETOES, is_notification

    if hook in VETOES | STEPS | ANSWERS:
        return "refuses the flow"
    if hook in EXPORTS:
        return "ends the export"
    if hook in REMOVALS:
        return "ends the removal; nothing is removed"
    if hook in FIRST_RESULT_HOOKS:
        return "ends the flow; the first that answers is the last that is called"
    if hook.startswith("register_"):
        return "the plugin is refused, or provides none of these"
    if required:
        return "ends the flow: the plugin is required"
    return "undone, logged and counted" if is_notification(hook) else "logged and counted"


@plugins.command("time")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Runs of all flows.",
)
@json_option
@click.pass_obj
def plugins_time(lazy_host: LazyHost, rounds: int, as_json: bool) -> None:
    """Measure the time of each plugin in each hook, in every flow, on new SQLite files.

    The plugins run with their default settings. For a running application,
    `host.plugin_stats()` returns the same figures.

    Example: authhost plugins time --rounds 20
    """
    settings = lazy_host.settings(any_secret=True)
    selection = {"plugins": settings.plugins, "blocked_plugins": settings.blocked_plugins}
    total: dict[tuple[str, str], list[int]] = {}
    with lazy_host.console.progress(rounds, "rounds") as bar:
        for stats in _run_scenarios(rounds, selection):
            for key, values in stats.items():
                total[key] = [a + b for a, b in zip(total.get(key, [0, 0, 0]), values, strict=True)]
            bar.advance()
    rows: list[dict[str, Any]] = [
        {
            "plugin": plugin,
            "hook": hook,
            "calls": calls,
            "failures": failures,
            "microseconds a call": round(nanoseconds / calls / 1000, 1),
        }
        for (plugin, hook), (calls, failures, nanoseconds) in total.items()
    ]
    rows.sort(key=lambda row: -row["microseconds a call"])
    lazy_host.console.print_rows(rows, as_json=as_json, empty="no plugin was called")


def _run_scenarios(rounds: int, selection: dict[str, Any]) -> Iterator[dict[tuple[str, str], list[int]]]:
    import tempfile

    from authhost.testing.conformance.output import silenced
    from authhost.testing.host import Clock, open_host
    from authhost.testing.mailbox import MAILBOX, Mailbox
    from authhost.testing.openid import LocalProvider
    from authhost.testing.scenario import SETTINGS, Scenario

    if selection["plugins"] is not None:
        selection["plugins"] = (*selection["plugins"], MAILBOX)
    with (
        LocalProvider() as provider,
        tempfile.TemporaryDirectory(prefix="authhost-time-") as folder,
        chdir(folder),  # a plugin may write files, such as e-mails
    ):
        for number in range(rounds):
            mailbox, url = Mailbox(), f"sqlite:///{Path(folder) / f'{number}.sqlite3'}"
            settings = {**SETTINGS, **selection, "providers": provider.settings}
            with (
                silenced(),
                open_host(url, {MAILBOX: mailbox}, clock=Clock(), discover=True, **settings) as host,
            ):
                Scenario(host, mailbox, provider).run()
                stats = host.plugin_stats()
            yield {
                key: [each.calls, each.failures, each.nanoseconds]
                for key, each in stats.items()
                if key[0] != MAILBOX
            }


@plugins.command("check")
@click.argument("name", shell_complete=plugin_names)
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="A setting of the plugin.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def plugins_check(name: str, given: Sequence[str], as_json: bool) -> None:
    """Check that an installed plugin conforms to the contract. Exits with 1 if it does not.

    Runs every flow with and without the plugin, on temporary SQLite files and
    with a local OpenID provider. `pytest --authhost-conformance NAME` runs the
    same checks.

    Examples:

      authhost plugins check audit

      authhost plugins check webhook --set url=https://127.0.0.1:9 --json
    """
    import faulthandler

    from authhost.testing.conformance import NoSuchPlugin, check, find_plugin

    settings = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise click.BadParameter(f"{each!r} must have the form KEY=VALUE", param_hint="--set")
        settings[key] = value
    try:
        with redirect_stdout(sys.stderr):  # a plugin may print when it is imported
            plugin = find_plugin(name, settings)
    except NoSuchPlugin as error:
        raise click.ClickException(str(error)) from None
    faulthandler.enable()  # a plugin may crash the interpreter, for example in a thread
    report = check(plugin, on_verdict=(lambda verdict: None) if as_json else _print_verdict)
    if as_json:
        click.echo(json.dumps(report.as_document(), indent=2))
    else:
        _print_summary(report)
    sys.exit(0 if report.passed else 1)


COLORS = {"passed": "green", "failed": "red", "skipped": "yellow"}


def _print_verdict(verdict: Verdict) -> None:
    if verdict.outcome == "skipped":
        return  # the first fault has the reason
    mark = click.style(f"{verdict.outcome:<8}", fg=COLORS[verdict.outcome], bold=True)
    console = Terminal()
    console.print(f"{mark}{verdict.check:<13} {verdict.asks}")
    for fault in verdict.faults:
        console.print(f"        {click.style('note', fg='yellow') if fault.note else '->'} {fault}")


def _print_summary(report: Report) -> None:
    times = [
        {"hook": each.hook, "calls": each.calls, "microseconds": each.mean, "most": each.most}
        for each in report.times
    ]
    if times:
        click.echo()
        Terminal().print_rows(times)
    failed = sum(verdict.outcome == "failed" for verdict in report.verdicts)
    skipped = sum(verdict.outcome == "skipped" for verdict in report.verdicts)
    if skipped:
        click.echo(f"{skipped} checks were skipped")
    who = f"{report.distribution} {report.version}" if report.distribution else report.plugin
    end = "keeps the contract" if report.passed else f"{failed} of {len(report.verdicts)} checks failed"
    click.echo(f"{who}: {end}")


@plugins.command("new")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder in which the project's folder is created. Default: the current folder.",
)
@json_option
@click.pass_obj
def plugins_new(lazy_host: LazyHost, name: str, directory: Path, as_json: bool) -> None:
    """Create the project of a new plugin, with tests that pass.

    Example: authhost plugins new doorbell
    """
    from authhost.cli.scaffold import InvalidName, write_project

    try:
        project = write_project(name, directory)
    except (InvalidName, FileExistsError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        where = error.filename or directory.absolute()
        raise click.ClickException(f"{where} cannot be written: {error.strerror}") from None
    if as_json:
        lazy_host.console.print_rows([{"plugin": name, "folder": str(project)}], as_json=True)
        return
    lazy_host.console.print(f"created {project}; continue with:\n")
    lazy_host.console.print(
        f"  cd {project}\n  pip install -e '.[test]'\n  pytest\n  authhost plugins check {name}"
    )
