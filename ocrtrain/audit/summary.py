"""An audit as plain text for a terminal, and as plain values for audit.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ocrtrain.audit.audit import Audit, Split
from ocrtrain.audit.doubles import MOST
from ocrtrain.audit.findings import Finding
from ocrtrain.data.images.image import legible
from ocrtrain.evaluation.report.table import visible
from ocrtrain.version import __version__

SHOWN = 3  # examples of a finding
ODD_SHOWN = 15  # characters with something odd about them
BAR = 40  # columns


def format_audit(audit: Audit) -> str:
    """Tell an audit to a reader: the sets side by side, their lengths, odd characters, every finding."""
    rows = [
        ("lines that can be used", [f"{split.lines:,}" for split in audit.splits]),
        ("left out", [f"{split.dropped:,}" for split in audit.splits]),
        ("characters", [f"{sum(c.count for c in split.characters):,}" for split in audit.splits]),
        ("different characters", [f"{len(split.characters):,}" for split in audit.splits]),
        ("height in pixels", [_range(split.heights) for split in audit.splits]),
        ("width in pixels", [_range(split.widths) for split in audit.splits]),
        ("frames that a text needs", [f"{split.frames_used:.0%}" for split in audit.splits]),
    ]
    table = [("", [split.name for split in audit.splits]), *rows]
    widths = [max(len(row[i]) for _, row in table) for i in range(len(audit.splits))]
    out = [
        f"{name:<26}" + "".join(f"{value:>{width + 3}}" for value, width in zip(row, widths, strict=True))
        for name, row in table
    ]
    writing = audit.writing
    out += ["", f"Texts: {writing.normalization}, direction {writing.direction}."]
    out += ["", f"Characters per line ({audit.splits[0].name})", *_bars(audit.splits[0].lengths)]
    out += list(_odd(audit.splits[0]))
    lines = sum(len(split.source) for split in audit.splits)
    if lines > MOST:
        out += ["", f"Nearly equal images were not looked for: there are more than {MOST:,} lines."]
    for severity, heading in (("drop", "Left out"), ("doubt", "Doubtful"), ("note", "Good to know")):
        findings = [finding for finding in audit.findings if finding.severity == severity]
        if findings:
            out += ["", heading]
        for finding in findings:
            out += _told(finding)
    if not audit.findings:
        out += ["", "Nothing to find fault with."]
    return "\n".join(out)


def histogram(lengths: Counter[int], bins: int = 12) -> list[tuple[int, int, int]]:
    """Gather lines by their lengths: (first length, last length, lines), all bins of one width."""
    if not lengths:
        return []
    low, high = min(lengths), max(lengths)
    step = -(-(high - low + 1) // bins)
    edges = range(low, high + 1, step)
    return [(at, at + step - 1, sum(lengths[n] for n in range(at, at + step))) for at in edges]


def as_json(audit: Audit, places: Mapping[str, str]) -> dict[str, Any]:
    """Give an audit as plain values, which docs/audit.md describes; `places` says where each set lies."""
    return {
        "version": __version__,
        "writing": audit.writing.as_dict(),
        "charset": list(audit.charset),
        "flawed": audit.flawed,
        "sets": [
            {
                "name": split.name,
                "source": legible(places[split.name]),
                "lines": split.lines,
                "dropped": split.dropped,
                "characters": sum(c.count for c in split.characters),
                "heights": list(split.heights),
                "widths": list(split.widths),
                "frames_used": split.frames_used,
                "lengths": {str(length): split.lengths[length] for length in sorted(split.lengths)},
                "charset": [
                    {
                        "character": c.character,
                        "code_point": f"U+{ord(c.character):04X}",
                        "name": c.name,
                        "category": c.category,
                        "script": c.script,
                        "count": c.count,
                        "lines": c.lines,
                        "odd": list(c.odd),
                    }
                    for c in split.characters
                ],
            }
            for split in audit.splits
        ],
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.severity,
                "set": finding.split,
                "title": finding.title,
                "advice": finding.advice,
                "count": finding.count,
                "examples": [
                    {"name": legible(e.name), "text": e.text, "detail": e.detail} for e in finding.examples
                ],
            }
            for finding in audit.findings
        ],
    }


def _range(sizes: tuple[float, float, float]) -> str:
    low, middle, high = (f"{size:,.0f}" for size in sizes)
    return low if low == high else f"{low} to {high}, mostly {middle}"


def _bars(lengths: Counter[int]) -> Iterator[str]:
    bins = histogram(lengths)
    most = max((count for _, _, count in bins), default=1)
    for first, last, count in bins:
        yield f"  {first:>4} to {last:<4} {count:>8,}  {'#' * -(-count * BAR // most)}"


def _odd(split: Split) -> Iterator[str]:
    odd = [c for c in split.characters if c.odd]
    if odd:
        yield ""
        yield f"Characters to look at ({split.name})"
    for c in odd[:ODD_SHOWN]:
        shown = " " if "combining mark" in c.odd else c.character
        yield (
            f"  {visible(shown):<3} U+{ord(c.character):04X} {c.name}: "
            f"{c.count:,} in {c.lines:,} lines, {', '.join(c.odd)}"
        )
    if len(odd) > ODD_SHOWN:
        yield f"  and {len(odd) - ODD_SHOWN} more"


def _told(finding: Finding) -> Iterator[str]:
    yield f"  {finding.count:>6,} x {finding.split}: {finding.title} ({finding.advice})"
    for example in finding.examples[:SHOWN]:
        parts = [legible(example.name), visible(example.detail), visible(example.text[:60])]
        yield "             " + "  |  ".join(part for part in parts if part)
