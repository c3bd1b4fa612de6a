"""The pictures that a training run leaves behind."""

from ocrtrain.evaluation.history import Curve, plot_history
from ocrtrain.evaluation.sheet import SheetLine, draw_sheet

__all__ = ["Curve", "SheetLine", "draw_sheet", "plot_history"]
