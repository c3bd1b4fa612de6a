"""Ink on paper, whatever the colours of the two: black on white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.images.compiled import compiled

FAINTEST = 8.0  # grey levels between paper and ink, below which there is only noise


def ink_on_white(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring the paper of one line to white and its ink to black: uint8 [H, W] from [H, W] or [H, W, 3].

    Paper is the median colour. Ink is the mean of what differs from it by at least half as much as the
    strongest hundredth does; every pixel is then measured along the way from one colour to the other. White
    on black, red on green and faint on grey come out alike, so that a model need not learn colours. A line
    without ink comes out white.
    """
    if image.ndim == 3 and is_grey(image):
        image = image[..., 0]
    if image.ndim == 2:
        if (loops := compiled()) is not None:
            shown: NDArray[np.uint8] = loops.ink_on_white(np.ascontiguousarray(image), round(FAINTEST**2))
            return shown
        return levels(image)[image]
    # A quarter of the pixels tells the two colours as well as all of them.
    sample = image[::2, ::2] if min(image.shape[:2]) >= 8 else image
    sample = sample.reshape(-1, 3)
    paper = np.partition(sample, len(sample) // 2, axis=0)[len(sample) // 2].astype(np.float32)
    difference = sample.astype(np.float32) - paper
    distance = np.einsum("ij,ij->i", difference, difference)
    rank = len(distance) - 1 - len(distance) // 100
    strongest = np.partition(distance, rank)[rank]
    if strongest < FAINTEST**2:
        return np.full(image.shape[:2], 255, np.uint8)
    ink = difference[distance >= strongest / 4].mean(axis=0)
    length = float(ink @ ink)
    if length < FAINTEST**2:  # as far to one side as to the other: noise
        return np.full(image.shape[:2], 255, np.uint8)
    scale = (-255.0 / length) * ink
    start = np.float32(255.5) - paper @ scale
    share = image @ scale
    share += start
    return np.clip(share, 0.0, 255.0, out=share).astype(np.uint8)


def levels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Answer for each grey level at once, by how often each occurs: uint8 [256]."""
    sample = image[::2, ::2] if min(image.shape) >= 8 else image
    counts = np.bincount(sample.ravel(), minlength=256)
    paper = int(np.searchsorted(np.cumsum(counts), sample.size // 2, side="right"))
    difference = np.arange(256) - paper
    distance = difference**2
    rank = sample.size - 1 - sample.size // 100
    order = np.argsort(distance, kind="stable")
    strongest = distance[order[np.searchsorted(np.cumsum(counts[order]), rank, side="right")]]
    if strongest < FAINTEST**2:
        return np.full(256, 255, np.uint8)
    inked = np.where(4 * distance >= strongest, counts, 0)
    ink = float((inked * difference).sum() / inked.sum())
    if ink * ink < FAINTEST**2:  # as far to one side as to the other: noise
        return np.full(256, 255, np.uint8)
    levels = np.float32(255.5) - difference.astype(np.float32) * np.float32(255.0 / ink)
    return np.clip(levels, 0.0, 255.0).astype(np.uint8)


def is_grey(image: NDArray[np.uint8]) -> bool:
    """Whether an image [H, W, 3] has no colours."""
    red = image[..., 0]
    return bool((red == image[..., 1]).all() and (red == image[..., 2]).all())
