"""How long to train: by epochs, steps or time, whichever ends first."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ocrtrain.errors import InputError


@dataclass(frozen=True, slots=True)
class Budget:
    """Where training ends, and how far along it is.

    max_steps: optimizer steps; max_seconds: wall-clock seconds of training, validation included; None: no
    limit.
    """

    max_steps: int | None
    max_seconds: float | None

    def progress(self, step: int, seconds: float) -> float:
        """Tell which part of the budget is used up after `step` steps and `seconds` seconds: 1 is the end."""
        by_steps = step / self.max_steps if self.max_steps else 0.0
        by_time = seconds / self.max_seconds if self.max_seconds else 0.0
        return max(by_steps, by_time)


def seconds_of(text: str | int | float | None, name: str) -> float | None:
    """Read "DD:HH:MM:SS" as seconds (a number already is); raises InputError naming the setting."""
    if text is None or isinstance(text, (int, float)):
        return text
    if not re.fullmatch(r"\d+:\d{1,2}:\d{1,2}:\d{1,2}", text):
        raise InputError(
            f"{name}={text}", "is not a duration", "write DD:HH:MM:SS, such as 00:00:10:00 for 10 minutes."
        )
    days, hours, minutes, seconds = (int(part) for part in text.split(":"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
