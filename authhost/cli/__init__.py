"""The command line ``authhost``: for operators, with the plugins' own commands."""

from authhost.cli.main import main

__all__ = ["main"]
