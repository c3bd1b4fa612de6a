"""Chain of effects that leaves every line readable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ocrtrain.errors import InputError
from ocrtrain.synthesis.effects.effect import Effect, Picture, as_channels
from ocrtrain.synthesis.effects.paper import Colours
from ocrtrain.synthesis.hashed_random import HashedRandom

# Of the clean picture, what is mixed into one that nobody could read.
_MIXED_IN = 0.7


class Effects:
    """Named effects, applied in their order: a picture -> a picture of the same height and width.

    steps: effects, or anything else that is called as one and has a `share`; None leaves a name out.
    least_contrast: how far ink and paper lie apart afterwards, of 1, in every part of the line that is as
        wide as it is high, and further apart than the paper's own shades differ. Where they would not, the
        picture is mixed with the clean one.
    channels: those that `Colours` without a setting of their own paint.
    where: name of the steps in messages.
    Raises `InputError` for a step that cannot be called as an effect.
    """

    def __init__(
        self,
        steps: Mapping[str, Effect | None] | None,
        least_contrast: float = 0.0,
        channels: Literal[1, 3] | None = None,
        where: str = "effects",
    ) -> None:
        self.least_contrast, self.where = least_contrast, where
        self.steps: dict[str, Effect] = {}
        for name, step in (steps or {}).items():
            if step is None:
                continue
            if not callable(step) or not isinstance(getattr(step, "share", None), int | float):
                raise InputError(
                    f"{where}.{name}",
                    "cannot be called as an effect",
                    "give it a _target_, such as ocrtrain.synthesis.effects.Blur, or null to leave it out.",
                )
            if isinstance(step, Colours) and step.channels is None and channels is not None:
                step = replace(step, channels=channels)
            self.steps[name] = step

    def __call__(self, picture: Picture, name: str, clean: Picture | None = None) -> Picture:
        """Apply to `picture` those effects whose turn it is in the line called `name`.

        clean: the same line in black on white, uint8 [H, W]; by default `picture`. Each effect draws from the
        line's name and its own: what it does depends on no other.
        """
        clean = picture if clean is None else clean
        before = picture
        for key, step in self.steps.items():
            if step.share <= 0:
                continue
            called = f"effect:{key}:{name}"
            rng = HashedRandom(called)
            if not rng.chance(step.share):
                continue
            changed = step(picture, rng)
            if getattr(step, "moves", False):
                # The clean picture goes along, so that it still tells where the ink is.
                clean = changed if clean is picture else self._again(step, clean, called)
            self._check(key, changed, picture)
            picture = changed
        if picture is before or picture is clean or self.least_contrast <= 0:
            return picture
        return _readable(picture, clean, self.least_contrast)

    def settings(self) -> dict[str, Any]:
        """List in plain types what the effects depend on, one entry per setting."""
        found: dict[str, Any] = {f"{self.where} in order": list(self.steps)}
        for name, step in self.steps.items():
            kind = type(step)
            own = asdict(step) if is_dataclass(step) and not isinstance(step, type) else dict(vars(step))
            found[f"{self.where}.{name}"] = f"{kind.__module__}.{kind.__qualname__}"
            for key, value in own.items():
                plain = list(value) if isinstance(value, tuple | list) else value
                found[f"{self.where}.{name}.{key}"] = plain
        return found

    def _again(self, step: Effect, clean: Picture, called: str) -> Picture:
        rng = HashedRandom(called)
        rng.chance(step.share)
        return step(clean, rng)

    def _check(self, name: str, changed: Picture, before: Picture) -> None:
        fits = isinstance(changed, np.ndarray) and changed.dtype == np.uint8 and changed.ndim in (2, 3)
        if not fits or changed.shape[:2] != before.shape[:2]:
            gave = f"{changed.dtype} {list(changed.shape)}" if isinstance(changed, np.ndarray) else "no array"
            raise InputError(
                f"{self.where}.{name}",
                f"made {gave} of a picture uint8 {list(before.shape)}",
                "let it return uint8 [H, W] or [H, W, 3], as high and wide as what it gets.",
            )


def contrasts(picture: Picture, clean: Picture) -> NDArray[np.float64]:
    """Measure how far paper is lighter than ink, of 1, and how much its own shades differ.

    clean: the line in black on white, uint8 [H, W], which tells ink and paper apart. Returns float64 [2, n]:
    the difference of the means and the paper's standard deviation in each part as wide as high that has ink.
    """
    from ocrtrain.synthesis.effects.kernels import measures

    found: NDArray[np.float64] = measures.contrasts(as_channels(picture), as_channels(clean)[..., 0]) / 255
    return found


def _readable(picture: Picture, clean: Picture, least: float) -> Picture:
    """Mix the clean line into a picture whose ink does not stand out everywhere."""
    from ocrtrain.synthesis.effects.kernels import measures

    stands_out, negative = measures.stands_out(as_channels(picture), as_channels(clean)[..., 0], least)
    if stands_out:
        return picture
    ideal = ~clean if negative else clean
    mixed = picture * np.float32(1 - _MIXED_IN)
    mixed += (ideal if picture.ndim == 2 else ideal[..., None]) * np.float32(_MIXED_IN)
    return mixed.astype(np.uint8)
