"""Samples that cannot be used: gathered by reason, judged once, never dropped in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ocrtrain.data.images.image import legible
from ocrtrain.errors import InputError

EXAMPLES = 3
_NAME, _NUMBER = re.compile(r" ?('[^']*'|\"[^\"]*\")"), re.compile(r"\d[\d,.]*")
LONGEST = 2**20  # bytes of a line's text
TOO_LONG = "text of more than 1 MB"
NOT_UTF8 = "text is not UTF-8"
UTF16 = "text is UTF-16, not UTF-8"
SECOND_TEXT = "image listed again with another text"


def text_fault(text: str) -> str | None:
    """Say why `text` cannot be that of one line; None if it can."""
    if not text or text.isspace():
        return "empty text"
    if len(text) > LONGEST:
        return TOO_LONG
    if "\n" in text or "\r" in text:
        return "text of several lines"
    if "\0" in text:
        return "text has NUL bytes (UTF-16?)"
    return None


def undecodable(text: str) -> bool:
    """Tell whether `text` has lone surrogates: bytes that were not UTF-8, or halves of characters in JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def text_of(content: bytes, encoding: str = "utf-8-sig") -> tuple[str, str | None]:
    """Read the text of a line from the bytes of a file or a value, without its line's end; and what is wrong.

    encoding: "utf-8-sig" takes a byte order mark off, which editors put into files; "utf-8" keeps it.
    """
    if len(content) > LONGEST:
        return "", TOO_LONG
    try:
        text = content.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError:
        return "", UTF16 if content.startswith((b"\xff\xfe", b"\xfe\xff")) else NOT_UTF8
    return text, text_fault(text)


def examples(names: Sequence[str]) -> str:
    """Name the first few of `names`, and tell how many more there are."""
    shown = ", ".join(legible(name) for name in names[:EXAMPLES])
    return f"{shown} and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else shown


def by_reason(skipped: Mapping[str, Sequence[str]]) -> list[str]:
    """Write one line per reason, the most frequent first: its count, the reason, a few names.

    Many reasons that differ only in names within quotes and in numbers are one: each was of its own file.
    """
    alike: dict[str, dict[str, Sequence[str]]] = {}
    for reason, names in skipped.items():
        if names:
            alike.setdefault(_NUMBER.sub("...", _NAME.sub("", reason)), {})[reason] = names
    merged: dict[str, Sequence[str]] = {}
    for general, reasons in alike.items():
        if len(reasons) > EXAMPLES:
            merged[general] = [name for names in reasons.values() for name in names]
        else:
            merged |= reasons
    most_first = sorted(merged.items(), key=lambda r: -len(r[1]))
    return [f"{len(names)} x {reason}: {examples(names)}" for reason, names in most_first]


def check_skipped(
    skipped: Mapping[str, Sequence[str]], max_skipped: int, where: str, setting: str = "data.max_skipped"
) -> str | None:
    """Let at most `max_skipped` samples be left out.

    skipped: names of samples, by reason.
    where: whose samples they are, for messages.
    setting: the one that allows it.

    Returns a notice with a line per reason, None if there is nothing to tell. Raises one `InputError` about
    all of them when there are more.
    """
    count = sum(len(names) for names in skipped.values())
    if count > max_skipped:
        allowance = f"; {setting}={max_skipped} allows fewer" if max_skipped else ""
        raise InputError(
            where,
            "\n    ".join([f"{count} samples cannot be used{allowance}", *by_reason(skipped)]),
            f"mend them, or set {setting}={count} to go on without them.",
        )
    return "\n".join(f"{where}: left out {line}" for line in by_reason(skipped)) or None
