"""What the checks of one plugin share: its hosts, and the scenario run with the plugin and without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from authhost_hookspecs import Refused, hookimpl
from sqlalchemy import Engine, event

from authhost.errors import AuthError
from authhost.host import AuthHost
from authhost.testing.browser import Browser
from authhost.testing.conformance.call_recorder import CallRecorder
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.memory import released_locks, sizes_in_memory
from authhost.testing.conformance.output import captured_logs, captured_print, silenced
from authhost.testing.conformance.plugin_tables import Rows, plugin_rows
from authhost.testing.conformance.process_state import process_state
from authhost.testing.conformance.published_hooks import UnknownType, argument_sets, stand_ins
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.runs import (
    RepeatedRun,
    ScenarioRun,
    end_of_file,
    metric_labels,
    recorded_given,
    stored_requests,
)
from authhost.testing.conformance.side_effects import files_written_by, random_texts_of, record_statement
from authhost.testing.host import PASSWORD, Clock, open_host
from authhost.testing.lost_factor import LOST_FACTOR, LostFactor
from authhost.testing.mailbox import MAILBOX, Mailbox
from authhost.testing.openid import LocalProvider
from authhost.testing.scenario import BOB, SETTINGS, Scenario, Step

REFUSED, REFUSALS = "guy", 3
CALL_PUBLISHED = "Call the hooks of other plugins"
"""The title of the step after the scenario."""


class CheckContext:
    """The plugin that is checked, with a folder and an OpenID provider for its hosts."""

    def __init__(self, checked: CheckedPlugin, folder: Path, provider: LocalProvider) -> None:
        self.checked, self.folder, self.provider = checked, folder, provider
        self.state_at_start = process_state()
        self.known_faults: dict[str, tuple[Fault, ...]] = {}
        """The faults of checks whose result others need, by the name of the check."""
        self.hangs = False
        """Whether a check has not returned."""
        self.covered: set[tuple[str, int]] = set()
        """File and line of all lines of the plugin that hooks have run."""
        self.hosts: list[AuthHost] = []
        """All hosts that were opened, in order."""
        self._without_plugin: list[Step] | None = None
        self._repeated: RepeatedRun | None = None
        self._with_plugin: ScenarioRun | None = None

    @contextmanager
    def host(
        self, plugins: Mapping[str, object], *, hours: float = 0, database: str = "", **settings: Any
    ) -> Iterator[tuple[AuthHost, Mailbox]]:
        """Open a host with some plugins on the SQLite file ``database``, or a new one.

        Its clock is ``hours`` ahead.
        """
        mailbox, name = Mailbox(), self.checked.name
        clock = Clock()
        clock.forward(hours=hours)
        values = {
            **SETTINGS,
            "providers": self.provider.settings,
            "plugin_settings": {name: self.checked.settings} if name in plugins else {},
            **settings,
        }
        url = f"sqlite:///{self.folder / (database or f'{len(self.hosts) + 1}.sqlite3')}"
        if name in plugins:
            plugins = {**stand_ins(self.checked.published), **plugins}
        plugins = {MAILBOX: mailbox, LOST_FACTOR: LostFactor(), **plugins}
        with open_host(url, plugins, clock=clock, **values) as host:
            self.hosts.append(host)
            _shorten_lock_timeout(host.engine)
            yield host, mailbox

    @contextmanager
    def recorded_host(
        self, others: Mapping[str, object] | None = None, **settings: Any
    ) -> Iterator[tuple[AuthHost, Mailbox, CallRecorder]]:
        """Open a host with the plugin, whose calls are recorded, and ``others``."""
        recorder = CallRecorder(self.checked, self.covered)
        with self.host({self.checked.name: recorder.plugin, **(others or {})}, **settings) as (host, mailbox):
            for engine in {host.engine, host.reader}:
                event.listen(
                    engine, "before_cursor_execute", lambda *values: record_statement(host, values[2])
                )
            yield host, mailbox, recorder

    # These are no `functools.cached_property`: before Python 3.12 it locks all instances during one call.

    @property
    def without_plugin(self) -> list[Step]:
        """How every flow ends without the plugin."""
        if self._without_plugin is None:
            self._without_plugin = self._run_without_plugin()
        return self._without_plugin

    @property
    def with_plugin(self) -> ScenarioRun:
        """How every flow ends with the plugin, with all calls and traces."""
        if self._with_plugin is None:
            self._with_plugin = self._run_with_plugin()
        return self._with_plugin

    @property
    def repeated(self) -> RepeatedRun:
        """The result of `run_again`, which runs once."""
        if self._repeated is None:
            self._repeated = self.run_again()
        return self._repeated

    @property
    def finished_run(self) -> ScenarioRun | None:
        """`with_plugin` if that run has ended, else None. Starts no run."""
        return self._with_plugin

    @property
    def finished_repetition(self) -> RepeatedRun | None:
        """`repeated` if that run has ended, else None. Starts no run."""
        return self._repeated

    def _run_without_plugin(self) -> list[Step]:
        with self.host({}) as (host, mailbox), silenced():
            scenario = Scenario(host, mailbox, self.provider)
            scenario.run()
        assert scenario.stopped_after is None, f"the kit itself stops after {scenario.stopped_after}"
        return scenario.steps

    def _run_with_plugin(self) -> ScenarioRun:
        step_of_call: list[str] = []
        held_locks: dict[str, str] = {}
        # Capture before the host starts, since a plugin may log or print in `host_started`.
        with (
            captured_logs() as logged,
            captured_print() as text,
            files_written_by(self.checked) as files,
            random_texts_of(self.checked) as random_texts,
            self.recorded_host() as (host, mailbox, recorder),
        ):
            step_of_call.extend(["start"] * len(recorder.calls))

            rows_before_deletion: Rows = {}
            labels: dict[str, set[str]] = {}
            given = recorded_given(host, self.checked)

            def before(title: str, flow: str) -> None:
                if flow == "accounts_delete":
                    rows_before_deletion.update(plugin_rows(host))

            def after(step: Step) -> None:
                for name, values in metric_labels(host, self.checked).items():
                    labels.setdefault(name, set()).update(values)
                step_of_call.extend([step.title] * (len(recorder.calls) - len(step_of_call)))
                for name in released_locks(self.checked):
                    held_locks.setdefault(name, step.title)

            scenario = Scenario(host, mailbox, self.provider, before, after)
            scenario.run()
            not_called = self.call_published(host)
            after(Step(CALL_PUBLISHED, "published", "done"))
            kept_requests = stored_requests(self.checked, recorder.calls)
            host.close()
            step_of_call.extend(["stop"] * (len(recorder.calls) - len(step_of_call)))
            for call in recorder.calls:
                request = call.arguments.get("request")
                for login in (call.arguments.get("sociallogin"), getattr(request, "_sociallogin", None)):
                    token = getattr(login, "token", None)
                    if token is not None:
                        scenario.secrets[token.reveal()] = "a provider's token"
            scenario.secrets |= dict.fromkeys(host.settings.secret_keys, "the secret key")
            return ScenarioRun(
                scenario.steps,
                scenario.stopped_after,
                recorder.calls,
                scenario.secrets,
                plugin_rows(host),
                logged,
                text.getvalue(),
                {path: (location, end_of_file(Path(path))) for path, location in files.items()},
                kept_requests,
                step_of_call,
                scenario.deleted,
                rows_before_deletion,
                given,
                held_locks,
                labels,
                frozenset(random_texts),
                list(mailbox.messages),
                not_called,
            )

    def call_published(self, host: AuthHost) -> dict[str, str]:
        """Call the implementations of hooks that other plugins publish.

        Returns why a hook could not be called, by its name.
        """
        not_called: dict[str, str] = {}
        for hook in self.checked.implementations:
            published = self.checked.published.get(hook)
            if published is None:
                continue
            try:
                with host.request(ip_address="127.0.0.1") as request:
                    user = request.user_by_email(BOB)
                for arguments in argument_sets(published, user):
                    with host.request(ip_address="127.0.0.1") as request:
                        host.services.hooks.call_published(request, hook, arguments)
            except (NameError, UnknownType) as error:
                not_called[hook] = str(error)
        return not_called

    def run_again(self) -> RepeatedRun:
        """Run the scenario on a new host, after the flows of an account have run there once."""
        titles: list[str] = []
        began: list[tuple[int, int]] = []
        own: list[int] = []

        def before(title: str, flow: str) -> None:
            began.append((perf_counter_ns(), len(recorder.calls)))

        def after(step: Step) -> None:
            started, first = began[-1]
            plugin = sum(each.nanoseconds + each.callback_nanoseconds for each in recorder.calls[first:])
            own.append(perf_counter_ns() - started - plugin)
            titles.extend([step.title] * (len(recorder.calls) - len(titles)))
            released_locks(self.checked)

        refuser = _Refuser()
        with silenced(), self.recorded_host(others={"zz_refuser": refuser}) as (host, mailbox, recorder):
            recorder.tracing = False
            Scenario(host, mailbox, self.provider).run(social=False)
            self.call_published(host)
            recorder.calls.clear()
            sizes = [sizes_in_memory(self.checked)]
            Scenario(host, mailbox, self.provider, before, after, suffix="2").run()
            self.call_published(host)
            titles.extend([CALL_PUBLISHED] * (len(recorder.calls) - len(titles)))
            calls = list(zip(titles, recorder.calls, strict=True))
            recorder.calls = []  # they keep the requests alive
            held_locks = _refused_logins(host, mailbox, refuser, self.checked)
            recorder.calls = []
            sizes.append(sizes_in_memory(self.checked))
            if any(size > sizes[0].get(name, 0) for name, size in sizes[1].items()):
                # The flows of the second time are more kinds of flows. Those of the third time are the same.
                Scenario(host, mailbox, self.provider, suffix="3").run()
                self.call_published(host)
                recorder.calls = []
                _refused_logins(host, mailbox, refuser, self.checked, "3")
                recorder.calls = []
                sizes = [sizes[1], sizes_in_memory(self.checked)]
        return RepeatedRun(calls, sorted(own)[len(own) // 2], sizes, held_locks)


class _Refuser:
    """Refuses logins after all other plugins have let them pass."""

    refuses = False

    @hookimpl(trylast=True)
    def before_login(self) -> None:
        if self.refuses:
            raise Refused("refused", "Not now.")


def _refused_logins(
    host: AuthHost, mailbox: Mailbox, refuser: _Refuser, checked: CheckedPlugin, suffix: str = ""
) -> list[str]:
    """Log in and be refused by another plugin. Returns the plugin's locks that stay locked."""
    held: list[str] = []
    email = f"{REFUSED}{suffix}@example.org"
    with suppress(AuthError, LookupError):
        browser = Browser(host)
        browser("signup", email=email, password=PASSWORD)
        browser("confirm_email", key=mailbox.key())
        refuser.refuses = True
        for _ in range(REFUSALS):
            with suppress(AuthError):
                Browser(host)("login", identifier=email, password=PASSWORD)
            held.extend(released_locks(checked))
    refuser.refuses = False
    return sorted(set(held))


def _shorten_lock_timeout(engine: Engine) -> None:
    """Make a plugin that waits for a lock of its own host fail soon. It would wait forever."""
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=300"))
    engine.dispose()
