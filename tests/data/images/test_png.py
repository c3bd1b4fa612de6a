"""Damage anywhere in a PNG shows."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ocrtrain.data.images.png import SIGNATURE, is_whole


def test_every_byte_counts_but_those_behind_the_end() -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10)).save(file, "PNG")
    whole = file.getvalue()
    assert is_whole(whole) and is_whole(whole + b"what follows is of no image at all")
    for place in range(len(SIGNATURE), len(whole)):
        assert not is_whole(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
