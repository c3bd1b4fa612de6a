"""Training of a recognizer: the Lightning module and the callbacks around it."""

from ocrtrain.checkpoint.writer import BackgroundCheckpointIO
from ocrtrain.training.budget import Budget
from ocrtrain.training.callbacks.checkpointer import Checkpointer
from ocrtrain.training.callbacks.console import Console
from ocrtrain.training.callbacks.guard import Guard
from ocrtrain.training.callbacks.recorder import Recorder
from ocrtrain.training.clock import Clock
from ocrtrain.training.decision import StepDecision
from ocrtrain.training.recognizer_module import RecognizerModule

__all__ = [
    "BackgroundCheckpointIO",
    "Budget",
    "Checkpointer",
    "Clock",
    "Console",
    "Guard",
    "RecognizerModule",
    "Recorder",
    "StepDecision",
]
