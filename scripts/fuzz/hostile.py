"""What no reader expects: bytes to put into a file, and values to put into its fields."""

from __future__ import annotations

import random
from typing import Any

CANARY = "RUN-BY-A-FILE"  # a folder that appears where a file gets to call something

BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(ord("a"), ord("k")))
    + b"]>"
)

TOKENS: tuple[bytes, ...] = (
    *(b"nan", b"NaN", b"-inf", b"Infinity", b"1e400", b"-1e400", b"1e-400", b"-0.0"),
    *(b"-1", b"0", b"9" * 5000, b"-" + b"9" * 5000, b"1e18", b"1000000000000000000"),
    *(b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"4294967296"),
    *(b"0x10", b"1_000", b"\xd9\xa3\xd9\xa4", b"true", b"null", b'"', b"'", b"\\", b"\\u0000"),
    *(b"${oc.env:HOME}", b"${..charset}", b"{_target_: os.mkdir, path: " + CANARY.encode() + b"}"),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"(" * 20_000, b"<a>" * 5000, b"a{1000}" * 50, b"a" * 200_000),
    *(b"\\ud800", b"\xed\xa0\x80", b"\xff", b"\xc3", b"\0", b"\x1a", b"\x1b[2J", b"\xf4\x8f\xbf\xbf"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xcc\x81" * 2000, b"\xef\xb7\xba"),
    *(b"\r", b"\n", b"\n\n", b"\t", b"\t\t\t", b" ", b",", b"%s%n", b"<U+D800>", b"<U+FFFFFF>"),
    *(b"../../../../etc/passwd", b"/etc/passwd", b"/dev/zero", b".", b"C:\\x", b"file:///etc/passwd"),
    *(BOMB, b"&#0;", b"&#xD800;", b"&a;", b"]]>", b"<!--", b"<?xml version='1.1' encoding='utf-32'?>"),
)

INTEGERS = (0, 1, 127, 128, 255, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)


def nested(depth: int) -> Any:
    """A list in a list in a list, `depth` deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def value_like(rng: random.Random, old: Any) -> Any:
    """Draw a value in the place of `old`: mostly of its own type, since others are refused first."""
    numbers: list[Any] = [0, -1, 1, 2, 3, 255, 2**31, 2**53 + 1, 2**63, 10**18, 10**4400, 1e-320, 1e308, -0.5]
    numbers += [float("nan"), float("inf"), float("-inf"), 0.1]
    texts: list[Any] = ["", " ", "a", "nan", "\ud800", "\0", "a\nb", "\u0301", "x" * 100_000]
    texts += ["${oc.env:HOME}", "${backbone}", "../../etc/passwd", "/dev/zero", "(" * 5000, "\U0010ffff" * 9]
    texts += ["os.mkdir", "ocrtrain.model.encoders.BiLSTMEncoder", "cuda", "1", "none", "NFKC", "rtl"]
    code = {"_target_": "os.mkdir", "path": CANARY}
    others: list[Any] = [None, True, [], {}, [None], {"": None}, {1: 2}, nested(50), [0] * 100_000, code]
    if rng.random() < 0.6:
        if isinstance(old, int | float) and not isinstance(old, bool):
            return rng.choice([*numbers, old + 1, old * 2, -old, old * 1_000_000])
        if isinstance(old, str):
            return rng.choice([*texts, old + old, old[:-1], old.upper()])
        if isinstance(old, list):
            named = dict.fromkeys(map(str, old))
            return rng.choice([[], old * 2, old * 1000, old[::-1], old[:-1], [old], named])
        if isinstance(old, dict):
            return rng.choice([{}, list(old), {**old, "extra": 1}, {"_target_": "os.mkdir", "path": CANARY}])
    return rng.choice(rng.choice([numbers, texts, others, [code, nested(900)]]))


def poke(rng: random.Random, content: Any) -> str:
    """Change one thing somewhere inside of `content`, nested lists and mappings; says what."""
    places: list[tuple[Any, Any]] = []

    def walk(inside: Any) -> None:
        for key in inside if isinstance(inside, dict) else range(len(inside)):
            places.append((inside, key))
            if isinstance(inside[key], dict | list):
                walk(inside[key])

    walk(content)
    if not places:
        return "nothing"
    inside, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del inside[key]
            return f"without {key!r}"
        case 1 if isinstance(inside, dict):
            inside[rng.choice(["", "extra", "_target_", "\ud800", "${a}"])] = inside.pop(key)
            return f"{key!r} renamed"
        case 1:
            inside.insert(key, inside[key])
            return f"item {key} twice"
        case _:
            inside[key] = value_like(rng, inside[key])
            return f"{key!r} is {repr(inside[key])[:60] if inside[key] != 10**4400 else '10**4400'}"
