"""``authhost analytics roll-up`` and ``forget``."""

from __future__ import annotations

import json
import sys
from uuid import UUID

import click
from authhost_hookspecs import CommandContext, Console, Host

from authhost_analytics.commands.options import json_option, settings_of
from authhost_analytics.commands.repeating import repeat


@click.command("roll-up")
@click.option("--every", type=click.FloatRange(min=1), help="Repeat after this many seconds, until Ctrl-C.")
@click.option("--all", "everything", is_flag=True, help="Check all stored events, not only recent ones.")
@json_option
@click.pass_obj
def roll_up(context: CommandContext, /, every: float | None, everything: bool, as_json: bool) -> None:
    """Aggregate new events, and delete events older than keep_days.

    Every command that reads statistics runs it first. Run it daily if no such command is run daily.

    Example: authhost analytics roll-up --every 60
    """
    host = context()
    if every is None:
        if not _roll_up_once(host, context.console, everything, as_json):
            sys.exit(1)
        return
    repeat(context.console, every, lambda: _roll_up_once(host, context.console, everything, as_json))


def _roll_up_once(host: Host, console: Console, everything: bool, as_json: bool) -> bool:
    """Run the roll-up and print the number of counted events. Return False if another process runs it."""
    from authhost_analytics.rollup import Busy, roll_up

    count = 0
    try:
        with console.progress(None, "events") as bar:
            for events in roll_up(host, settings_of(host), everything=everything):
                count += events
                bar.advance(events)
    except Busy:
        console.error("another process is running the roll-up; run it again later")
        return False
    text = f"counted {count:,} {'event' if count == 1 else 'events'}" if count else "there are no new events"
    console.print(json.dumps({"events": count}) if as_json else text)
    return True


@click.command()
@click.argument("user")
@json_option
@click.pass_obj
def forget(context: CommandContext, /, user: str, as_json: bool) -> None:
    """Erase a user from the stored events: an identifier, its beginning, an address or a username.

    Removes the user's pseudonyms and exact times. The events are still counted, but refer to
    no user. Run it after the account is closed. Events from the time of a former secret_key are
    found as long as it is in the list. A deleted account is found by its whole identifier only.

    Example: authhost analytics forget 01a2b3c4-89ab-7def-8123-456789abcdef
    """
    from authhost_analytics.erasure import erase_user

    try:
        user_id = UUID(user)  # also of a deleted account
    except ValueError:
        user_id = context.find_user(user).id
    erased = erase_user(context(), user_id)
    if as_json:
        text = json.dumps({"user_id": str(user_id), **erased._asdict()})
    elif any(erased):
        events = f"{erased.events:,} {'event' if erased.events == 1 else 'events'}"
        signup = " and the signup" if erased.signups else ""
        text = f"erased: {events}{signup} of {user_id} no longer refer to the user"
    else:
        text = f"nothing is stored for {user_id}"
    context.console.print(text)
