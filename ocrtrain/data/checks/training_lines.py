"""Stored training lines looked through before they are learned from: what is named, what stops a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtrain.data.checks.screening import printed_bytes, suspects
from ocrtrain.data.checks.texts import Findings, conflicts, inspect
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.stored import FileImages, StoredLines
from ocrtrain.data.settings import CheckSettings
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

log = logging.getLogger(__name__)

CONFLICTS_UP_TO = 200_000  # lines; looking for equal files among more would keep people waiting


@dataclass(frozen=True, slots=True)
class Check:
    """Looks through lines that are to be learned.

    charset: what the model can write.
    preprocess: how wide it sees a line.
    columns_per_frame: of its backbone.
    allowed: what may be left out.
    """

    charset: Charset
    preprocess: Preprocess
    columns_per_frame: int
    allowed: CheckSettings

    def usable(self, source: StoredLines, name: str) -> NDArray[np.int64] | None:
        """Name what is odd in the texts, and give the lines that can be learned (None: all of them).

        name: whose lines they are, for messages. Raises `InputError` for what must not be left out in
        silence.
        """
        widths, texts = source.widths(0), source.originals
        closer = suspects(texts, widths, self.charset, self._all_frames)
        closer = np.union1d(closer, printed_bytes(texts))
        names, those = ([of[i] for i in closer.tolist()] for of in (source.names, texts))
        findings = inspect(names, those, widths[closer], self.charset, self._frames)
        for line in findings.lines():
            log.warning("%s", line)
        if len(source) <= CONFLICTS_UP_TO and isinstance(source.images, FileImages):
            doubles = conflicts(source.images.root, source.names, texts, widths.tolist())
            if doubles.count:
                log.warning("the same image with another text: %s", doubles)
        self._judge(findings, name)
        if not findings.leave_out:
            return None
        usable = np.delete(np.arange(len(source)), closer[findings.leave_out])
        if not len(usable):
            raise InputError(name, "no line is left", "see the reasons above.")
        return usable

    def _judge(self, findings: Findings, name: str) -> None:
        if findings.unknown_lines and not self.allowed.drop_unknown:
            raise InputError(
                "data.charset",
                f"lacks characters of {len(findings.unknown_lines)} training lines (named above)",
                "add them to data.charset (of a model that is trained on: charset=extend),"
                " or set data.drop_unknown=true to train without those lines.",
            )
        if len(findings.too_long_lines) > self.allowed.max_skipped:
            raise InputError(
                name,
                f"{len(findings.too_long_lines)} texts are too long for their images (named above)",
                "correct them, raise data.height, or set "
                f"data.max_skipped={len(findings.too_long_lines)} to train without them.",
            )

    def _frames(self, aspect: float) -> int:
        return -(-self.preprocess.columns(aspect) // self.columns_per_frame)

    def _all_frames(self, aspects: NDArray[np.float32]) -> NDArray[np.int64]:
        return -(-self.preprocess.all_columns(aspects).astype(np.int64) // self.columns_per_frame)
