"""The compatibility matrix: each plugin, as a wheel, in a clean environment for each combination of versions.

``nox -s plugin_compat`` runs it; docs/compatibility.md explains it.
"""
