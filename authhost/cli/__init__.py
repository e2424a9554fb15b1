"""The command line ``authhost``: for operators, with the plugins' own commands."""

import sys

try:
    from authhost.cli.main import main
except KeyboardInterrupt:  # while click is being imported
    sys.exit(130)

__all__ = ["main"]
