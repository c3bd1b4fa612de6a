"""Real lines: images on disk with their texts."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtrain.data.image import Channels, image_size, legible, read_image
from ocrtrain.data.line import Line
from ocrtrain.data.pairing import NOT_UTF8, Pairs, find_pairs
from ocrtrain.data.skipped import by_reason
from ocrtrain.errors import InputError
from ocrtrain.text.normalization import normalize

THREADS = 8  # they hide a network disk's latency; on a local disk one would do
CHUNK = 64  # files per task: a task for every file would cost more than reading its header


class FolderSource:
    """The lines at `path`: a folder of pairs, a list file of images, or a labels file (see `pairing`).

    All texts and image headers are read at once, the images themselves when asked for. What cannot be used is
    in `skipped`, by reason; `enforce` judges it. `names` are the images' paths under `root`, `originals` the
    texts as written, line end aside. A folder is sorted by path, a file keeps its order.
    Raises `InputError` if there is no such path, or no sample at all that can be used.
    """

    def __init__(self, path: str | os.PathLike[str], channels: Channels = 1) -> None:
        pairs = find_pairs(path)
        self.root, self.channels = pairs.root, channels
        self.names: list[str] = []
        self.originals: list[str] = []
        aspects: list[float] = []
        for name, seen in zip(pairs.names, _look_at_all(pairs), strict=True):
            if isinstance(seen, str):
                pairs.skipped[seen].append(name)
            else:
                self.names.append(name)
                self.originals.append(seen[0])
                aspects.append(seen[1])
        self.skipped: dict[str, list[str]] = dict(pairs.skipped)
        if not self.names:
            raise InputError(
                legible(path),
                "\n    ".join(["has no line that can be used", *by_reason(self.skipped)]),
                "give images with a text each: NAME.gt.txt beside NAME.png, or a labels.txt beside images/.",
            )
        self._aspects = np.array(aspects, dtype=np.float32)
        self._aspects.flags.writeable = False  # it is handed out, not copied

    def __len__(self) -> int:
        return len(self.names)

    def line(self, index: int, epoch: int) -> Line:
        """Read line `index`, the same in every epoch; raises `InputError` if its image is damaged."""
        path = os.path.join(self.root, self.names[index])
        return Line(read_image(path, self.channels), self.originals[index], path)

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Tell every line's width at height 1, float32 [lines], read-only."""
        return self._aspects

    def texts(self) -> list[str]:
        """List all texts in NFC."""
        return [normalize(text) for text in self.originals]


def _look_at_all(pairs: Pairs) -> list[tuple[str, float] | str]:
    def look(start: int) -> list[tuple[str, float] | str]:
        stop = start + CHUNK
        return [
            _look(pairs, *pair) for pair in zip(pairs.names[start:stop], pairs.texts[start:stop], strict=True)
        ]

    # Pillow's warning of large images comes before our refusal of them; one of the two is enough.
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return list(chain.from_iterable(pool.map(look, range(0, len(pairs.names), CHUNK))))


def _look(pairs: Pairs, name: str, text: str) -> tuple[str, float] | str:
    """Return a sample's text and aspect ratio, or the reason why it cannot be used."""
    try:
        if pairs.in_files:
            with open(os.path.join(pairs.root, text), "rb") as file:
                text = file.read().decode("utf-8-sig").rstrip("\r\n")
        if not text or text.isspace():
            return "empty text"
        if "\n" in text or "\r" in text:
            return "text of several lines"
        width, height = image_size(os.path.join(pairs.root, name))
    except UnicodeDecodeError:
        return NOT_UTF8
    except OSError as error:
        return f"text cannot be opened ({error.strerror})"
    except InputError as error:
        return error.why
    return text, width / height
