"""Calibration of confidences: how often lines that a recognizer is so sure of are right."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ocrtrain.fields import CheckedFields

LEAST, MOST = 1e-12, 1 - 1e-7  # beyond these a confidence is a matter of rounding
MISTAKEN = 0.002  # share of lines that are judged by a wrong text
PRIOR = 1.0  # as much evidence as about one line, for changing nothing
STEPS = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of line confidences: the logit times `scale`, plus `shift`.

    1 / `scale` is a temperature; `shift` mends what a temperature cannot, a recognizer that is too modest or
    too sure at every level. `scale` > 0, so that the order of lines stays, and with it every choice among
    them. `lines`: how many it was fitted to.
    """

    scale: float
    shift: float
    lines: int = 0

    def __call__(self, confidence: float) -> float:
        """Map one confidence, 0..1; 0 stays 0."""
        if confidence <= 0:
            return 0.0
        x = min(max(confidence, LEAST), MOST)
        z = self.scale * math.log(x / (1 - x)) + self.shift
        return 1 / (1 + math.exp(-min(max(z, -700.0), 700.0)))  # beyond which exp overflows

    def as_dict(self) -> dict[str, float]:
        """Give it as plain types, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_fields(cls, fields: CheckedFields) -> Self:
        """Read what `as_dict` gave; raises FieldError for anything else."""
        scale, shift = fields.number("scale", 1e-9, 1e9), fields.number("shift", -1e9, 1e9)
        lines = fields.integer("lines", 0, default=0)
        fields.close()
        return cls(scale, shift, lines)

    @classmethod
    def fit(cls, confidences: ArrayLike, exact: ArrayLike) -> Self:
        """Fit to lines with known texts: confidences [N] and whether each was read without error [N].

        This is logistic regression on the logit (Platt, 1999) by Newton's method, with a weak prior for the
        identity: few lines change little, and perfectly separated ones do not run away. The likelihood
        allows for a few lines with a wrong text, each of which would otherwise turn the whole map. Raises
        `ValueError` if there are no lines.
        """
        x = np.clip(np.asarray(confidences, np.float64), LEAST, MOST)
        y = np.asarray(exact, np.float64)
        if len(x) == 0:
            raise ValueError("a calibration needs at least one line")
        features = np.stack([np.log(x / (1 - x)), np.ones_like(x)], axis=1)
        # exp(log_scale) keeps the map monotone whatever the data say.
        log_scale, shift = 0.0, 0.0
        best = _loss(features, y, log_scale, shift)
        for _ in range(STEPS):
            step = _newton_step(features, y, log_scale, shift)
            while True:  # halve until it helps
                tried = _loss(features, y, log_scale + step[0], shift + step[1])
                if tried <= best or float(np.abs(step).max()) < 1e-9:
                    break
                step = step / 2
            log_scale, shift, best = log_scale + float(step[0]), shift + float(step[1]), tried
            if float(np.abs(step).max()) < 1e-9:
                break
        return cls(math.exp(log_scale), shift, len(x))


def _chances(
    features: NDArray[np.float64], log_scale: float, shift: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the probability that each line counts as exact, and its slope over the logit."""
    z = features @ np.array([math.exp(min(log_scale, 50.0)), shift])
    right = 1 / (1 + np.exp(-np.clip(z, -50, 50)))
    return MISTAKEN + (1 - 2 * MISTAKEN) * right, (1 - 2 * MISTAKEN) * right * (1 - right)


def _loss(features: NDArray[np.float64], y: NDArray[np.float64], log_scale: float, shift: float) -> float:
    chances, _ = _chances(features, log_scale, shift)
    penalty = PRIOR * (log_scale**2 + shift**2) / 2
    return float(-np.log(np.where(y > 0, chances, 1 - chances)).sum() + penalty)


def _newton_step(
    features: NDArray[np.float64], y: NDArray[np.float64], log_scale: float, shift: float
) -> NDArray[np.float64]:
    chances, slope = _chances(features, log_scale, shift)
    inner = features * np.array([math.exp(log_scale), 1.0])
    weight = slope / (chances * (1 - chances))
    gradient = inner.T @ (weight * (chances - y)) + PRIOR * np.array([log_scale, shift])
    # Gauss-Newton: without the term that could make it indefinite, each step leads downhill.
    curvature = (inner * (weight * slope)[:, None]).T @ inner + PRIOR * np.eye(2)
    step: NDArray[np.float64] = -np.linalg.solve(curvature, gradient)
    return np.clip(step, -2, 2)
