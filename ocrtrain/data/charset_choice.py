"""Choice of the charset of a run, and of how its lines run, from settings, texts and the model before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ocrtrain.data.checks.screening import symbols_of
from ocrtrain.data.lines.generated import GeneratedLines
from ocrtrain.data.lines.mixture import Part
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.errors import InputError
from ocrtrain.text import Charset, Writing
from ocrtrain.text.direction import mirrored, runs_right_to_left, settle

log = logging.getLogger(__name__)

_RUNS = {
    "rtl": "texts run from right to left: learned in display order, read in logical order",
    "auto": "lines run as most of their letters do: learned in display order, read in logical order",
}


def choose_charset(
    parts: Sequence[Part], writing: Writing, given: Charset | None, trained: Charset | None = None
) -> Charset:
    """Choose the symbols to learn; with them goes the writing, its direction settled by the texts.

    parts: the training lines.
    writing: as it is set.
    given: a charset that is set; None: that of the training texts.
    trained: of a model that is trained on, which has learned one way of writing already.

    Raises InputError if the charset lacks characters that are drawn.
    """
    plain = replace(writing, direction="none")
    seen = [_characters(part.source, plain) for part in parts]
    if trained is not None:
        writing = trained.writing
    else:
        turns = runs_right_to_left("".join(chain.from_iterable(seen)))
        # Millions of texts are not to be unpacked for what their characters say.
        texts = [*chain.from_iterable(_texts(part.source) for part in parts)] if turns else []
        writing = replace(writing, direction=settle(writing.direction, texts))
    if writing.direction in _RUNS:
        log.info("%s", _RUNS[writing.direction])

    drawn = [_drawn_symbols(p.source, writing) for p in parts if isinstance(p.source, GeneratedLines)]
    chosen = trained if given is None else given.written(writing)
    if chosen is not None:
        known = set(chosen.symbols)
        if missing := [symbol for symbol in chain.from_iterable(drawn) if symbol not in known]:
            raise InputError(
                "data.charset",
                f"lacks characters that are drawn: {''.join(missing)}",
                "add them, or take them out of synthesis.charset.",
            )
        return chosen
    stored = [part.source for part in parts if isinstance(part.source, StoredLines)]
    if not stored and len(drawn) == 1:
        return Charset(drawn[0], writing)
    if writing.direction in ("auto", "rtl"):  # where brackets are learned as they look
        seen = [symbols_of(source.originals, writing) for source in stored]
    return Charset(sorted(set(chain.from_iterable(drawn)).union(*seen)), writing)


def announce_unseen(parts: Sequence[Part], charset: Charset) -> None:
    """Warn of characters of the validation lines `parts` that `charset` lacks."""
    stored = [part.source for part in parts if isinstance(part.source, StoredLines)]
    there = set[str]().union(*(symbols_of(source.originals, charset.writing) for source in stored))
    if unseen := sorted(there - set(charset.symbols)):
        log.warning(
            "validation has characters that training lacks, each will be an error: %s", " ".join(unseen)
        )


def _texts(source: LineSource) -> Sequence[str]:
    """Give what tells how lines run: their texts, or the symbols that are drawn."""
    if isinstance(source, StoredLines):
        return source.originals
    return source.generator.charset.symbols if isinstance(source, GeneratedLines) else ()


def _characters(source: LineSource, writing: Writing) -> set[str]:
    texts = _texts(source)
    return symbols_of(texts, writing) if isinstance(source, StoredLines) else set(texts)


def _drawn_symbols(source: GeneratedLines, writing: Writing) -> tuple[str, ...]:
    symbols = source.generator.charset.symbols
    if writing.direction != "none" and runs_right_to_left("".join(symbols)):
        # As they look in a right-to-left run.
        symbols = tuple(dict.fromkeys([*symbols, *map(mirrored, symbols)]))
    return symbols
