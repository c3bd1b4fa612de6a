"""Reads lines with a checkpoint, from Python, with neither Lightning nor Hydra."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from torch import Tensor

from ocrtrain.checkpoint.adapter import apply_adapter
from ocrtrain.checkpoint.description import (
    Description,
    as_checkpoint,
    build_described,
    describe_checkpoint,
    merge_adapters,
    read_checkpoint,
)
from ocrtrain.data.batches.collate import Collate, Sample
from ocrtrain.data.images.image import as_pixels
from ocrtrain.decoding import GreedyDecoder, Transcript
from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.files import atomic_path
from ocrtrain.model import LineRecognizer
from ocrtrain.settings import Limits, checked, checked_path

BatchSize = Annotated[int, Limits(least=1, hint="16 is a good start.")]
WINDOW = 32  # batches whose lines are sorted by width together before they are read


class Decoder(Protocol):
    """Callable that turns log-probabilities into transcripts: `GreedyDecoder`, `BeamDecoder`, or your own."""

    def __call__(
        self, log_probs: Tensor, lengths: Tensor, widths: Sequence[float] | None = None
    ) -> list[Transcript]: ...


@dataclass(frozen=True, slots=True)
class _Prepared:
    sample: Sample
    width: int  # of the image as it was given, in pixels


class Recognizer:
    """A trained model with its charset and preprocessing: images of lines in, transcripts out.

    It reads with `decoder`, which can be set: `recognizer.decoder =
    BeamDecoder(recognizer.description.charset)`.
    """

    def __init__(
        self, model: LineRecognizer, description: Description, device: str | torch.device = "cpu"
    ) -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self.description = description
        self.decoder: Decoder = GreedyDecoder(description.charset)
        self.calibration = description.calibration  # of the greedy decoder's confidence

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        device: str | torch.device | None = None,
        adapter: str | Path | None = None,
    ) -> Recognizer:
        """Load the checkpoint at a path onto `device` (by default a GPU if there is one).

        adapter: a folder that `fit` wrote when it adapted this checkpoint. Low-rank adapters, from there and
        from the checkpoint, become part of the weights: they cost nothing to read with. Raises InputError
        if a file is missing, truncated, foreign or made by other code, or the adapter is for another
        checkpoint.
        """
        content, name = read_checkpoint(checkpoint), f"checkpoint={checkpoint}"
        weights, description = merge_adapters(content, describe_checkpoint(content, name), name)
        del content
        if adapter is not None:
            weights, description = apply_adapter(weights, description, adapter)
        chosen = choose_device(device)
        return cls(build_described(description, weights, name), description, chosen)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint of the model as it is, adapters merged: to read with, or for `fit init=PATH`.

        Raises InputError where the place cannot be written to.
        """
        weights = {name: value.cpu().contiguous() for name, value in self.model.state_dict().items()}
        with atomic_path(checked_path(path, "path")) as temporary:
            torch.save(as_checkpoint(self.description, weights), temporary)

    def read(self, images: Sequence[Any], batch_size: int = 16) -> list[Transcript]:
        """Read images: paths, Pillow images, or arrays [H, W] or [H, W, 3] (uint8, or floats in 0..1).

        Returns a transcript for each, in order; positions are in pixels of the images as given. Raises
        InputError naming the first image that cannot be read.
        """
        return list(self.stream(images, batch_size))

    def stream(self, images: Iterable[Any], batch_size: int = 16) -> Iterator[Transcript]:
        """Read images as they come, as `read` does, holding a few batches of them at a time."""
        for outcome in self.stream_outcomes(images, batch_size):
            if isinstance(outcome, InputError):
                raise outcome
            yield outcome

    def stream_outcomes(
        self, images: Iterable[Any], batch_size: int = 16
    ) -> Iterator[Transcript | InputError]:
        """Read images as they come; one that cannot be read gives its error in its place.

        So does an InputError among them, from whoever could not get the image.
        """
        checked(batch_size, BatchSize, "batch_size")
        if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Iterable):
            raise InputError(f"images={shown(images)}", "must be a list of images", "give one as [image].")
        window: list[_Prepared | InputError] = []
        # The first images come out at once: who watches should not wait for hundreds.
        size = batch_size
        for image in images:
            window.append(self._prepare(image))
            if len(window) >= size:
                yield from self._read_window(window, batch_size)
                window, size = [], min(size * 2, batch_size * WINDOW)
        yield from self._read_window(window, batch_size)

    def _prepare(self, image: Any) -> _Prepared | InputError:
        if isinstance(image, InputError):
            return image
        preprocess = self.description.preprocess
        try:
            pixels = as_pixels(image, preprocess.image_channels)
        except InputError as error:
            return error
        return _Prepared(Sample(preprocess(pixels)), pixels.shape[1])

    def _read_window(
        self, window: list[_Prepared | InputError], batch_size: int
    ) -> list[Transcript | InputError]:
        """Read similar widths together, and give the results in the order in which the images came."""
        results: list[Any] = [item if isinstance(item, InputError) else None for item in window]
        good = [(i, item) for i, item in enumerate(window) if isinstance(item, _Prepared)]
        good.sort(key=lambda pair: pair[1].sample.pixels.shape[2])
        for start in range(0, len(good), batch_size):
            batch = good[start : start + batch_size]
            for (i, _), transcript in zip(batch, self._read_batch([item for _, item in batch]), strict=True):
                results[i] = transcript
        return results

    def _read_batch(self, lines: list[_Prepared]) -> list[Transcript]:
        collate = Collate(self.description.preprocess)
        batch = collate([line.sample for line in lines]).to(self.device)
        with torch.inference_mode():
            log_probs, lengths = self.model(batch.pixels, batch.widths)
            transcripts = self.decoder(log_probs, lengths, [line.width for line in lines])
        if self.calibration is None or not isinstance(self.decoder, GreedyDecoder):
            return transcripts
        return [replace(t, confidence=self.calibration(t.confidence)) for t in transcripts]


def choose_device(device: str | torch.device | None) -> torch.device:
    """Resolve None or "auto" to the GPU if there is one; raises InputError for a device that is not there."""
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, str | torch.device):
        raise InputError(f"device={shown(device)}", "must be a name", "choose auto, cpu, cuda or cuda:1.")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"device={device}", f"is not available: {reason}", "choose auto, cpu or cuda."
        ) from None
    return chosen
