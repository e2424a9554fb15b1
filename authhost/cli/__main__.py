"""`python -m authhost.cli` is the command `authhost`."""

from authhost.cli.main import main

main()
