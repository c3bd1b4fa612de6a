"""Small changes to a real line that leave its text as it is."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.images.compiled import compiled
from ocrtrain.data.images.ink import ink_on_white
from ocrtrain.errors import InputError
from ocrtrain.synthesis.effects import Effect, Effects


@dataclass(frozen=True, slots=True)
class Augment:
    """Stretch, shear, rotate, shift, thin or thicken, change contrast and add noise, each within its range.

    stretch: largest relative change of the width; rotation: degrees; slant: columns shifted per row;
    scale: largest relative loss of height (the line gets margins above and below); contrast: largest relative
    change; noise: largest standard deviation, in grey levels of 255.

    After that come `effects`, those that generated lines get, by name and in their order; least_contrast: how
    far apart they leave ink and paper, of 1. These keep the size of the image. All of the settings above are
    one step because they are for every line, and one resampling costs less, and blurs less, than five.
    """

    stretch: float = 0.1
    rotation: float = 1.0
    slant: float = 0.1
    scale: float = 0.1
    contrast: float = 0.3
    noise: float = 10.0
    effects: InitVar[Mapping[str, Effect | None] | None] = None
    least_contrast: float = 0.12
    chain: Effects = field(init=False, repr=False, compare=False)

    def __post_init__(self, effects: Mapping[str, Effect | None] | None) -> None:
        chain = Effects(effects, self.least_contrast, where="data.augment.effects")
        object.__setattr__(self, "chain", chain)
        if compiled() is None:
            raise InputError(
                "data.augment",
                "needs Numba, which cannot run here",
                "reinstall numba, or set data.augment=null.",
            )

    def __call__(
        self, image: NDArray[np.uint8], rng: np.random.Generator, height: int | None = None
    ) -> NDArray[np.uint8]:
        """Change image [H, W] or [H, W, 3] by draws from `rng` alone; scale a higher one down to `height`."""
        rows, columns = image.shape[:2]
        height = rows if height is None else min(rows, height)
        width = max(1, round(columns * height / rows))
        draws = rng.random(7).tolist()
        stretch = 1.0 + self.stretch * (2.0 * draws[0] - 1.0)
        scale = 1.0 - self.scale * draws[1]
        rotation = math.radians(self.rotation * (2.0 * draws[2] - 1.0))
        # A rotation moves the ends of a long line: never further than by a tenth of the height.
        most = 0.2 * height / width
        rotation = min(max(rotation, -most), most)
        slant = self.slant * (2.0 * draws[3] - 1.0)
        shift = draws[4] * (1.0 - scale) * height
        gain = 1.0 + self.contrast * (2.0 * draws[5] - 1.0)
        noise = self.noise * draws[6]
        out_width = max(1, round(width * stretch * scale))

        # Where in the image each point (x, y) of the outcome comes from.
        ax, ay = 1.0 / (stretch * scale), 1.0 / scale
        cx, cy = out_width / 2, height / 2
        wider = columns / width
        matrix = (
            wider * ax,
            wider * slant,
            wider * (width / 2 - ax * cx - slant * cy),
            rotation,
            ay,
            -shift * ay - rotation * cx,
        )
        planes = [image] if image.ndim == 2 else [image[..., channel] for channel in range(image.shape[2])]
        done = [
            compiled().changed(
                *(np.ascontiguousarray(plane), height, out_width, matrix, gain, noise),
                *(rng.bit_generator.random_raw(), _quantiles()),
            )
            for plane in planes
        ]
        changed: NDArray[np.uint8] = done[0] if image.ndim == 2 else np.stack(done, axis=2)
        if not self.chain.steps:
            return changed
        name = f"{rng.integers(1 << 63)}"
        return self.chain(changed, name, ink_on_white(changed))


@functools.cache
def _quantiles() -> NDArray[np.float32]:
    quantiles: NDArray[np.float32] = compiled().quantiles()
    return quantiles
