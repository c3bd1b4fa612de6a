"""Schedule of validations: every so many steps or seconds, and at the end."""

from __future__ import annotations

from typing import Any

from ocrtrain.fields import CheckedFields
from ocrtrain.training.budget import Budget


class ValidationSchedule:
    """Tells when a validation is due, by steps or by time.

    every_steps, every_seconds: None for no such rule. With neither, at each tenth of the budget; where that
    is of time and short, not before as much time was spent on training as on the last validation.
    """

    def __init__(
        self, budget: Budget, every_steps: int | None = None, every_seconds: float | None = None
    ) -> None:
        self.budget, self.every_steps, self.every_seconds = budget, every_steps, every_seconds
        self._by_tenths = every_steps is None and every_seconds is None
        self._seconds, self._tenths = 0.0, 0
        self._took = 0.0

    def due(self, step: int, seconds: float) -> bool:
        """Tell whether to validate after `step` steps and `seconds` seconds of training."""
        if self.every_steps and step % self.every_steps == 0:
            return True
        if self.every_seconds and seconds - self._seconds >= self.every_seconds:
            return True
        progress = self.budget.progress(step, seconds)
        if not self._by_tenths or int(progress * 10) <= self._tenths:
            return False
        trained = seconds - self._seconds - self._took
        # By steps, the same ones are validated on every machine, however fast it is.
        by_steps = self.budget.max_seconds is None
        return by_steps or trained >= self._took or progress >= 1.0

    def begin(self, step: int, seconds: float) -> None:
        """Note that a validation begins."""
        self._seconds, self._tenths = seconds, int(self.budget.progress(step, seconds) * 10)

    def end(self, seconds: float) -> None:
        """Note that it has ended."""
        self._took = seconds - self._seconds

    def state(self) -> dict[str, Any]:
        """Give what a resumed run must know, as plain types."""
        return {"seconds": self._seconds, "tenths": self._tenths, "took": self._took}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises FieldError for anything else."""
        fields = CheckedFields(state, "Validator")
        self._seconds, self._tenths = fields.number("seconds", 0), fields.integer("tenths")
        self._took = fields.number("took", 0, default=0.0)
