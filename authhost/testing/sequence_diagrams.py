"""Draw a traced flow as a Mermaid sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from authhost.testing.hook_order import TracedFlow


def sequence_diagram(flow: TracedFlow, plugins: Sequence[str]) -> str:
    """The diagram as Mermaid source. ``plugins`` are shown in this order, if the flow called them."""
    return "\n".join(["sequenceDiagram", *(f"    {line}" for line in _lines(flow, plugins))])


def _lines(flow: TracedFlow, plugins: Sequence[str]) -> Iterator[str]:
    step = flow.step
    called = {call.plugin for hook in flow.hooks for call in hook.calls}
    yield "participant app as application"
    yield "participant host as authhost"
    yield from (f"participant {name}" for name in plugins if name in called)
    yield f"app->>host: {step.flow}"
    for hook in flow.hooks:
        if hook.hook == "flow_refused":
            yield "Note over host: rolls back what the flow wrote"
        arguments = f"({', '.join(hook.arguments)})"
        receivers = [call.plugin for call in hook.calls if call.plugin in plugins]
        if not receivers:
            yield f"host->>host: {hook.hook}{arguments}"
        for name in receivers:
            yield f"host->>{name}: {hook.hook}{arguments}"
    yield "Note over host: commit"
    if step.outcome.startswith("done"):
        yield f"host-->>app: {step.outcome}"
    else:
        yield f"host--xapp: {step.outcome.partition(' ')[0]}"
