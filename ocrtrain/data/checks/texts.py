"""Faults and slips in texts that would harm training, found before it starts."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ocrtrain.data.images.image import legible
from ocrtrain.data.lines.rejections import EXAMPLES
from ocrtrain.files import open_regular
from ocrtrain.text.charset import Charset, describe
from ocrtrain.text.feasibility import frames_needed
from ocrtrain.text.normalization import Normalization, normalize
from ocrtrain.text.scripts import mixed_words
from ocrtrain.text.writing import Writing

CHARACTERS_SHOWN = 20  # a charset of the wrong script would fill screens

# Control characters, line and paragraph separators, and the marks of a text that was decoded wrongly.
_STRAY = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffd]")


# What Python prints for bytes, which a script that forgot to decode them writes into its labels.
_PRINTED_BYTES = re.compile(r"""b(['"]).*\1""", re.DOTALL)


@dataclass(slots=True)
class CountedLines:
    """How many lines have one property, and the first few of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more line; keep its name if it is one of the first."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(legible(example))

    def __str__(self) -> str:
        more = f" and {self.count - len(self.examples)} more" if self.count > len(self.examples) else ""
        return ", ".join(self.examples) + more


@dataclass(slots=True)
class Findings:
    """What `inspect` found in `total` lines.

    `unknown` has, per character that the charset lacks, the lines with it. The indices of lines to leave out:
    `unknown_lines` cannot be written with the charset, `too_long_lines` do not fit their frames.
    """

    total: int = 0
    normalization: Normalization = "NFC"
    unknown: dict[str, CountedLines] = field(default_factory=dict)
    too_long: CountedLines = field(default_factory=CountedLines)
    outer_spaces: CountedLines = field(default_factory=CountedLines)
    double_spaces: CountedLines = field(default_factory=CountedLines)
    stray: CountedLines = field(default_factory=CountedLines)
    printed_bytes: CountedLines = field(default_factory=CountedLines)
    not_normal: CountedLines = field(default_factory=CountedLines)
    ambiguous: CountedLines = field(default_factory=CountedLines)
    mixed_scripts: CountedLines = field(default_factory=CountedLines)
    unknown_lines: list[int] = field(default_factory=list)
    too_long_lines: list[int] = field(default_factory=list)

    @property
    def leave_out(self) -> list[int]:
        """List the indices of all lines that cannot be learned, each once, in order."""
        return sorted({*self.unknown_lines, *self.too_long_lines})

    def lines(self) -> list[str]:
        """Write one printable line per finding, none if there is nothing to tell."""
        most_first = sorted(self.unknown.items(), key=lambda item: (-item[1].count, item[0]))
        told = [
            f"not in the charset: {describe(character)} in {_lines(found.count)}: {found}"
            for character, found in most_first[:CHARACTERS_SHOWN]
        ]
        if len(most_first) > CHARACTERS_SHOWN:
            told.append(f"not in the charset: {len(most_first) - CHARACTERS_SHOWN} more characters")
        for found, what in (
            (self.too_long, "text too long for the image's frames"),
            (self.outer_spaces, "leading or trailing space"),
            (self.double_spaces, "two or more spaces in a row"),
            (self.ambiguous, "order that cannot be told from the image (read back otherwise)"),
            (self.mixed_scripts, "word with letters of two scripts"),
            (self.stray, "control or replacement character"),
            (self.printed_bytes, "printed bytes (b'...') in place of a text"),
            (self.not_normal, f"text not in {self.normalization} (brought to it when read)"),
        ):
            if found.count:
                told.append(f"{what} in {_lines(found.count)}: {found}")
        return told


def inspect(
    names: Sequence[str],
    texts: Sequence[str],
    widths: Iterable[float],
    charset: Charset,
    frames: Callable[[float], int],
) -> Findings:
    """Look through `texts` for what cannot be learned and for what is likely a slip.

    `names` and `widths` (at height 1) belong to the texts one by one; `texts` come as they are written, so
    that other normal forms are seen; `frames` tells how many frames the model makes of such a width.
    """
    findings = Findings(len(texts), charset.writing.normalization)
    known = frozenset(charset.symbols)
    for index, (name, original, width) in enumerate(zip(names, texts, widths, strict=True)):
        shown = charset.writing.shown(original)
        if not known.issuperset(shown):
            findings.unknown_lines.append(index)
            for character in sorted(set(shown) - known):
                findings.unknown.setdefault(character, CountedLines()).add(name)
        available = frames(float(width))
        if 2 * len(shown) - 1 > available:  # else it fits whatever repeats it has; counting them takes longer
            needed = frames_needed([ord(character) for character in shown])
            if needed > available:
                findings.too_long_lines.append(index)
                findings.too_long.add(f"{name} (needs {needed}, has {available})")
        for slip in slips(original, shown, charset.writing):
            detail = ", ".join(mixed_words(original)) if slip == "mixed_scripts" else ""
            getattr(findings, slip).add(f"{name} ({detail})" if detail else name)
    return findings


def slips(original: str, shown: str, writing: Writing) -> list[str]:
    """Name what is odd in one text that can be learned nonetheless, by the fields of `Findings`.

    shown: what `writing` makes of the text as it is written, `original`.
    """
    found = []
    text = writing.normalize(original)
    if text != text.strip():
        found.append("outer_spaces")
    if "  " in text:
        found.append("double_spaces")
    if _STRAY.search(text):
        found.append("stray")
    if text.startswith("b") and _PRINTED_BYTES.fullmatch(text):
        found.append("printed_bytes")
    if text is not original and text != original:
        found.append("not_normal")
    if not writing.reads_back(text, shown):
        found.append("ambiguous")
    if mixed_words(text):
        found.append("mixed_scripts")
    return found


def conflicts(root: str, names: Sequence[str], texts: Sequence[str], widths: Sequence[float]) -> CountedLines:
    """Find image files that are the same, byte for byte, and have different texts.

    Only files of one aspect and one size are read, which are few.
    """
    alike: dict[float, list[int]] = {}
    for index, width in enumerate(widths):
        alike.setdefault(width, []).append(index)
    seen: dict[tuple[int, bytes], int] = {}
    found = CountedLines()
    for group in alike.values():
        if len(group) < 2:
            continue
        sizes: dict[int, list[int]] = {}
        for index in group:
            with suppress(OSError):
                sizes.setdefault(os.stat(os.path.join(root, names[index])).st_size, []).append(index)
        for size, same in sizes.items():
            for index in same if len(same) > 1 else ():
                with suppress(OSError), open_regular(os.path.join(root, names[index])) as file:
                    first = seen.setdefault((size, hashlib.sha256(file.read()).digest()), index)
                    if normalize(texts[first]) != normalize(texts[index]):
                        found.add(f"{names[first]} and {names[index]}")
    return found


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"
