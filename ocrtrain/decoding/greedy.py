"""Best-path decoding: the most probable class of every frame, collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ocrtrain.decoding.inputs import check_numbers, check_shapes
from ocrtrain.decoding.transcript import Transcript
from ocrtrain.decoding.transcripts import Readings
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

        counts = np.bincount(runs.rows, minlength=N)
        readings = Readings(counts, runs.labels, runs.first, runs.last, runs.probabilities, confidences)
        return readings.transcripts(self.charset, frames, widths)

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
