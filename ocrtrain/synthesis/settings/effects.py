"""Effects on drawn lines, and the contrast that they have to leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal

from ocrtrain.settings import Limits
from ocrtrain.synthesis.effects import AnyColours, Blur, Effect, Effects, Noise

# Effects of the original recipe. Its radius is 0.2 to 1 pixel at height 32.
ORIGINAL: Mapping[str, Effect | None] = MappingProxyType(
    {
        "blur": Blur(share=0.5, radius=(0.2 / 32, 1.0 / 32)),
        "colours": AnyColours(contrast=0.35),
        "noise": Noise(share=0.5, deviation=(1.0, 15.0)),
    }
)


@dataclass(frozen=True, slots=True)
class EffectSettings:
    """Choice of the effects.

    effects: by name, in their order, see `ocrtrain.synthesis.effects`; None for none.
    least_contrast: between ink and paper in the end, of 1; see `Effects`.
    """

    effects: dict[str, Any] | None = field(default_factory=lambda: dict(ORIGINAL))
    least_contrast: Annotated[float, Limits(0, 0.4)] = 0.12

    def chain(self, channels: Literal[1, 3]) -> Effects:
        """Put the effects in a row; raises `InputError` for one that cannot be called as an effect."""
        return Effects(self.effects, self.least_contrast, channels, "synthesis.effects")
