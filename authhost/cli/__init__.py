"""The command line ``authhost``: authhost's commands and those of the plugins."""

import sys

try:
    from authhost.cli.main import main
except KeyboardInterrupt:  # while click is being imported
    sys.exit(130)

__all__ = ["main"]
