"""Characters of a line among those of a batch behave as a tuple of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ocrtrain.decoding.transcript import Character, CharacterColumns, Characters, Transcript

COLUMNS = CharacterColumns(
    "abcd", np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7])
)
B, C = Character("b", 0.2, 2, 3, 20.0, 40.0), Character("c", 0.3, 4, 5, 40.0, 60.0)


def test_characters_are_those_of_their_line() -> None:
    characters = Characters(COLUMNS, 1, 3, 10.0)
    assert len(characters) == 2 and list(characters) == [B, C]
    assert (characters[0], characters[-1], characters[1:]) == (B, C, (C,))
    assert characters == (B, C) == characters and characters != (B,) and characters != [B, C]
    assert hash(characters) == hash((B, C)) and repr(characters) == repr((B, C))
    with pytest.raises(IndexError):
        characters[2]


def test_a_transcript_travels_without_its_batch() -> None:
    transcript = Transcript("bc", 0.5, Characters(COLUMNS, 1, 3, 10.0))
    again = pickle.loads(pickle.dumps(transcript))
    assert again == transcript and isinstance(again.characters, tuple)
