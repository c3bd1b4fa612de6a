"""Preparation of a line's image: the rows and columns that a model reads, of an image of any size."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.images.compiled import compiled
from ocrtrain.data.images.image import Channels
from ocrtrain.data.images.ink import ink_on_white, is_grey
from ocrtrain.fields import CheckedFields
from ocrtrain.settings import Limits, checked

MOST = {"height": 1024, "multiple": 4096, "width": 65_536}  # pixels, so that a batch fits a memory
Height = Annotated[int, Limits(1, MOST["height"])]
Width = Annotated[int, Limits(1, MOST["width"])]
Multiple = Annotated[int, Limits(1, MOST["multiple"])]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Turns a line's image into a model's input; part of every checkpoint.

    height: rows.
    channels: 1 for grey, 3 for RGB.
    width: None keeps every line's aspect; a number makes all lines that wide (narrower ones are padded on the
        right, wider ones squeezed).
    multiple: batches are padded to a multiple of this, so that few distinct shapes occur.
    ink: bring paper to white and ink to black whatever their colours (of 1 channel, see `ink_on_white`).
    """

    height: Height = 40
    channels: Literal[1, 3] = 1
    width: Width | None = None
    multiple: Multiple = 32
    ink: bool = True

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self), include_extras=True).items():
            checked(getattr(self, name), kind, name)

    @classmethod
    def from_fields(cls, fields: CheckedFields) -> Self:
        """Read what `as_dict` gave; raises FieldError for anything else."""
        own: dict[str, Any] = {}
        for name in fields.values:
            if name in ("height", "multiple"):
                own[name] = fields.integer(name, 1, MOST[name])
            elif name == "width":
                own[name] = fields.integer(name, 1, MOST[name], default=None)
            elif name == "channels":
                own[name] = fields.integer(name, 1, 3)
            elif name == "ink":
                own[name] = fields.boolean(name)
        fields.close()
        return cls(**own)

    @property
    def image_channels(self) -> Channels:
        """How images are to be read: to tell ink from paper takes their colours, if they have any."""
        return 3 if self.channels == 3 else "any" if self.ink else 1

    def columns(self, aspect: float) -> int:
        """Columns of a line whose image is `aspect` times as wide as high."""
        columns = max(1, math.floor(aspect * self.height + 0.5))
        return columns if self.width is None else min(columns, self.width)

    def all_columns(self, aspects: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tell the columns of many lines, as `columns` does: whole numbers, float32 [lines]."""
        columns = np.floor(aspects.astype(np.float64) * self.height + 0.5).astype(np.float32)
        np.maximum(columns, 1.0, out=columns)
        if self.width is not None:
            np.minimum(columns, np.float32(self.width), out=columns)
        return columns

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale image [H, W] or [H, W, 3] to this height: uint8 [channels, height, columns]."""
        if self.channels == 1 and image.ndim == 3:
            if is_grey(image):
                image = image[..., 0]  # a third of the work
            elif not self.ink:
                image = np.asarray(Image.fromarray(image).convert("L"))
        image = resized(image, self.columns(image.shape[1] / image.shape[0]), self.height)
        if self.channels == 3:
            planes = (
                image.transpose(2, 0, 1) if image.ndim == 3 else np.broadcast_to(image, (3, *image.shape))
            )
            return np.ascontiguousarray(planes)
        return (ink_on_white(image) if self.ink else image)[None]

    def padded_width(self, widest: int) -> int:
        """Columns of a batch whose widest line has `widest`."""
        return -(-(self.width or widest) // self.multiple) * self.multiple

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain types, for a checkpoint."""
        return asdict(self)


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale image [H, W] or [H, W, 3] linearly; thin strokes are averaged, not dropped.

    Colours are scaled by Pillow, and grey as Pillow would, within one grey level.
    """
    if image.shape[:2] == (height, width):
        return image
    if image.ndim == 2 and (loops := compiled()) is not None:
        scaled: NDArray[np.uint8] = loops.scaled(np.ascontiguousarray(image), height, width)
        return scaled
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
