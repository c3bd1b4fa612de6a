"""What is read from left to right comes back as text, and every character keeps its place in the image."""

from __future__ import annotations

import torch

from ocrtrain.decoding import GreedyDecoder, Transcript
from ocrtrain.text import Charset, Writing

ALEF, BET = "\u05d0", "\u05d1"


def read_all(lines: list[str], charset: Charset, certainty: float = 0.9) -> list[Transcript]:
    """Decode frames that spell `lines`, each symbol in one frame of 10 pixels with a blank behind it."""
    classes, frames = len(charset), 2 * max(map(len, lines))
    probabilities = torch.full((len(lines), frames, classes), (1 - certainty) / (classes - 1))
    for n, shown in enumerate(lines):
        for i, symbol in enumerate(shown):
            probabilities[n, 2 * i, charset.symbols.index(symbol) + 1] = certainty
            probabilities[n, 2 * i + 1, Charset.blank] = certainty
    lengths = torch.tensor([2 * len(shown) for shown in lines])
    return GreedyDecoder(charset)(probabilities.log(), lengths, [20.0 * len(shown) for shown in lines])


def read(shown: str, charset: Charset) -> Transcript:
    (transcript,) = read_all([shown], charset)
    return transcript


def test_a_right_to_left_line_is_read_in_logical_order_with_places_in_the_image() -> None:
    charset = Charset(f"{ALEF}{BET} 12().", Writing("NFC", "rtl"))
    transcript = read(f".(12) {BET}{ALEF}", charset)
    assert transcript.text == f"{ALEF}{BET} (12)."
    assert [c.text for c in transcript.characters] == list(transcript.text)
    # from the right: the letters and the space, then the bracket that opens, digits rightwards, and the rest
    assert [c.x0 for c in transcript.characters] == [140, 120, 100, 80, 40, 60, 20, 0]
    assert all(c.x1 == c.x0 + 10 for c in transcript.characters)
    assert charset.encode(transcript.text) == [charset.symbols.index(s) + 1 for s in f".(12) {BET}{ALEF}"]


def test_left_to_right_lines_are_as_they_were() -> None:
    plain, told = Charset("ab1 "), Charset("ab1 ", Writing("NFC", "ltr"))
    assert read("ab 1", plain) == read("ab 1", told)


def test_a_letter_and_its_mark_become_one_with_the_range_of_both() -> None:
    charset = Charset(["a", "e", "\u0301", "\u00e9"])
    transcript = read("ae\u0301e", charset)
    assert transcript.text == "a\u00e9e" and len(transcript.characters) == 3
    both = transcript.characters[1]
    assert (both.text, both.first_frame, both.last_frame) == ("\u00e9", 2, 4)
    assert (both.x0, both.x1) == (20, 50)
    decomposed = Charset(["a", "e", "\u0301"], Writing("none"))
    assert read("ae\u0301", decomposed).text == "ae\u0301"


def test_compatibility_forms_are_spelled_out() -> None:
    charset = Charset(["a", "\u00b2"], Writing("none"))
    read_as = Charset(["a", "2"], Writing("NFKC"))
    assert read("a\u00b2", charset).text == "a\u00b2"
    assert read("a2", read_as).text == "a2" and read_as.encode("a\u00b2") == [1, 2]


def test_nothing_is_nothing_in_any_direction() -> None:
    for direction in ("rtl", "auto"):
        charset = Charset(ALEF, Writing("NFC", direction))  # type: ignore[arg-type]
        blanks = torch.zeros(1, 3, 2).log_softmax(-1)
        assert GreedyDecoder(charset)(blanks, torch.tensor([0])) == [Transcript("", 0.0, ())]


def test_a_line_is_read_in_a_batch_as_alone() -> None:
    charset = Charset(["a", "e", "\u0301", ALEF, BET, " "], Writing("NFC", "auto"))
    plain, marked, leftward = ["ae", "e a"], ["ae\u0301", "\u0301a"], [f"{BET}{ALEF} a", f"a {BET}"]
    for lines in (plain, plain + marked, plain + leftward, marked + leftward):
        assert read_all(lines, charset) == [read(line, charset) for line in lines]
    assert read_all(plain + marked, charset)[2].text == "a\u00e9"
    assert read_all(plain + leftward, charset)[2].text == f"a {ALEF}{BET}"
