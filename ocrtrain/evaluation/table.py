"""An evaluation as plain text, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from ocrtrain.evaluation.alignment import align, by_grapheme, is_right_to_left
from ocrtrain.evaluation.report import Evaluation, JudgedLine

GAP = "·"
INDENT = "    "
MAX_ROWS = 4


def format_table(evaluation: Evaluation, width: int = 100, worst: int = 10) -> str:
    """Tell an evaluation to a reader who knows none of our names, in lines of at most `width` columns.

    The worst lines show truth over reading, aligned, with `·` where one side has nothing and a mark beneath
    each error; only the source may be longer than `width`. Control characters and other invisible ones are
    spelled as escapes. Text written from right to left is not aligned: a terminal reorders it.
    """
    counts, (low, high) = evaluation.counts, evaluation.interval
    edits = f"{counts.substitutions:,} wrong, {counts.deletions:,} missing, {counts.insertions:,} extra"
    rows = [
        ("CER", _percent(counts.cer), f"95% interval {_percent(low)} to {_percent(high)}"),
        ("", "", f"{counts.edits:,} edits in {counts.characters:,} characters: {edits}"),
        ("WER", _percent(counts.wer), f"{counts.word_edits:,} edits in {counts.words:,} words"),
        (
            "lines without error",
            _percent(counts.line_accuracy),
            f"{counts.exact_lines:,} of {counts.lines:,}",
        ),
        ("mean confidence", _percent(evaluation.mean_confidence), "the recognizer's own guess of the above"),
    ]
    text = [f"{name:<20}{value:>8}   {note}".rstrip() for name, value, note in rows]
    shown = evaluation.worst(worst)
    if shown:
        wrong = counts.lines - counts.exact_lines
        marks = "^ wrong, - missing, + extra"
        text += ["", f"The worst lines, {len(shown)} of {wrong:,} with errors (beneath the texts: {marks}):"]
    for rank, line in enumerate(shown, start=1):
        text += ["", *_worst_line(rank, line, width)]
    return "\n".join(text)


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}%"


def _worst_line(rank: int, line: JudgedLine, width: int) -> Iterator[str]:
    yield f"{rank:>2}. {visible(line.source)}"
    edits = "1 edit" if line.edits == 1 else f"{line.edits:,} edits"
    yield f"{INDENT}{edits} in {len(line.truth):,} characters, confidence {_percent(line.confidence)}"
    yield from side_by_side(line.truth, line.prediction, width - len(INDENT), INDENT)


def side_by_side(truth: str, prediction: str, width: int, indent: str = "") -> Iterator[str]:
    """Yield truth, reading and marks as rows of at most `width` columns, folded where they are longer."""
    aligned = not is_right_to_left(truth + prediction)
    room = width - len("truth  ")
    folds: list[tuple[str, str, str]] = [("", "", "")]
    used = 0
    for pair in by_grapheme(align(truth, prediction)):
        above = visible(pair.truth) if pair.truth or not aligned else GAP
        below = visible(pair.read) if pair.read or not aligned else GAP
        cells = max(columns(above), columns(below))
        if used + cells > room:
            folds.append(("", "", ""))
            used = 0
        used += cells
        if aligned:
            above += " " * (cells - columns(above))
            below += " " * (cells - columns(below))
        mark = "" if pair.truth == pair.read else "-" if not pair.read else "+" if not pair.truth else "^"
        folds[-1] = (folds[-1][0] + above, folds[-1][1] + below, folds[-1][2] + (mark or " ") * cells)
    for above, below, marks in folds[:MAX_ROWS]:
        yield f"{indent}truth  {above}".rstrip()
        yield f"{indent}read   {below}".rstrip()
        if aligned and marks.strip():
            yield f"{indent}       {marks}".rstrip()
    if len(folds) > MAX_ROWS:
        yield f"{indent}(and {len(folds) - MAX_ROWS} more rows of this line)"


def visible(text: str) -> str:
    """Spell characters that a terminal would obey, hide or refuse as their escapes, and only those."""
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else c
        for c in text
    )


def columns(text: str) -> int:
    """Count the columns that a terminal gives to `text`: two for wide characters, none for combining ones."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c) in ("Mn", "Me") for c in text)
