"""Samples for a loader to collect into batches, made of the lines of a source."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ocrtrain.data.batches.collate import Sample, Unreadable
from ocrtrain.data.images.augment import Augment
from ocrtrain.data.images.compiled import compiled
from ocrtrain.data.images.ink import is_grey
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.data.lines.sources import LineSource
from ocrtrain.errors import InputError
from ocrtrain.text import Charset


class LineDataset(Dataset):
    """Reads, changes and encodes lines; sample i of epoch e depends on (seed, e, i) alone.

    With a `charset` that lacks a character of a line, the line's labels leave it out: only judged lines,
    whose texts count as they stand, may have such characters.
    """

    def __init__(
        self,
        source: LineSource,
        preprocess: Preprocess,
        charset: Charset,
        augment: Augment | None = None,
        seed: int = 0,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
    ) -> None:
        self.source, self.preprocess, self.charset = source, preprocess, charset
        self.augment, self.seed = augment, seed
        self._chosen = None if indices is None else np.asarray(indices, np.int64)
        self._generator = np.random.Generator(np.random.PCG64(0))
        compiled()  # here, or each worker would do it

    def __len__(self) -> int:
        return len(self.source) if self._chosen is None else len(self._chosen)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Number the source's lines that are used, int64 [lines]."""
        return np.arange(len(self.source)) if self._chosen is None else self._chosen

    def widths(self, epoch: int) -> NDArray[np.float32]:
        """Estimate the columns of each line as the model sees it, its augmentation aside: float32 [lines]."""
        aspects = self.source.widths(epoch)
        return self.preprocess.all_columns(aspects if self._chosen is None else aspects[self._chosen])

    def __getitem__(self, key: tuple[int, int]) -> Sample | Unreadable:
        epoch, position = key
        index = position if self._chosen is None else int(self._chosen[position])
        try:
            line = self.source.line(index, epoch)
        except InputError as error:
            return Unreadable(str(error))
        image = line.image
        if self.augment is not None:
            if self.preprocess.channels == 1 and image.ndim == 3 and is_grey(image):
                image = image[..., 0]  # a third of the work
            image = self.augment(image, self._draws_of(epoch, index), self.preprocess.height)
        text = self.charset.writing.normalize(line.text)
        labels = self.charset.encode_known(text)
        return Sample(self.preprocess(image), labels, text, line.source, self.source.part_of(index))

    def _draws_of(self, epoch: int, index: int) -> np.random.Generator:
        """Give what line `index` of `epoch` draws from, until the next one asks.

        To make a generator takes as long as a tenth of reading an image; to set one anew does not.
        """
        name = blake2b(f"augment:{self.seed}:{epoch}:{index}".encode(), digest_size=32).digest()
        start, step = int.from_bytes(name[:16], "little"), int.from_bytes(name[16:], "little") | 1
        self._generator.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": start, "inc": step},
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._generator
