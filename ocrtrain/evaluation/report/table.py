"""An evaluation as plain text, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from ocrtrain.evaluation.alignment import align, by_grapheme, is_right_to_left
from ocrtrain.evaluation.comparison import Comparison, sureness
from ocrtrain.evaluation.judgement import Evaluation, JudgedLine

GAP = "·"
INDENT = "    "
MAX_ROWS = 4
MILDER = {
    "case_folded": "without case",
    "no_punctuation": "without punctuation",
    "no_white_space": "without spaces",
}


def format_table(evaluation: Evaluation, width: int = 100, worst: int = 5) -> str:
    """Tell an evaluation to a reader who knows none of our names, in lines of at most `width` columns.

    The worst lines show truth over reading, aligned, with `·` where one side has nothing and a mark beneath
    each error; only the source may be longer than `width`. Control characters and other invisible ones are
    spelled as escapes. Text written from right to left is not aligned: a terminal reorders it.
    """
    counts = evaluation.counts
    edits = f"{counts.substitutions:,} wrong, {counts.deletions:,} missing, {counts.insertions:,} extra"
    rows = [
        (
            "CER",
            counts.cer,
            evaluation.interval,
            f"{counts.edits:,} edits in {counts.characters:,} characters",
        ),
        ("WER", counts.wer, evaluation.wer_interval, f"{counts.word_edits:,} in {counts.words:,} words"),
        (
            "exact lines",
            counts.line_accuracy,
            evaluation.line_accuracy_interval,
            f"{counts.exact_lines:,} of {counts.lines:,}",
        ),
    ]
    text = [f"{'':<14}{'rate':>8}   95% interval"]
    for name, rate, interval, note in rows:
        text.append(f"{name:<14}{_percent(rate):>8}   {_between(interval):<20}   {note}")
    text += [f"{'edits':<14}{edits}", *_further(evaluation, width)]
    shown = evaluation.worst(worst)
    if shown:
        wrong = counts.lines - counts.exact_lines
        marks = "^ wrong, - missing, + extra"
        text += ["", f"The worst lines, {len(shown)} of {wrong:,} with errors (beneath the texts: {marks}):"]
    for rank, line in enumerate(shown, start=1):
        text += ["", *_worst_line(rank, line, width)]
    return "\n".join(text)


def _further(evaluation: Evaluation, width: int) -> Iterator[str]:
    """Yield a row for each of the other figures that has something to tell."""
    spaces, reliability, fitted = evaluation.confusions.spaces(), evaluation.reliability, evaluation.fitted
    if spaces.recall is not None and spaces.precision is not None:
        found = f"{_percent(spaces.recall)} of {spaces.truth:,} found"
        yield f"{'spaces':<14}{found}, {_percent(spaces.precision)} of {spaces.read:,} read are right"
    if evaluation.counts.edits:
        milder = [f"{_percent(f.counts.cer)} {MILDER[f.variant.name]}" for f in evaluation.variants]
        yield f"{'milder CER':<14}{', '.join(milder)}"
        yield f"{'confused':<14}{_most_confused(evaluation, width - 14)}"
    for kind, groups in evaluation.groups.items():
        if kind in ("source", "script") and len(groups) > 1:
            each = [f"{visible(g.name)} {_percent(g.counts.cer)} ({g.counts.lines:,})" for g in groups]
            yield f"{'by ' + kind:<14}{_as_fits(each, width - 14, ', ')}"
    if reliability is not None:
        means = f"mean {_percent(reliability.mean)}, calibration error {_percent(reliability.ece)}"
        if fitted is not None:
            means += f" (before fitting: {_percent(fitted.before.ece)})"
        yield f"{'confidence':<14}{means}, by chance {_percent(reliability.chance)}"


def _most_confused(evaluation: Evaluation, room: int) -> str:
    pairs, strings = evaluation.confusions.pairs, evaluation.confusions.strings
    most = sorted((pairs + strings).items(), key=lambda item: (-item[1], item[0]))[:20]
    return _as_fits([f"{_named(truth)} > {_named(read)} {count:,}x" for (truth, read), count in most], room)


def _named(text: str) -> str:
    named = {"": "nothing", " ": "space"}
    return named.get(text) or visible(text).replace(" ", "\u2423")


def _as_fits(parts: Sequence[str], room: int, between: str = ",  ") -> str:
    """Join as many of the first parts as have room, at least one."""
    text = parts[0]
    for part in parts[1:]:
        if columns(text + between + part) > room - len(" ..."):
            return f"{text} ..."
        text += between + part
    return text


def format_comparison(evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> str:
    """Tell which of several readers of the same lines is better, by how much and how sure."""
    width = max(len("reader"), *(columns(visible(e.name)) for e in evaluations))
    lines = evaluations[0].counts.lines
    text = [
        f"{'reader':<{width}}{'CER':>9}   {'95% interval':<20}{'WER':>9}{'exact':>9}   of {lines:,} lines"
    ]
    for e in sorted(evaluations, key=lambda e: e.counts.cer):
        name = visible(e.name) + " " * (width - columns(visible(e.name)))
        rates = f"{_percent(e.counts.wer):>9}{_percent(e.counts.line_accuracy):>9}"
        text.append(f"{name}{_percent(e.counts.cer):>9}   {_between(e.interval):<20}{rates}")
    text.append("")
    for c in comparisons:
        low, high = (100 * bound for bound in c.cer.interval)
        by = f"CER {100 * c.cer.difference:+.2f} points (95% interval {low:+.2f} to {high:+.2f})"
        second, first = visible(c.second), visible(c.first)
        verdict = "better" if c.is_sure else "perhaps better, but these lines are too few to be sure"
        if not c.cer.difference:
            verdict = "as good"
        text.append(f"{second} against {first}: {by}")
        text.append(
            f"{INDENT}{verdict}; it makes fewer errors with a probability of {sureness(c.cer.probability)}"
        )
    return "\n".join(text)


def _between(interval: tuple[float, float]) -> str:
    return f"{_percent(interval[0])} to {_percent(interval[1])}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}%"


def _worst_line(rank: int, line: JudgedLine, width: int) -> Iterator[str]:
    yield f"{rank:>2}. {visible(line.source)}"
    edits = "1 edit" if line.edits == 1 else f"{line.edits:,} edits"
    confidence = "" if line.confidence is None else f", confidence {_percent(line.confidence)}"
    yield f"{INDENT}{edits} in {len(line.truth):,} characters{confidence}"
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
