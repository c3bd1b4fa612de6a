"""Edit counts to CER and WER, their intervals, and the report."""

from ocrtrain.evaluation.comparison import Comparison, compare
from ocrtrain.evaluation.edits import EditCounts, count_edits, edit_table
from ocrtrain.evaluation.intervals import cer_interval, paired_difference, rate_interval
from ocrtrain.evaluation.judgement import Evaluation, Fitted, JudgedLine, Prediction, evaluate_lines
from ocrtrain.evaluation.report.as_json import write_comparison, write_report
from ocrtrain.evaluation.report.table import format_comparison, format_table

__all__ = [
    "Comparison",
    "EditCounts",
    "Evaluation",
    "Fitted",
    "JudgedLine",
    "Prediction",
    "cer_interval",
    "compare",
    "count_edits",
    "edit_table",
    "evaluate_lines",
    "format_comparison",
    "format_table",
    "paired_difference",
    "rate_interval",
    "write_comparison",
    "write_report",
]
