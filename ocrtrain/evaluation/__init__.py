"""Edit counts to CER and WER, their intervals, and the report."""

from ocrtrain.evaluation.edits import EditCounts, count_edits, edit_table
from ocrtrain.evaluation.intervals import cer_interval
from ocrtrain.evaluation.report import Evaluation, JudgedLine, evaluate_lines, write_report
from ocrtrain.evaluation.table import format_table

__all__ = [
    "EditCounts",
    "Evaluation",
    "JudgedLine",
    "cer_interval",
    "count_edits",
    "edit_table",
    "evaluate_lines",
    "format_table",
    "write_report",
]
