"""How a recognizer is trained: the Lightning module and the callbacks around it."""

from ocrtrain.training.budget import Budget
from ocrtrain.training.clock import Clock
from ocrtrain.training.console import Console
from ocrtrain.training.guard import Guard
from ocrtrain.training.keeper import Keeper
from ocrtrain.training.recognition import Recognition
from ocrtrain.training.recorder import Recorder
from ocrtrain.training.saving import BackgroundCheckpointIO
from ocrtrain.training.validator import Validator

__all__ = [
    "BackgroundCheckpointIO",
    "Budget",
    "Clock",
    "Console",
    "Guard",
    "Keeper",
    "Recognition",
    "Recorder",
    "Validator",
]
