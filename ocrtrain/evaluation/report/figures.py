"""The pictures that a training run leaves behind."""

from ocrtrain.evaluation.report.history import MetricCurve, plot_history
from ocrtrain.evaluation.report.sheet import SheetLine, draw_sheet

__all__ = ["MetricCurve", "SheetLine", "draw_sheet", "plot_history"]
