"""How texts are written: the form that they are spelled in, and the way that their lines run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields
from ocrtrain.text.direction import DIRECTIONS, Direction, mixes_directions, to_display, to_logical
from ocrtrain.text.normalization import NORMALIZATIONS, Normalization, normalize


@dataclass(frozen=True, slots=True)
class Writing:
    """What lies between a text and the row of symbols that a recognizer learns; part of every checkpoint.

    normalization: see `normalize`. direction: of whole lines: ltr, rtl, auto for each line by its letters, or
    none for texts that stand in the order of the image already. The defaults are those of checkpoints that
    are older than this class.
    """

    normalization: Normalization = "NFC"
    direction: Direction = "none"

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise InputError(
                f"normalization={self.normalization}", "no such form", f"choose {_choices(NORMALIZATIONS)}."
            )
        if self.direction not in DIRECTIONS:
            raise InputError(
                f"direction={self.direction}", "no such direction", f"choose {_choices(DIRECTIONS)}."
            )

    @classmethod
    def from_fields(cls, fields: CheckedFields) -> Self:
        """Read what `as_dict` gave, or a part of it; raises FieldError for anything else."""
        choices = {"normalization": NORMALIZATIONS, "direction": DIRECTIONS}
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


def _choices(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
