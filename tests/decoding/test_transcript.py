"""Characters of a line among those of a batch behave as a tuple of them."""

from __future__ import annotations

import pickle

import pytest

from ocrtrain.decoding.transcript import Character, Characters, Transcript

COLUMNS = (
    list("abcd"),
    [0.1, 0.2, 0.3, 0.4],
    [0, 2, 4, 6],
    [1, 3, 5, 7],
    [0.0, 2.0, 4.0, 6.0],
    [1.0, 3.0, 5.0, 7.0],
)
B, C = Character("b", 0.2, 2, 3, 2.0, 3.0), Character("c", 0.3, 4, 5, 4.0, 5.0)


def test_characters_are_those_of_their_line() -> None:
    characters = Characters(COLUMNS, 1, 3)
    assert len(characters) == 2 and list(characters) == [B, C]
    assert (characters[0], characters[-1], characters[1:]) == (B, C, (C,))
    assert characters == (B, C) == characters and characters != (B,) and characters != [B, C]
    assert hash(characters) == hash((B, C)) and repr(characters) == repr((B, C))
    with pytest.raises(IndexError):
        characters[2]


def test_a_transcript_travels_without_its_batch() -> None:
    transcript = Transcript("bc", 0.5, Characters(COLUMNS, 1, 3))
    again = pickle.loads(pickle.dumps(transcript))
    assert again == transcript and isinstance(again.characters, tuple)
