"""Check of a plugin's source code for mistakes on paths that the flows of the suite may not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules import (
    comparisons,
    connections,
    jobs,
    literals,
    outside_flows,
    refusals,
    subjects,
    unique_rows,
    units_of_work,
    whole_process,
)
from authhost.testing.conformance.source import PluginSource

RULES: tuple[Callable[[PluginSource], Iterator[Fault]], ...] = (
    refusals.veto_returns,
    refusals.revealing_refusals,
    refusals.dropped_refusals,
    refusals.dropped_answers,
    comparisons.never_equal,
    subjects.other_users,
    units_of_work.other_units,
    literals.unknown_values,
    connections.no_timeout,
    connections.uncommitted,
    unique_rows.checked_before_insert,
    refusals.refusals_elsewhere,
    refusals.swallowed_refusals,
    whole_process.caught_interrupts,
    whole_process.exits,
    whole_process.prints,
    whole_process.process_wide,
    whole_process.patches,
    whole_process.forced_changes,
    outside_flows.secrets_in_errors,
    outside_flows.state_of_started_hosts,
    jobs.unreleased_locks,
    jobs.locks_over_other_hooks,
    jobs.converted_naive_times,
    jobs.naive_times,
    jobs.effects_before_commit,
    jobs.jobs,
    jobs.threads_with_request,
    jobs.hooks_of_its_own,
    whole_process.settings_at_import,
)


def code(context: CheckContext) -> Iterator[Fault]:
    """Its code has no mistake that these flows may not reach: refusals that refuse nothing, and the like."""
    source = PluginSource(context.checked)
    faults = [fault for rule in RULES for fault in rule(source)]
    known = {(fault.message, fault.where): fault for fault in reversed(faults)}
    yield from sorted(known.values(), key=lambda fault: (str(fault.where), fault.message))
