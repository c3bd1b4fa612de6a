"""Best-path decoding: the most probable class of every frame, collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ocrtrain.decoding.reading import as_text
from ocrtrain.decoding.transcript import Character, Transcript
from ocrtrain.errors import InputError
from ocrtrain.text import Charset


class GreedyDecoder:
    """Reads each frame by itself, then merges repeats and drops blanks (Graves et al., ICML 2006, 3.2).

    Confidence is CTC's own probability of the text: the sum over every alignment that spells it, not only the
    best one. It is the chance, in the model's eyes, that the line reads exactly so, hence the statistic that
    ranks right lines before wrong ones best; it means the same for a short line and a long one, and for any
    decoder. (The mean over characters forgives one wild guess in a long line; the product of the best path's
    frames punishes a harmless doubt about where a letter begins.) For an empty reading it is the product of
    the blanks' probabilities; a line without frames, of which nothing was seen, gets 0.
    """

    def __init__(self, charset: Charset) -> None:
        self.charset = charset

    def __call__(
        self, log_probs: Tensor, lengths: Tensor, widths: Sequence[float] | None = None
    ) -> list[Transcript]:
        """Read N lines at once.

        log_probs: float [N, T, K], log-softmax over the K = len(charset) classes, on any device; lengths: int
        [N], the frames of each line, the rest is ignored; widths: the pixels of each input image as it was
        given, of which frame t of T' covers [t * width / T', (t + 1) * width / T'). Raises `InputError` for
        shapes that do not fit and for frames that are not a number.
        """
        check_shapes(log_probs, lengths, len(self.charset), widths)
        N, T, _ = log_probs.shape
        if N == 0 or T == 0:
            return [Transcript("", 0.0, ()) for _ in range(N)]
        if log_probs.device.type not in ("cpu", "cuda"):
            log_probs = log_probs.cpu()  # torch has a CTC loss for these two only
        log_probs = log_probs if log_probs.dtype == torch.float64 else log_probs.float()
        lengths = lengths.to(log_probs.device, torch.int64)
        inside = torch.arange(T, device=log_probs.device) < lengths[:, None]
        best, labels = log_probs.max(-1)
        labels = labels.masked_fill(~inside, Charset.blank)
        starts = torch.ones_like(inside)
        starts[:, 1:] = labels[:, 1:] != labels[:, :-1]

        frames = lengths.tolist()
        best_log_probs = best.masked_fill(~inside, 0.0).detach().cpu().numpy()
        check_numbers(best_log_probs)
        confidences = self._confidences(log_probs, lengths, labels, starts)
        runs = _Runs(labels.cpu().numpy(), starts.cpu().numpy(), np.exp(best_log_probs))

        scale = np.ones(N) if widths is None else np.asarray(widths, float) / np.maximum(frames, 1)
        symbols = ("", *self.charset.symbols)
        texts = [symbols[label] for label in runs.labels.tolist()]
        characters = list(
            map(
                Character,
                texts,
                runs.probabilities.tolist(),
                runs.first.tolist(),
                runs.last.tolist(),
                (runs.first * scale[runs.rows]).tolist(),
                ((runs.last + 1) * scale[runs.rows]).tolist(),
            )
        )
        ends = np.cumsum(np.bincount(runs.rows, minlength=N)).tolist()
        return [
            as_text(
                Transcript("".join(texts[start:end]), confidence, tuple(characters[start:end])),
                self.charset.writing,
            )
            for start, end, confidence in zip([0, *ends], ends, confidences, strict=False)
        ]

    @staticmethod
    @torch.no_grad()
    def _confidences(log_probs: Tensor, lengths: Tensor, labels: Tensor, starts: Tensor) -> list[float]:
        written = starts & (labels != Charset.blank)
        # The CTC loss of the reading itself is -log P(text | line).
        loss = F.ctc_loss(
            log_probs.transpose(0, 1), labels[written], lengths, written.sum(1), Charset.blank, "none"
        )
        confidences: list[float] = ((-loss).exp().clamp(max=1.0) * (lengths > 0)).tolist()
        return confidences


class _Runs:
    """The runs of equal labels of a batch, row after row, without the blanks.

    rows, labels, first, last: int [R]; probabilities: [R], the largest of each run's frames.
    """

    def __init__(
        self, labels: NDArray[np.int64], starts: NDArray[np.bool_], probabilities: NDArray[np.floating[Any]]
    ) -> None:
        T = labels.shape[1]
        begin = np.flatnonzero(starts)
        end = np.append(begin[1:], labels.size) - 1  # a row's first frame always starts a run
        kept = labels.ravel()[begin] != Charset.blank
        self.probabilities = np.maximum.reduceat(probabilities.ravel(), begin)[kept]
        begin, end = begin[kept], end[kept]
        self.labels = labels.ravel()[begin]
        self.rows = begin // T
        self.first = begin % T
        self.last = end % T


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
        raise InputError(
            "log-probabilities",
            f"are not a number in {len(wrong)} frames, the first in line {line}, frame {frame}",
            "the weights or the pixels are not finite: use an earlier checkpoint, or read in full precision.",
        )
