"""What training would see in sets of lines, and what in them is wrong or doubtful."""

from ocrtrain.audit.audit import Audit, Split, audit
from ocrtrain.audit.findings import Example, Finding

__all__ = ["Audit", "Example", "Finding", "Split", "audit"]
