"""Checks of what a decoder is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ocrtrain.errors import InputError


def check_shapes(log_probs: Tensor, lengths: Tensor, classes: int, widths: Sequence[float] | None) -> None:
    """Raise `InputError` unless a decoder's arguments fit each other and a charset of `classes` classes."""
    if log_probs.dim() != 3 or log_probs.shape[2] != classes:
        raise InputError(
            "log-probabilities",
            f"have the shape {list(log_probs.shape)}, where [lines, frames, {classes}] fits the charset",
            "decode with the charset that the model was trained with (it is in the checkpoint).",
        )
    N, T, _ = log_probs.shape
    given = [len(lengths)] if widths is None else [len(lengths), len(widths)]
    if any(count != N for count in given):
        raise InputError(
            "log-probabilities",
            f"of {N} lines came with {given} lengths and widths",
            "give one for each line.",
        )
    if N and (int(lengths.min()) < 0 or int(lengths.max()) > T):
        raise InputError(
            "lengths",
            f"lie between {int(lengths.min())} and {int(lengths.max())}, where 0 to {T} frames exist",
            "give each line's number of frames, as the model returned it.",
        )


def check_numbers(best_log_probs: NDArray[np.floating[Any]]) -> None:
    """Raise `InputError` if a frame's best log-probability, [N, T], is not a number."""
    wrong = np.argwhere(np.isnan(best_log_probs))
    if len(wrong):
        line, frame = wrong[0]
        raise not_a_number(line, frame, len(wrong))


def not_a_number(line: int, frame: int, frames: int) -> InputError:
    """Say that log-probabilities are not finite: in so many frames, of which this is the first."""
    return InputError(
        "log-probabilities",
        f"are not a number in {frames} frames, the first in line {line}, frame {frame}",
        "the weights or the pixels are not finite: use an earlier checkpoint, or read in full precision.",
    )
