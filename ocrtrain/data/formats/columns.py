"""Columns of images and texts in a table, found by the user's names for them or by the usual ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ocrtrain.data.images.image import legible
from ocrtrain.errors import InputError

IMAGE = ("file_name", "image", "image_path", "path", "file", "filename")
TEXT = ("text", "transcription", "label", "ground_truth", "gt", "sentence")
WIDTH, HEIGHT = "width", "height"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of images and texts; None for the first that has a usual name (`IMAGE`, `TEXT`)."""

    image: str | None = None
    text: str | None = None

    def names(self, there: Sequence[str], where: str) -> tuple[str, str]:
        """Choose the two columns among those that are `there`; raises `InputError` if one is missing."""
        if doubled := [name for name in dict.fromkeys(there) if there.count(name) > 1]:
            raise InputError(
                legible(where), f"has two columns {legible(doubled[0])!r}", "rename one of the two."
            )
        found = []
        for what, wanted, usual in (("image", self.image, IMAGE), ("text", self.text, TEXT)):
            by_case = {name.strip().lower(): name for name in reversed(there)}
            match = (
                (wanted if wanted in there else None)
                if wanted
                else next((by_case[name] for name in usual if name in by_case), None)
            )
            if match is None:
                shown = ", ".join(legible(name[:40]) for name in there[:20])
                raise InputError(
                    legible(where),
                    f"has no column {wanted!r}" if wanted else f"has no column that is known as {what}",
                    f"name the {what} column with data.{what}_column=NAME; there are: {shown}.",
                )
            found.append(match)
        if found[0] == found[1]:
            raise InputError(legible(where), "has one column for both images and texts", "name two columns.")
        return found[0], found[1]

    def places(self, there: Sequence[str], where: str) -> tuple[int, int, int | None, int | None]:
        """Number the columns of images, texts, widths and heights, the last two of them None if missing."""
        image, text = self.names(there, where)
        width, height = (there.index(name) if name in there else None for name in (WIDTH, HEIGHT))
        return there.index(image), there.index(text), width, height

    def text_key(self, there: Collection[str]) -> str | None:
        """Choose the key of the text among those of a JSON object; None if there is none."""
        return next((name for name in ((self.text,) if self.text else TEXT) if name in there), None)
