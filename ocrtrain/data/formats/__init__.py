"""The formats that lines are stored in: what recognises them, what reads and what writes each."""

from ocrtrain.data.formats.columns import Columns as Columns
from ocrtrain.data.formats.recognise import open_lines as open_lines

__all__ = ["Columns", "open_lines"]
