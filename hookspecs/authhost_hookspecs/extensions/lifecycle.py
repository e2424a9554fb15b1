"""Extension points that are called when a host starts and stops, outside any flow."""

from __future__ import annotations

from authhost_hookspecs._markers import hookspec
from authhost_hookspecs.protocols import Host


@hookspec
def host_started(host: Host) -> None:
    """A host is ready: its settings are valid and its database is up to date.

    One process can have two hosts, so store state per host: in a hook of a flow,
    ``request.host`` is the host. ``plugin_settings`` of both return the same object.

    Start background work only here. A host that was opened with
    ``background=False``, like in the commands of ``authhost``, calls neither this
    hook nor `host_stopping`.

    The hook is called again for a plugin that was blocked at run time, when the block
    ends.

    .. versionadded:: 1.0

    Example::

        import logging

        from authhost_hookspecs import Host, hookimpl
        from sqlalchemy import func, select

        from authhost_doorbell.tables import events

        log = logging.getLogger(__name__)


        class Greeting:
            @hookimpl
            def host_started(self, host: Host) -> None:
                with host.reader.connect() as connection:
                    count = connection.execute(select(func.count()).select_from(events)).scalar_one()
                log.info("%s has %d events", host.settings.site_name, count)
    """


@hookspec
def host_stopping(host: Host) -> None:
    """A host closes: stop threads, and deliver what is still in memory.

    The database is still available. The hook is also called when an operator blocks the
    plugin at run time: the host stays open, and may call `host_started` again.

    .. versionadded:: 1.0

    Example::

        from concurrent.futures import ThreadPoolExecutor

        from authhost_hookspecs import Host, hookimpl


        class Threads:
            def __init__(self) -> None:
                self.of: dict[Host, ThreadPoolExecutor] = {}

            @hookimpl
            def host_started(self, host: Host) -> None:
                self.of[host] = ThreadPoolExecutor(max_workers=2)

            @hookimpl
            def host_stopping(self, host: Host) -> None:
                self.of.pop(host).shutdown()
    """
