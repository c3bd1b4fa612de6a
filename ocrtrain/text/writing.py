"""Spelling of texts and direction of their lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self, get_args

from ocrtrain.fields import CheckedFields
from ocrtrain.settings import checked
from ocrtrain.text.direction import Direction, mixes_directions, to_display, to_logical
from ocrtrain.text.normalization import Normalization, normalize


@dataclass(frozen=True, slots=True)
class Writing:
    """Turns a text into the row of symbols that a recognizer learns, and back; part of every checkpoint.

    normalization: see `normalize`. direction: of whole lines: ltr, rtl, auto for each line by its letters, or
    none for texts that stand in the order of the image already. The defaults are those of checkpoints that
    are older than this class.
    """

    normalization: Normalization = "NFC"
    direction: Direction = "none"

    def __post_init__(self) -> None:
        checked(self.normalization, Normalization, "normalization")
        checked(self.direction, Direction, "direction")

    @classmethod
    def from_fields(cls, fields: CheckedFields) -> Self:
        """Read what `as_dict` gave, or a part of it; raises FieldError for anything else."""
        choices = {"normalization": get_args(Normalization), "direction": get_args(Direction)}
        own: dict[str, Any] = {
            name: fields.text(name, known) for name, known in choices.items() if name in fields.values
        }
        fields.close()
        return cls(**own)

    def normalize(self, text: str) -> str:
        """Bring `text` into the normal form."""
        return normalize(text, self.normalization)

    def shown(self, text: str) -> str:
        """Give the symbols of `text`, normalized, from left to right as an image shows them."""
        return to_display(normalize(text, self.normalization), self.direction)

    def text(self, shown: str) -> str:
        """Give the text that looks like `shown`, in logical order and normalized."""
        order = to_logical(shown, self.direction)
        return self.normalize(shown if order is None else "".join(character for _, character in order))

    def reads_back(self, text: str, shown: str) -> bool:
        """Tell whether `text` would be read in its own order, given what it shows (`self.shown(text)`).

        Two orders may look the same where a line mixes directions; see `to_logical`.
        """
        text = self.normalize(text)
        if shown == text or not mixes_directions(text, self.direction):
            return True
        return self.text(shown) == text

    def as_dict(self) -> dict[str, str]:
        """Give the settings as plain types, for a checkpoint."""
        return asdict(self)
