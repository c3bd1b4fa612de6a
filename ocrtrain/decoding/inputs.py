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
    way_on = "give what the model returned."
    for name, value in (("log-probabilities", log_probs), ("lengths", lengths)):
        if not isinstance(value, Tensor):
            raise InputError(name, f"must be a tensor, not {type(value).__name__}", way_on)
    if not log_probs.is_floating_point() or lengths.is_floating_point() or lengths.dim() != 1:
        kinds = f"{log_probs.dtype} and {lengths.dtype} {list(lengths.shape)}"
        raise InputError("log-probabilities and lengths", f"are {kinds}, not fractions and counts", way_on)
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
