"""The report as one HTML file that needs nothing else: figures, plots, and a gallery of lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ocrtrain.data.images.image import StoredImage, legible
from ocrtrain.evaluation.breakdown import Group
from ocrtrain.evaluation.character_classes import character_class
from ocrtrain.evaluation.comparison import SURE, Comparison, sureness
from ocrtrain.evaluation.confusions import Found
from ocrtrain.evaluation.intervals import Difference
from ocrtrain.evaluation.judgement import Evaluation
from ocrtrain.evaluation.report.gallery import choose_lines, gallery_line
from ocrtrain.evaluation.report.plots import percent, reject_plot, reliability_plot
from ocrtrain.files import write_text_atomically
from ocrtrain.version import __version__

CONFUSIONS = 12
PARTS = ("Where the errors are", "What is read as what", "Can the confidence be trusted?", "Milder rulers")
KINDS = {
    "source": ("By source", "source"),
    "script": ("By script", "script"),
    "length": ("By length", "characters"),
    "width": ("By width", "width / height"),
}


def write_page(
    evaluations: Sequence[Evaluation],
    comparisons: Sequence[Comparison],
    path: str | Path,
    images: Sequence[str | StoredImage] | None = None,
    gallery: int = 100,
    where: str = "",
) -> Path:
    """Write the page of one evaluation or several of the same N lines, whole or not at all; return its path.

    images: the lines' image files, N paths, of which small pictures go into the page; one that cannot be
    read is left out. gallery: how many lines of each kind are shown, which bounds the size of the page,
    however many lines were judged. where: which lines these are, for its head. Raises `InputError` where the
    page cannot be written.
    """
    chosen = choose_lines(evaluations, gallery)
    shown = [
        gallery_line(i, why, evaluations, None if images is None else images[i]) for i, why in chosen.items()
    ]
    names = [legible(evaluation.name) for evaluation in evaluations]
    title = " and ".join(names) if len(names) < 4 else f"{len(names)} readers"
    sections = [_comparison(evaluations, comparisons)] if comparisons else []
    for evaluation in evaluations:
        figures = "".join(_figures(evaluation))
        if len(evaluations) > 1:
            figures = f"<details><summary>{_text(evaluation.name)}: all figures</summary>{figures}</details>"
        sections.append(figures)
    parts = (
        ["Which is better?"]
        if comparisons
        else [part for part in PARTS if f'"{_anchor(part)}"' in sections[0]]
    )
    parts += ["Lines"] if shown else []
    counts = evaluations[0].counts
    content = {
        "TITLE": escape(title),
        "STYLE": _resource("page.css"),
        "LINES": f"{counts.lines:,} lines, {counts.characters:,} characters {_text(where)}",
        "LINKS": "".join(f'<a href="#{_anchor(part)}">{part}</a>' for part in parts),
        "VERSION": escape(__version__),
        "SCRIPT": _resource("page.js"),
        "SECTIONS": "\n".join(sections),
        "DATA": embedded({"readers": names, "lines": shown}),
    }
    page = re.sub("%%([A-Z]+)%%", lambda match: content[match[1]], _resource("page.html"))
    write_text_atomically(path, page)
    return Path(path)


def embedded(content: Any) -> str:
    """Write JSON that no text in it can end a script element with."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _resource(name: str) -> str:
    return files("ocrtrain.evaluation.report").joinpath(name).read_text("utf-8")


def _figures(evaluation: Evaluation) -> Iterable[str]:
    counts, reliability = evaluation.counts, evaluation.reliability
    cards = [
        _card("Character error rate", counts.cer, evaluation.interval, _edits(evaluation)),
        _card(
            "Word error rate",
            counts.wer,
            evaluation.wer_interval,
            f"{counts.word_edits:,} edits in {counts.words:,} words",
        ),
        _card(
            "Lines without error",
            counts.line_accuracy,
            evaluation.line_accuracy_interval,
            f"{counts.exact_lines:,} of {counts.lines:,}",
        ),
    ]
    spaces = evaluation.confusions.spaces()
    if spaces.recall is not None and spaces.precision is not None:
        note = f"{spaces.precision:.2%} of the spaces read are right"
        cards.append(_card("Spaces found", spaces.recall, None, note))
    if reliability is not None:
        note = f"by chance {reliability.chance:.2%}; mean confidence {reliability.mean:.1%}"
        cards.append(_card("Calibration error", reliability.ece, None, note))
    yield f'<section aria-label="Figures"><div class="cards">{"".join(cards)}</div></section>'
    where, what, trust, milder = PARTS
    yield _section(where, "".join(_breakdown(evaluation)), "groups")
    yield _section(what, "".join(_confusions(evaluation)), "groups")
    if reliability is not None:
        yield _section(trust, "".join(_confidence(evaluation)), "groups")
    yield _section(milder, _variants(evaluation), "")


def _card(name: str, rate: float, interval: tuple[float, float] | None, note: str) -> str:
    between = "" if interval is None else f"<small>{_between(interval)}</small>"
    return f'<div class="card"><h3>{name}</h3><p class="rate">{rate:.2%}{between}</p><p>{note}</p></div>'


def _between(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.2%} to {interval[1]:.2%}"


def _edits(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    kinds = {"wrong": counts.substitutions, "missing": counts.deletions, "extra": counts.insertions}
    bars = "".join(f'<i class="{kind}" style="flex:{count}"></i>' for kind, count in kinds.items() if count)
    words = ", ".join(f'<span class="key {kind}">{count:,} {kind}</span>' for kind, count in kinds.items())
    return (
        f"{counts.edits:,} edits in {counts.characters:,} characters"
        f'<span class="split" aria-hidden="true">{bars}</span>{words}'
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-").rstrip("?")


def _section(title: str, content: str, kind: str) -> str:
    return f'<section id="{_anchor(title)}"><h2>{title}</h2><div class="{kind}">{content}</div></section>'


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Write a table; cells are HTML, the first of a row names it."""
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<table class="{kind}"><caption>{caption}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"
    )


def _breakdown(evaluation: Evaluation) -> Iterable[str]:
    kinds = {kind: groups for kind, groups in evaluation.groups.items() if len(groups) > 1}
    widest = max((group.interval[1] for groups in kinds.values() for group in groups), default=0.0)
    for kind, groups in kinds.items():
        caption, head = KINDS.get(kind, (f"By {kind}", kind))
        rows = ([_text(group.name), *_group(group, min(widest, 1.0))] for group in groups)
        yield _table(escape(caption), [escape(head), "lines", "CER", "95% interval", "exact"], rows)
    if not kinds:
        yield "<p>All lines are alike in source, script and length.</p>"


def _group(group: Group, widest: float) -> list[str]:
    counts = group.counts
    return [
        f"{counts.lines:,}",
        f"{counts.cer:.2%}",
        _bar(counts.cer, group.interval, widest),
        percent(counts.line_accuracy),
    ]


def _bar(rate: float, interval: tuple[float, float], top: float) -> str:
    """Draw a rate with its interval, on a scale from 0 to `top`."""
    low, middle, high = (min(100 * x / top, 100.0) if top else 0.0 for x in (interval[0], rate, interval[1]))
    says = _between(interval)
    return (
        f'<span class="bar" title="{says}"><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<b style="left:{middle:.1f}%"></b><span class="unseen">{says}</span></span>'
    )


def _confusions(evaluation: Evaluation) -> Iterable[str]:
    confusions = evaluation.confusions
    head = ["truth", "read", "times"]
    for caption, counter in (("Characters", confusions.pairs), ("Strings", confusions.strings)):
        most = sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
        rows = [[_glyphs(truth), _glyphs(read), f"{count:,}"] for (truth, read), count in most]
        if rows:
            yield _table(caption, head, rows, "confusions")
    classes = [[found.name, *_found(found)] for found in confusions.classes()]
    yield _table("Classes of characters", ["class", "in truth", "found", "right of read"], classes)
    missed = [found for found in confusions.characters() if found.truth + found.read > 2 * found.found]
    rows = [
        [f"{_glyphs(found.name)}", character_class(found.name), *_found(found)]
        for found in missed[:CONFUSIONS]
    ]
    if rows:
        yield _table("Characters with most errors", ["", "class", "in truth", "found", "right of read"], rows)


def _found(found: Found) -> list[str]:
    shares = ("–" if share is None else f"{share:.1%}" for share in (found.recall, found.precision))
    return [f"{found.truth:,}", *shares]


def _confidence(evaluation: Evaluation) -> Iterable[str]:
    reliability, fitted = evaluation.reliability, evaluation.fitted
    assert reliability is not None
    text = (
        "Of lines that are read with a confidence of 90%, nine in ten should be exact: the dots should "
        f"lie on the diagonal. Their mean distance from it is the expected calibration error, "
        f"{reliability.ece:.2%} in {len(reliability.bins)} bins of equally many lines; with so few lines, "
        f"chance alone would give {reliability.chance:.2%}."
    )
    if fitted is not None:
        text += (
            f" The confidence was fitted to the {fitted.calibration.lines:,} lines of {_text(fitted.data)}; "
            f"without that (hollow dots) the error is {fitted.before.ece:.2%}."
        )
    before = None if fitted is None else fitted.before
    yield f"<figure>{reliability_plot(reliability, before)}<figcaption>{text}</figcaption></figure>"
    tenth = next(point for point in evaluation.kept if point.share <= 0.9)
    text = (
        "What remains if the least sure lines are put aside, for a person to read. Without "
        f"{1 - tenth.share:.0%} of the lines, the CER of the rest is {tenth.cer:.2%}, and "
        f"{tenth.line_accuracy:.1%} of them are exact."
    )
    yield f"<figure>{reject_plot(evaluation.kept)}<figcaption>{text}</figcaption></figure>"


def _variants(evaluation: Evaluation) -> str:
    rows = []
    for figures in evaluation.variants:
        counts, variant = figures.counts, figures.variant
        rates = [counts.cer, counts.wer if variant.words else None, counts.line_accuracy]
        name = variant.name.replace("_", " ")
        cells = ["–" if rate is None else f"{rate:.2%}" for rate in rates]
        rows.append([f"{name} <small>{escape(variant.rule)}</small>", *cells])
    own = evaluation.counts
    strict = [f"{rate:.2%}" for rate in (own.cer, own.wer, own.line_accuracy)]
    rows.insert(0, ["as above <small>every character counts</small>", *strict])
    return _table(
        "What the figures would be if some things did not matter", ["", "CER", "WER", "exact"], rows
    )


def _comparison(evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison]) -> str:
    top = min(max(e.interval[1] for e in evaluations), 1.0)
    readers = [
        [
            _text(e.name),
            f"{e.counts.cer:.2%}",
            _bar(e.counts.cer, e.interval, top),
            f"{e.counts.wer:.2%}",
            f"{e.counts.line_accuracy:.1%}",
        ]
        for e in evaluations
    ]
    head = ["reader", "CER", "95% interval", "WER", "exact"]
    rows = [
        [_text(c.second), _text(c.first), *(_difference(d) for d in (c.cer, c.wer, c.line_errors))]
        for c in comparisons
    ]
    note = (
        "Differences of the first from the second, with 95% intervals, by paired bootstrap over the lines; "
        "the percentages are how sure it is that the first makes fewer errors."
    )
    pairs = _table(note, ["reader", "against", "CER", "WER", "lines with errors"], rows, "pairs")
    return _section("Which is better?", _table("", head, readers) + pairs, "")


def _difference(difference: Difference) -> str:
    low, high = difference.interval
    sure = max(difference.probability, 1 - difference.probability)
    kind = "sure" if sure > SURE else "unsure"
    return (
        f"{100 * difference.difference:+.2f} <small>{100 * low:+.2f} to {100 * high:+.2f}</small> "
        f'<span class="{kind}">{sureness(difference.probability)}</span>'
    )


def _text(text: str) -> str:
    return f"<bdi>{escape(legible(text))}</bdi>"


def _glyphs(text: str) -> str:
    """Show characters of a confusion, invisible ones by what they are."""
    if not text:
        return '<i class="nothing">nothing</i>'
    shown = "".join("␣" if c == " " else c if c.isprintable() else f"U+{ord(c):04X}" for c in text)
    return f'<bdi class="glyphs">{escape(shown)}</bdi>'
