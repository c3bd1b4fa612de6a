"""One spelling for every text: a Unicode normal form, nothing stripped, nothing folded beyond it."""

from __future__ import annotations

import unicodedata
from typing import Literal

Normalization = Literal["NFC", "NFKC", "none"]


def normalize(text: str, form: Normalization = "NFC") -> str:
    """Bring `text` into a normal form.

    NFC composes, so that an accented letter is one symbol wherever that exists; NFKC also replaces what is
    only another shape of a character (ligatures, full-width letters, superscripts); none leaves it as it is
    written. Private-use characters stay in all of them.
    """
    return text if form == "none" else unicodedata.normalize(form, text)


def is_normal(text: str, form: Normalization = "NFC") -> bool:
    """Tell whether `normalize` would leave `text` as it is."""
    return form == "none" or unicodedata.is_normalized(form, text)
