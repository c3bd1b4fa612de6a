"""Padding of lines, side by side, into the batch that a model takes: in training and in reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ocrtrain.data.batches.batch import Batch
from ocrtrain.data.images.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class Sample:
    """A line ready for a batch; what is read without being trained on or judged has pixels only.

    pixels: uint8 [C, H, W].
    labels: class indices of the text.
    text: normalized.
    source: where the image is from, for messages.
    part: of a mixture.
    """

    pixels: NDArray[np.uint8]
    labels: Sequence[int] = ()
    text: str = ""
    source: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that could not be read, and why: counted and named, never a crash and never silence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Collate:
    """Puts samples side by side into a `Batch`; its `unreadable` names lines that could not be read."""

    preprocess: Preprocess

    def __call__(self, samples: Sequence[Sample | Unreadable]) -> Batch:
        good = [s for s in samples if isinstance(s, Sample)]
        n = len(good)
        width = self.preprocess.padded_width(max((s.pixels.shape[2] for s in good), default=1))
        pixels = np.empty((n, self.preprocess.channels, self.preprocess.height, width), np.uint8)
        targets = np.zeros((n, max((len(s.labels) for s in good), default=0)), np.int64)
        for i, sample in enumerate(good):
            own = sample.pixels.shape[2]
            pixels[i, :, :, :own] = sample.pixels
            pixels[i, :, :, own:] = 0
            targets[i, : len(sample.labels)] = sample.labels
        return Batch(
            pixels=torch.from_numpy(pixels),
            widths=torch.from_numpy(np.array([s.pixels.shape[2] for s in good], np.int64)),
            targets=torch.from_numpy(targets),
            target_lengths=torch.from_numpy(np.array([len(s.labels) for s in good], np.int64)),
            texts=[s.text for s in good],
            sources=[s.source for s in good],
            parts=[s.part for s in good],
            unreadable=[s.reason for s in samples if isinstance(s, Unreadable)],
        )
