"""The texts in a user's files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ocrtrain.errors import InputError
from ocrtrain.text import Charset, normalize
from ocrtrain.text.charset import describe


class TextFiles:
    """The lines that are not blank of UTF-8 text files, and of all *.txt in folders, in order.

    Lines are NFC, without the spaces at their ends, and with one space wherever there are spaces or tabs: a
    picture shows neither. `digest` tells the contents apart.
    """

    def __init__(self, files: str | Sequence[str] | None, what: str) -> None:
        places = [files] if isinstance(files, str) else list(files or ())
        if not places:
            raise InputError(what, "no text file is named", "name one: synthesis.words=FILE.")
        digest = hashlib.sha256()
        lines: list[str] = []
        for path in (file for place in places for file in _files(Path(place).expanduser(), what)):
            content = _read(path, what)
            digest.update(content + b"\n")
            try:
                decoded = content.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = content.count(b"\n", 0, error.start) + 1
                raise InputError(str(path), f"line {line} is not UTF-8", "save the file as UTF-8.") from None
            lines += (text for line in decoded.splitlines() if (text := " ".join(normalize(line).split())))
        if not lines:
            raise InputError(", ".join(places), "has no text in it", "give one text a line.")
        self.name, self.lines, self.digest = ", ".join(places), tuple(lines), digest.hexdigest()

    def check(self, charset: Charset) -> None:
        """Raise `InputError` if the charset lacks characters of the texts, with the first text of each."""
        lacking = sorted(set().union(*self.lines) - set(charset.symbols))
        if lacking:
            examples = (
                f"{describe(c)} in {next(line for line in self.lines if c in line)[:60]!r}"
                for c in lacking[:5]
            )
            more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            raise InputError(
                self.name,
                "the charset lacks " + ", ".join(examples) + more,
                "add them to synthesis.charset, or take those of the texts with synthesis.charset=null.",
            )


def _files(path: Path, what: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    if not (files := sorted(path.rglob("*.txt"))):
        raise InputError(f"{what}={path}", "the folder has no .txt file", "name text files, or their folder.")
    return files


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{what}={path}", error.strerror or str(error), "name a text file with one text a line."
        ) from None
