"""An audit as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from html import escape

from PIL import Image

from ocrtrain.audit.audit import Audit, Split
from ocrtrain.audit.findings import Example, Finding
from ocrtrain.audit.summary import histogram
from ocrtrain.data.images.image import legible
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.errors import InputError
from ocrtrain.evaluation.report.table import visible
from ocrtrain.text.direction import base_direction
from ocrtrain.version import __version__

HEIGHT, WIDTH = 48, 900  # the largest thumbnail, in pixels
HEADINGS = {"drop": "Left out", "doubt": "Doubtful", "note": "Good to know"}

STYLE = """
:root { color-scheme: light dark; --rule: #8884; --pale: #888; --bar: #4a7ebb; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; }
th { font-weight: 600; border-bottom: 1px solid var(--rule); } td.n, th.n { text-align: right; }
.pale { color: var(--pale); } .line { border-top: 1px solid var(--rule); padding: .5rem 0; }
.line img { max-width: 100%; display: block; background: #fff; margin-bottom: .2rem; }
.text { font-size: 1.1rem; unicode-bidi: isolate; overflow-wrap: anywhere; }
.text { display: block; width: fit-content; white-space: pre-wrap; }
.bar { background: var(--bar); height: .8rem; min-width: 1px; }
.drop { color: #c0392b; } .doubt { color: #b9770e; }
details { margin: .6rem 0; } summary { cursor: pointer; }
"""


def page(audit: Audit) -> str:
    """Write the page: figures, every finding with pictures of its lines, lengths, tables of characters.

    Whatever comes from texts and file names is escaped, and the page may load and run nothing.
    """
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy"'
            " content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width">',
            f"<title>Audit</title><style>{STYLE}</style></head><body>",
            "<h1>What training would see</h1>",
            *_figures(audit),
            *_findings(audit),
            *(part for split in audit.splits for part in _lengths(split)),
            *(part for split in audit.splits for part in _characters(split)),
            f'<p class="pale">ocrtrain {escape(__version__)}</p></body></html>\n',
        ]
    )


def _figures(audit: Audit) -> Iterator[str]:
    yield "<table><tr><th></th>"
    yield from (f'<th class="n">{escape(split.name)}</th>' for split in audit.splits)
    yield "</tr>"
    rows = {
        "lines that can be used": [f"{split.lines:,}" for split in audit.splits],
        "left out": [f"{split.dropped:,}" for split in audit.splits],
        "characters": [f"{sum(c.count for c in split.characters):,}" for split in audit.splits],
        "different characters": [f"{len(split.characters):,}" for split in audit.splits],
        "height, smallest / median / largest": [_sizes(split.heights) for split in audit.splits],
        "width": [_sizes(split.widths) for split in audit.splits],
        "share of the frames that a text needs, median": [f"{s.frames_used:.0%}" for s in audit.splits],
    }
    for name, values in rows.items():
        yield f"<tr><td>{name}</td>" + "".join(f'<td class="n">{value}</td>' for value in values) + "</tr>"
    yield "</table>"
    yield f"<p>Texts in {audit.writing.normalization}, direction {audit.writing.direction}.</p>"


def _findings(audit: Audit) -> Iterator[str]:
    splits = {split.name: split for split in audit.splits}
    if not audit.findings:
        yield "<h2>Nothing to find fault with</h2>"
    for severity, heading in HEADINGS.items():
        findings = [finding for finding in audit.findings if finding.severity == severity]
        if findings:
            yield f'<h2 class="{severity}">{heading}</h2>'
        for finding in findings:
            yield from _finding(finding, splits)


def _finding(finding: Finding, splits: Mapping[str, Split]) -> Iterator[str]:
    opened = "" if finding.severity == "note" else " open"
    yield f"<details{opened}><summary><b>{finding.count:,}</b> in {escape(finding.split)}: "
    yield f'{escape(visible(finding.title))} <span class="pale">({escape(finding.advice)})</span></summary>'
    yield from (_line(example, finding.split, splits) for example in finding.examples)
    if finding.count > len(finding.examples):
        yield f'<p class="pale">and {finding.count - len(finding.examples):,} more</p>'
    yield "</details>"


def _line(example: Example, name: str, splits: Mapping[str, Split]) -> str:
    split = splits[name]
    shown = [(name, example.index), *([example.other] if example.other else [])]
    picture = "".join(thumbnail(splits[place].source, index) for place, index in shown if index >= 0)
    direction = base_direction(example.text, split.writing.direction)
    text = f'<span class="text" dir="{direction}">{escape(visible(example.text))}</span>'
    return (
        f'<div class="line">{picture}{text if example.text else ""}'
        f'<span class="pale">{escape(visible(legible(example.name)))}</span> '
        f'<bdi dir="ltr">{escape(visible(example.detail))}</bdi></div>'
    )


def thumbnail(source: LineSource, index: int) -> str:
    """Draw a line of a set as an image within the page; empty if it cannot be read."""
    try:
        picture = Image.fromarray(source.line(index, 0).image).convert("L")
    except InputError:
        return ""
    width = picture.width
    picture.thumbnail((WIDTH, HEIGHT))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=70)
    data = base64.b64encode(written.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="line of {width} pixels" loading="lazy">'


def _lengths(split: Split) -> Iterator[str]:
    bins = histogram(split.lengths)
    most = max((count for _, _, count in bins), default=1)
    yield f"<h2>Characters per line, {escape(split.name)}</h2><table>"
    for first, last, count in bins:
        share = 100 * count / most
        yield f'<tr><td class="n">{first} to {last}</td><td class="n">{count:,}</td>'
        yield f'<td style="width:30rem"><div class="bar" style="width:{share:.1f}%"></div></td></tr>'
    yield "</table>"


def _characters(split: Split) -> Iterator[str]:
    yield f"<h2>Characters, {escape(split.name)}</h2><details><summary>{len(split.characters):,} of them"
    yield '</summary><table><tr><th></th><th></th><th>name</th><th>script</th><th class="n">count</th>'
    yield '<th class="n">lines</th><th></th></tr>'
    for c in split.characters:
        # A mark needs a letter to stand on; a dotted circle is the usual one.
        shown = ("\u25cc" if "combining mark" in c.odd else "") + c.character
        yield (
            f"<tr><td><bdi>{escape(visible(shown))}</bdi></td><td>U+{ord(c.character):04X}</td>"
            f'<td>{escape(c.name)}</td><td>{escape(c.script or "")}</td><td class="n">{c.count:,}</td>'
            f'<td class="n">{c.lines:,}</td><td>{escape(", ".join(c.odd))}</td></tr>'
        )
    yield "</table></details>"


def _sizes(sizes: tuple[float, float, float]) -> str:
    return " / ".join(f"{size:,.0f}" for size in sizes)
