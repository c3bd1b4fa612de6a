"""Reads what presets say about themselves: the comment at a file's top and that of each setting."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_KEY = re.compile(r"( *)[\"']?([A-Za-z_][\w/@]*)[\"']?:(?:\s|$)")
_TRAILING = re.compile(r"""^(?:[^'"#]|'[^']*'|"[^"]*")*?\s(#.*)$""")


@dataclass(slots=True)
class Documentation:
    """`head` is the text at the top of a file; `comments` are those of its settings, by dotted key."""

    head: str = ""
    package: str | None = None
    comments: dict[str, str] = field(default_factory=dict)


def read(file: Path) -> Documentation:
    """Read the comments of a preset: those above a setting, behind it, and those that go on below it."""
    found = Documentation()
    head: list[str] = []
    above: list[str] = []
    parents: list[tuple[int, str]] = []
    last, at_top = "", True
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text.startswith("# @package"):
            found.package = text.removeprefix("# @package").strip()
        elif text.startswith("#"):
            comment = text[1:].removeprefix(" ")
            if at_top:
                head.append(comment)
            elif last and parents and indent > parents[-1][0] + 2:
                found.comments[last] += f" {comment}"  # goes on below `key: value  # comment`
            else:
                above.append(comment)
        elif match := _KEY.match(line):
            at_top = False
            while parents and parents[-1][0] >= indent:
                parents.pop()
            parents.append((indent, match[2]))
            key = ".".join(name for _, name in parents)
            behind = _TRAILING.match(line)
            last = key if behind else ""
            comment = " ".join(above + ([behind[1][1:].strip()] if behind else []))
            if comment and parents[0][1] not in ("defaults", "hydra"):
                found.comments[key] = comment
            else:
                last = ""
            above = []
        else:
            at_top, last, above = at_top and not head, "", []
    found.head = "\n".join(head).strip("\n")
    return found
