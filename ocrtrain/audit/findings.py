"""One thing that is wrong or doubtful, with how often and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# drop: training leaves such lines out or stops; doubt: a likely mistake; note: good to know.
Severity = Literal["drop", "doubt", "note"]

# kind: (severity, what it is, what to do about it). The order is that of the report.
KINDS: dict[str, tuple[Severity, str, str]] = {
    "skipped": ("drop", "cannot be used", "mend the file, or take it out"),
    "unreadable": ("drop", "image is damaged", "replace the image, or take it out"),
    "too_long": ("drop", "text too long for the image's frames", "look whether they belong together"),
    "unknown": ("drop", "characters that the charset lacks", "correct the text, or extend data.charset"),
    "conflict": ("doubt", "one image with different texts", "keep the right text"),
    "leak": ("doubt", "image of another set", "take it out of one: judged lines must be new to the model"),
    "near_leak": ("doubt", "nearly the same image in another set", "look whether it is the same line"),
    "unseen": ("doubt", "characters that training lacks", "add lines with them, or correct the text"),
    "duplicate": ("doubt", "image that is there already", "keep one of them"),
    "near_duplicate": ("doubt", "nearly the same image", "look whether it is the same line"),
    "blank": ("doubt", "image without ink", "take it out"),
    "width": ("doubt", "image too wide or too narrow for its text", "look whether they belong together"),
    "size": ("doubt", "image much lower or higher than the others", "look whether it is one line"),
    "low": ("doubt", "image lower than 16 pixels", "scan it again with more pixels"),
    "mixed_scripts": ("doubt", "word with letters of two scripts", "type them in one script"),
    "stray": ("doubt", "control or replacement character", "correct the text"),
    "printed_bytes": ("doubt", "printed bytes (b'...') in place of a text", "decode the labels as UTF-8"),
    "invisible": ("doubt", "character that no image shows", "take it out, unless your script needs it"),
    "outer_spaces": ("doubt", "leading or trailing space", "take it off"),
    "double_spaces": ("doubt", "two or more spaces in a row", "write one"),
    "ambiguous": ("doubt", "order that cannot be told from the image", "nothing, unless it is mistyped"),
    "alike": ("note", "characters that look much alike", "keep one of them, unless the difference is meant"),
    "tight": ("note", "text that nearly fills its image's frames", "raise data.height for more frames"),
    "rare": ("note", "characters seen less than 5 times", "add lines with them"),
    "not_normal": ("note", "text in another normal form", "nothing: it is brought to the declared one"),
    "same_text": ("note", "text that the training lines have too", "nothing, if the images differ"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """A line with the finding: its `index` in its set (-1 if it is no usable line), name, text, a remark.

    other: the set and the index of the line that it is compared with.
    """

    index: int
    name: str
    text: str
    detail: str = ""
    other: tuple[str, int] | None = None


@dataclass(slots=True)
class Finding:
    """`count` lines of the set `split` have the property `kind` (see `KINDS`); the first few are named.

    reason: in more words, where lines of one kind differ in it.
    """

    kind: str
    split: str
    reason: str = ""
    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind][0]

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return self.reason or KINDS[self.kind][1]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return KINDS[self.kind][2]


class Collector:
    """Gathers the findings of one set; of each, the first `examples` lines are kept."""

    def __init__(self, split: str, examples: int) -> None:
        self.split, self.examples = split, examples
        self._findings: dict[tuple[str, str], Finding] = {}

    def add(self, kind: str, example: Example, reason: str = "") -> None:
        """Count one more line."""
        finding = self._findings.setdefault((kind, reason), Finding(kind, self.split, reason))
        finding.count += 1
        if len(finding.examples) < self.examples:
            finding.examples.append(example)

    def findings(self) -> list[Finding]:
        """List what was found, the worst kinds first."""
        order = list(KINDS)
        return sorted(self._findings.values(), key=lambda f: (order.index(f.kind), -f.count, f.reason))
