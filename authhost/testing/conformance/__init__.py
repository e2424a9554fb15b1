"""The conformance suite: does a plugin keep what the contract asks of it?

Faults are what would hurt a site; notes are what its author should know.
"""

from authhost.testing.conformance.report import Fault, Report, Verdict
from authhost.testing.conformance.run import CHECKS, check
from authhost.testing.conformance.subject import NoSuchPlugin, Subject, subject_of

__all__ = ["CHECKS", "Fault", "NoSuchPlugin", "Report", "Subject", "Verdict", "check", "subject_of"]
