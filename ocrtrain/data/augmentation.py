"""Small changes to a real line that leave its text as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.ink import ink_on_white
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

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Change image [H, W] or [H, W, 3] by draws from `rng` alone."""
        height, width = image.shape[:2]
        stretch = 1.0 + rng.uniform(-self.stretch, self.stretch)
        scale = 1.0 - rng.uniform(0.0, self.scale)
        rotation = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        # A rotation moves the ends of a long line: never further than by a tenth of the height.
        rotation = float(np.clip(rotation, -0.2 * height / width, 0.2 * height / width))
        slant = rng.uniform(-self.slant, self.slant)
        shift = rng.uniform(0.0, 1.0) * (1.0 - scale) * height
        out_width = max(1, round(width * stretch * scale))

        # Pillow's affine transform maps each output point (x, y) to the input point that it shows.
        ax, ay = 1.0 / (stretch * scale), 1.0 / scale
        cx, cy = out_width / 2, height / 2
        matrix = (
            ax,
            slant,
            width / 2 - ax * cx - slant * cy,
            rotation,
            ay,
            -shift * ay - rotation * cx,
        )
        paper = _paper(image)
        picture = Image.fromarray(image).transform(
            (out_width, height),
            Image.Transform.AFFINE,
            matrix,
            Image.Resampling.BILINEAR,
            fillcolor=tuple(paper.tolist()) if image.ndim == 3 else int(paper),
        )
        pixels = np.asarray(picture)
        gain = 1.0 + rng.uniform(-self.contrast, self.contrast)
        noise = rng.uniform(0.0, self.noise)
        grain = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(noise)
        grain += (pixels.astype(np.float32) - paper) * np.float32(gain) + paper
        changed = np.clip(grain, 0.0, 255.0).astype(np.uint8)
        if not self.chain.steps:
            return changed
        name = f"{rng.integers(1 << 63)}"
        return self.chain(changed, name, ink_on_white(changed))


def _paper(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Guess the paper's shade, one number per channel, from points all over the image."""
    points = image[:: max(1, image.shape[0] // 8), :: max(1, image.shape[1] // 64)]
    return np.median(points, axis=(0, 1)).astype(np.uint8)
