"""Audits of sets of lines: what training would see, and what in them is wrong or doubtful."""

from ocrtrain.audit.audit import Audit, Split, audit
from ocrtrain.audit.findings import Example, Finding

__all__ = ["Audit", "Example", "Finding", "Split", "audit"]
