"""Steps that make a clean line look like a real one, each with a share and with settings of its own."""

from ocrtrain.synthesis.effects.camera import (
    Binarise,
    Blur,
    Jpeg,
    LowResolution,
    Moire,
    MotionBlur,
    Noise,
    SaltAndPepper,
    Shadow,
    Speckle,
    Tone,
)
from ocrtrain.synthesis.effects.chain import Effects
from ocrtrain.synthesis.effects.effect import Effect
from ocrtrain.synthesis.effects.geometry import Crop, Curve, Elastic, Perspective, Rotation, Slant, Wander
from ocrtrain.synthesis.effects.ink import Bleed, Fade, Strikes, Stroke, Wear
from ocrtrain.synthesis.effects.paper import (
    AnyColours,
    DarkInk,
    Gradient,
    Neighbours,
    Rules,
    ShowThrough,
    Stains,
    Texture,
)

__all__ = [
    "AnyColours", "Binarise", "Bleed", "Blur", "Crop", "Curve", "DarkInk", "Effect", "Effects", "Elastic",
    "Fade", "Gradient", "Jpeg", "LowResolution", "Moire", "MotionBlur", "Neighbours", "Noise", "Perspective",
    "Rotation", "Rules", "SaltAndPepper", "Shadow", "ShowThrough", "Slant", "Speckle", "Stains", "Strikes",
    "Stroke", "Texture", "Tone", "Wander", "Wear",
]  # fmt: skip
