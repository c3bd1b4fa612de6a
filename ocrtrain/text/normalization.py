"""One spelling for every text: Unicode NFC, nothing stripped, nothing folded."""

from __future__ import annotations

import unicodedata


def normalize(text: str) -> str:
    """Compose `text` to Unicode NFC, so that an accented letter is one symbol wherever that exists."""
    return unicodedata.normalize("NFC", text)
