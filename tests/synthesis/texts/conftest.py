"""What tests of text sources share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ocrtrain.synthesis.hashed_random import HashedRandom
from ocrtrain.synthesis.texts import TextSource
from ocrtrain.text import Charset


@pytest.fixture
def drawn() -> Callable[..., list[str]]:
    """Open a source and draw some texts from it."""

    def texts(source: TextSource, charset: Charset, count: int = 200) -> list[str]:
        source.open(charset)
        found = [source.draw(HashedRandom(f"test:{i}", 64)) for i in range(count)]
        assert all(0 < len(text) <= source.max_length for text in found)
        assert all(set(text) <= set(charset.symbols) for text in found)
        # In what it promises, one font has every text.
        assert all(any(set(text) <= one for one in source.repertoires()) for text in found[:50])
        return found

    return texts


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a text file and name it."""

    def file(content: str | bytes, name: str = "words.txt") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return file
