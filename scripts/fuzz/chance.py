"""What chance does to the bytes of a file, and hostile words in the places of others."""

from __future__ import annotations

import random
import re

from fuzz.hostile import INTEGERS, TOKENS


def flipped(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    changed, count = bytearray(content), rng.choice([1, 1, 1, 2, 8])
    for _ in range(count if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed), f"{count} bits flipped"


def holed(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    start, size = rng.randrange(len(content) + 1), rng.choice([1, 8, 64, 512, 4096])
    end = min(start + size, len(content))
    return content[:start] + bytes(end - start) + content[end:], f"zeros at {start}..{end}"


def truncated(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    end = rng.choice([0, 1, len(content) - 1, len(content) // 2, rng.randrange(len(content) + 1)])
    return content[: max(end, 0)], f"cut to {end} of {len(content)} bytes"


def doubled(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    start, end = sorted((rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    return content[:end] + content[start:], f"bytes {start}..{end} twice"


def shortened(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    start = rng.randrange(len(content) + 1)
    end = min(start + rng.choice([1, 4, 100, 4096]), len(content))
    return content[:start] + content[end:], f"without bytes {start}..{end}"


def numbered(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Put a hostile integer where a header might have one."""
    width, value = rng.choice([1, 2, 4, 8]), rng.choice(INTEGERS)
    near = len(content) if rng.random() < 0.5 else min(len(content), 512)
    start = rng.randrange(near // width + 1) * width
    number = (value % 256**width).to_bytes(width, rng.choice(["little", "big"]))
    return content[:start] + number + content[start + width :], f"{value} in {width} bytes at {start}"


def spliced(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Put a token anywhere."""
    token, start = rng.choice(TOKENS), rng.randrange(len(content) + 1)
    return content[:start] + token + content[start:], f"{token[:40]!r} inserted at {start}"


def worded(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Put a token in the place of a number, a word or a cell."""
    words = list(re.finditer(rng.choice([rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", rb"\w+", rb"[^\t\n,]+"]), content))
    if not words:
        return spliced(rng, content)
    word, token = rng.choice(words), rng.choice(TOKENS)
    return content[: word.start()] + token + content[word.end() :], f"{token[:40]!r} for {word[0][:40]!r}"


def often(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Put a short token in the place of every second number."""
    token = rng.choice([token for token in TOKENS if len(token) < 40])
    changed = re.sub(rb"-?\d+(?:\.\d+)?", lambda word: token if rng.random() < 0.5 else word[0], content)
    return changed, f"{token!r} for every second number"


def lined(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Move, double or drop a line."""
    lines = content.split(b"\n")
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice([0, 1, 1, 2, 1000])):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"\n".join(lines), f"line {line[:40]!r} elsewhere, or not, or often"


def encoded(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Write the text in another encoding, or with other line ends."""
    form = rng.choice(["utf-16", "utf-16-le", "utf-8-sig", "cp1252", "\r"])
    text = content.decode("utf-8", "replace")
    if form == "\r":
        return text.replace("\n", "\r").encode(), "lines that end in CR"
    return text.encode(form, "replace"), f"encoded in {form}"


BINARY_WAYS = (flipped, flipped, flipped, holed, truncated, doubled, shortened, numbered, numbered, spliced)
TEXT_WAYS = (worded, worded, worded, often, spliced, spliced, flipped, truncated, lined, encoded, shortened)
