"""Looks through sets of lines as training would, and further: at every image, and across the sets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ocrtrain.audit.characters import (
    RARE,
    CharacterCount,
    count_characters,
    families,
    invisible,
)
from ocrtrain.audit.doubles import nearly_same, same
from ocrtrain.audit.findings import Collector, Example, Finding
from ocrtrain.audit.images import Seen, look_at_all
from ocrtrain.data.checks.texts import slips
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.text import Charset, Writing, frames_needed
from ocrtrain.text.charset import describe
from ocrtrain.text.direction import settle
from ocrtrain.text.scripts import mixed_words

TIGHT = 0.8  # of the frames
LOW = 16  # pixels
TWICE = math.log(2.0)
DEVIATIONS = 4.0  # robust standard deviations, and at least a quarter


class AuditedLines(LineSource, Protocol):
    """What is audited: lines with names, their texts as written, and by reason what cannot be used."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def originals(self) -> Sequence[str]: ...

    @property
    def skipped(self) -> Mapping[str, Sequence[str]]: ...


@dataclass(slots=True)
class Split:
    """One set of lines: what it holds, and what was found in it.

    lines: that can be used; dropped: that cannot; lengths: lines by the number of their characters; heights,
    widths: smallest, median and largest in pixels; frames_used: the median share of its frames that a text
    needs.
    """

    name: str
    source: AuditedLines
    writing: Writing
    lines: int = 0
    dropped: int = 0
    characters: list[CharacterCount] = field(default_factory=list)
    lengths: Counter[int] = field(default_factory=Counter)
    heights: tuple[float, float, float] = (0.0, 0.0, 0.0)
    widths: tuple[float, float, float] = (0.0, 0.0, 0.0)
    frames_used: float = 0.0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Audit:
    """Sets of lines by their names, train first, and how their texts are written."""

    splits: list[Split]
    writing: Writing
    charset: tuple[str, ...]

    @property
    def findings(self) -> list[Finding]:
        """All findings, set after set."""
        return [finding for split in self.splits for finding in split.findings]

    @property
    def flawed(self) -> bool:
        """Whether anything was found that is more than a note."""
        return any(finding.severity != "note" for finding in self.findings)


def audit(
    sources: Mapping[str, AuditedLines],
    preprocess: Preprocess,
    writing: Writing,
    charset: str | None = None,
    columns_per_frame: int = 4,
    examples: int = 12,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Look through all lines of `sources`; the first of them, or "train", is what is trained on.

    preprocess, writing, charset, columns_per_frame: as in training; examples: lines to name for each finding;
    workers: processes that look at the images; progress: is told of lines as they are done. Raises InputError
    for a charset that cannot be one.
    """
    names = list(sources)
    trained = sources[names[0]]
    writing = replace(writing, direction=settle(writing.direction, trained.originals))
    given = None if charset is None else Charset(charset, writing)
    known = given or Charset.from_texts(trained.originals, writing)
    splits, looked, collectors = [], {}, {}
    for name, source in sources.items():
        collector = collectors[name] = Collector(name, examples)
        images = looked[name] = look_at_all(source, workers, progress)
        first = name == names[0]
        splits.append(
            _look_through(name, source, images, preprocess, writing, columns_per_frame, collector, first)
        )
        _find_unknown(source, known, first or given is not None, collector)
    _compare(sources, looked, collectors)
    for split in splits:
        split.findings = collectors[split.name].findings()
    return Audit(splits, writing, known.symbols)


def _look_through(
    name: str,
    source: AuditedLines,
    images: Sequence[Seen | str],
    preprocess: Preprocess,
    writing: Writing,
    columns_per_frame: int,
    found: Collector,
    first: bool,
) -> Split:
    """Describe one set, and find what a set shows by itself; of the first, what is learned in it too."""
    split = Split(name, source, writing)
    for reason, skipped in source.skipped.items():
        for place in skipped:
            found.add("skipped", Example(-1, place, ""), reason)
    texts = [writing.normalize(text) for text in source.originals]
    shares = []
    dropped = sum(map(len, source.skipped.values()))
    for index, (text, seen) in enumerate(zip(texts, images, strict=True)):
        line = Example(index, source.names[index], text)
        if isinstance(seen, str):
            found.add("unreadable", line, seen)
            dropped += 1
            continue
        shown = writing.shown(text)
        needed = frames_needed([ord(character) for character in shown])
        frames = -(-preprocess.columns(seen.width / seen.height) // columns_per_frame)
        shares.append(needed / frames)
        if needed > frames:
            found.add("too_long", replace(line, detail=f"needs {needed} frames, has {frames}"))
            dropped += 1
        elif needed > TIGHT * frames:
            found.add("tight", replace(line, detail=f"needs {needed} of {frames} frames"))
        if seen.blank:
            found.add("blank", line)
        if seen.height < LOW:
            found.add("low", replace(line, detail=f"{seen.width} x {seen.height} pixels"))
        for slip in slips(source.originals[index], shown, writing):
            detail = ", ".join(mixed_words(text)) if slip == "mixed_scripts" else ""
            found.add(slip, replace(line, detail=detail))
        if hidden := [character for character in dict.fromkeys(text) if invisible(character)]:
            found.add("invisible", replace(line, detail=", ".join(map(describe, hidden))))
    _find_outliers(source.names, texts, images, found)
    _find_doubles(source.names, texts, images, found)
    split.dropped, split.lines = dropped, len(texts) + sum(map(len, source.skipped.values())) - dropped
    split.characters = count_characters(texts)
    split.lengths = Counter(map(len, texts))
    split.frames_used = float(np.median(shares)) if shares else 0.0
    sizes = np.array([(s.height, s.width) for s in images if isinstance(s, Seen)] or [(0, 0)])
    split.heights, split.widths = (
        (float(column.min()), float(np.median(column)), float(column.max())) for column in sizes.T
    )
    if not first:
        return split
    for family, members in families(split.characters):
        detail = ", ".join(f"{describe(c.character)} {c.count:,} times" for c in members)
        found.add("alike", Example(-1, family, "", detail))
    for count in split.characters:
        if count.count < RARE:
            places = [i for i, text in enumerate(texts) if count.character in text]
            detail = f"{describe(count.character)}, {count.count} times"
            found.add("rare", Example(places[0], source.names[places[0]], texts[places[0]], detail))
    return split


def _find_outliers(
    names: Sequence[str], texts: Sequence[str], images: Sequence[Seen | str], found: Collector
) -> None:
    """Find images that are far from what their set is like: in height, and in width for their text."""
    good = [(i, seen) for i, seen in enumerate(images) if isinstance(seen, Seen) and texts[i].strip()]
    if len(good) < 10:  # too few to say what is usual
        return
    heights = np.log([seen.height for _, seen in good])
    far = np.abs(heights - np.median(heights))
    for (index, seen), distance in zip(good, far.tolist(), strict=True):
        if distance > TWICE:
            detail = f"{seen.height} pixels high, usual are {math.exp(float(np.median(heights))):.0f}"
            found.add("size", Example(index, names[index], texts[index], detail))
    # In few characters, narrow and wide letters do not make up for each other.
    lengths = np.array([len(texts[i]) for i, _ in good])
    per_character = np.log([seen.width / seen.height for _, seen in good]) - np.log(lengths + 1.0)
    middle = np.median(per_character)
    spread = 1.4826 * np.median(np.abs(per_character - middle))
    bounds = max(DEVIATIONS * float(spread), math.log(1.25)) + 1.5 / np.sqrt(lengths)
    for (index, _), distance, bound in zip(
        good, (per_character - middle).tolist(), bounds.tolist(), strict=True
    ):
        if abs(distance) > bound:
            detail = f"{math.exp(distance):.1f} times as wide as usual for its {len(texts[index])} characters"
            found.add("width", Example(index, names[index], texts[index], detail))


def _find_doubles(
    names: Sequence[str], texts: Sequence[str], images: Sequence[Seen | str], found: Collector
) -> None:
    for index, first in same(images).items():
        line = Example(index, names[index], texts[index], other=(found.split, first))
        if texts[first] == texts[index]:
            found.add("duplicate", replace(line, detail=f"as {names[first]}"))
        else:
            found.add("conflict", replace(line, detail=f"{names[first]} says {texts[first]}"))
    for index, first in nearly_same(images).items():
        detail = f"like {names[first]}" + (
            "" if texts[first] == texts[index] else f", which says {texts[first]}"
        )
        found.add("near_duplicate", Example(index, names[index], texts[index], detail, (found.split, first)))


def _find_unknown(source: AuditedLines, charset: Charset, fixed: bool, found: Collector) -> None:
    """Find lines with characters that the model will not know.

    fixed: the charset is given, or learned from these lines; else it is that of the training lines.
    """
    known = frozenset(charset.symbols)
    for index, original in enumerate(source.originals):
        shown = charset.writing.shown(original)
        if not known.issuperset(shown):
            lacking = ", ".join(describe(character) for character in charset.unknown(original))
            text = charset.writing.normalize(original)
            found.add("unknown" if fixed else "unseen", Example(index, source.names[index], text, lacking))


def _compare(
    sources: Mapping[str, AuditedLines],
    looked: Mapping[str, Sequence[Seen | str]],
    collectors: Mapping[str, Collector],
) -> None:
    """Find lines of one set in the sets before it."""
    names = list(sources)
    for place, name in enumerate(names[1:], start=1):
        mine = looked[name]
        for other in names[:place]:
            theirs = looked[other]
            together = [*theirs, *mine]
            for kind, doubles in (("leak", same(together)), ("near_leak", nearly_same(together))):
                for index, first in doubles.items():
                    if first < len(theirs) <= index:
                        here = index - len(theirs)
                        text, said = sources[name].originals[here], sources[other].originals[first]
                        detail = f"in {other}: {sources[other].names[first]}"
                        detail += "" if text == said else f", which says {said}"
                        collectors[name].add(
                            kind, Example(here, sources[name].names[here], text, detail, (other, first))
                        )
        if place:
            trained = set(sources[names[0]].originals)
            for index, text in enumerate(sources[name].originals):
                if text in trained:
                    collectors[name].add("same_text", Example(index, sources[name].names[index], text))
