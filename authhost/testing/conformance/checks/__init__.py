"""The checks. Each takes a `CheckContext` and yields a `Fault` for each fault that it finds.

The first paragraph of a check's docstring is what the contract asks. Reports and the documentation show it.
"""
