"""Run by the Python of a cell: prints what is installed there, and whose files `passlib` has."""

import json
import sys
from importlib.metadata import distributions, packages_distributions

import passlib

import authhost

print(
    json.dumps(
        {
            "python": ".".join(map(str, sys.version_info[:3])),
            "prefix": sys.prefix,
            "authhost": authhost.__file__,
            "passlib": [passlib.__version__, *packages_distributions()["passlib"]],
            "installed": {
                each.metadata["Name"].lower().replace("_", "-"): each.version for each in distributions()
            },
        }
    )
)
