"""Mutations of files: what chance does to bytes, and what somebody does who writes a valid file of nonsense."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.hostile import BOMB, INTEGERS, TOKENS, poke, value_like

sys.set_int_max_str_digits(0)  # of this process, which writes what others are to refuse


@dataclass(frozen=True, slots=True)
class Mutation:
    """What was done to a file. damage: by chance, so that digests and checksums in it cannot fit any more."""

    file: str
    what: str
    damage: bool


def mutate(rng: random.Random, file: Path, name: str) -> Mutation:
    """Mutate `file`, called `name`, in place: its bytes, or its fields with checksums that fit."""
    content = file.read_bytes()
    forge = forgery(file, content)
    if forge is not None and rng.random() < 0.55:
        try:
            changed, what = forge(rng, content)
            file.write_bytes(changed)
            return Mutation(name, what, damage=False)
        except Exception as error:  # values that this format cannot even be written with
            what = f" (not {type(error).__name__})"
    else:
        what = ""
    is_text = b"\0" not in content[:2000]
    draw = rng.choice(TEXT_WAYS if is_text else BINARY_WAYS)
    changed, how = draw(rng, content)
    if changed == content:
        changed, how = truncated(rng, content)
    file.write_bytes(changed)
    return Mutation(name, how + what, damage=True)


# By chance.


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
    text, form = content.decode("utf-8", "replace"), rng.choice(["utf-16", "utf-16-le", "utf-8-sig", "cp1252", "\r"])
    if form == "\r":
        return text.replace("\n", "\r").encode(), "lines that end in CR"
    return text.encode(form, "replace"), f"encoded in {form}"


BINARY_WAYS = (flipped, flipped, flipped, holed, truncated, doubled, shortened, numbered, numbered, spliced)
TEXT_WAYS = (worded, worded, worded, often, spliced, spliced, flipped, truncated, lined, encoded, shortened, doubled)

# On purpose.

Forge = Callable[[random.Random, bytes], tuple[bytes, str]]


def forgery(file: Path, content: bytes) -> Forge | None:
    """What rewrites a file of this format so that its checksums fit; None for a format that has no fields."""
    suffix = file.suffix.lower()
    if suffix == ".ckpt" or file.name.endswith("model.bin"):
        return forge_torch
    if content.startswith(b"PK"):
        return forge_zip
    if content.startswith(b"\x89PNG"):
        return forge_png
    if suffix == ".safetensors" or suffix == ".table":
        return forge_framed
    if suffix == ".tar":
        return forge_tar
    if suffix == ".xml":
        return forge_xml
    if suffix == ".mdb":
        return forge_lmdb
    return forge_json if suffix in (".json", ".jsonl") else None


def forge_json(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    lines = content.decode().splitlines()
    is_lines = len(lines) > 1 and lines[0].endswith("}")
    at = rng.randrange(len(lines)) if is_lines else None
    parsed = [json.loads(content if at is None else lines[at])]
    what = poke(rng, parsed)
    text = json.dumps(parsed[0], ensure_ascii=rng.random() < 0.5, indent=None if is_lines else 2) if parsed else ""
    if at is None:
        return text.encode("utf-8", "surrogatepass"), what
    lines[at] = text
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass"), what


def forge_framed(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Safetensors and our tables: a header in JSON after its length in 8 bytes, then arrays."""
    size = int.from_bytes(content[:8], "little")
    header, what = forge_json(rng, content[8 : 8 + size])
    return len(header).to_bytes(8, "little") + header + content[8 + size :], f"header: {what}"


def forge_torch(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    if rng.random() < 0.15:
        return forge_zip(rng, content)
    import torch

    from fuzz.seals import seal

    whole = torch.load(io.BytesIO(content), weights_only=True)
    if rng.random() < 0.4:
        tensors = [(of, key) for of in _mappings(whole) for key, value in of.items() if torch.is_tensor(value)]
        of, key = rng.choice(tensors)
        of[key], what = _strange_tensor(rng, of[key])
        what = f"{key} {what}"
    else:
        parts = [whole, *(whole[key] for key in ("ocrtrain", "ocrtrain", "ocrtrain") if key in whole)]
        what = poke(rng, rng.choice(parts))
    file = io.BytesIO()
    torch.save(seal(whole), file)
    return file.getvalue(), what


def _mappings(inside: Any) -> list[dict[Any, Any]]:
    if isinstance(inside, dict):
        return [inside, *(each for value in inside.values() for each in _mappings(value))]
    return [each for value in inside for each in _mappings(value)] if isinstance(inside, list) else []


def _strange_tensor(rng: random.Random, old: Any) -> tuple[Any, str]:
    import torch

    match rng.randrange(8):
        case 0:
            return torch.full_like(old, float("nan") if old.is_floating_point() else -1), "of NaN"
        case 1:
            return old * float("inf") if old.is_floating_point() else old * 2**40, "of infinity"
        case 2:
            return torch.zeros(1, dtype=old.dtype).expand(2**20, 2**20), "of 2**40 numbers that are one"
        case 3:
            kind = rng.choice([torch.int64, torch.complex64, torch.bool, torch.float64, torch.bfloat16, torch.uint8])
            return old.to(kind), f"of {kind}"
        case 4:
            return old.to_sparse(), "sparse"
        case 5:
            return old.flatten()[:-1], "flat and one short"
        case 6:
            return torch.empty(0), "empty"
        case _:
            return value_like(rng, 1.0), "no tensor"


def forge_zip(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change one member of an archive; its CRC, and where others lie, are told as they are then."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: (archive.read(info), info.compress_type) for info in archive.infolist()}
    name = rng.choice(list(members))
    inside, kind = members[name]
    match rng.randrange(6):
        case 0:
            del members[name]
            what = f"without {name}"
        case 1:
            members[rng.choice(["../x", "extra.npy", name + name, "\ud7ff"])] = members.pop(name)
            what = f"{name} renamed"
        case 2 if name.endswith(".npy"):
            shape = rng.choice(["(1000000000000,)", "(-1,)", "()", "(2, 2)", "(0,)", "(99999999999999999999,)"])
            head = re.sub(rb"\(\d*,?\)", shape.encode(), inside[10:128]).strip().ljust(117) + b"\n"
            members[name] = (inside[:8] + len(head).to_bytes(2, "little") + head + inside[128:], kind)
            what = f"{name} of shape {shape}"
        case 3 if name.endswith(".npy"):
            members[name], what = (_strange_array(rng, inside), kind), f"{name} with other values"
        case _:
            changed, how = rng.choice(BINARY_WAYS)(rng, inside)
            members[name], what = (changed, kind), f"{name}: {how}"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, (inside, kind) in members.items():
            archive.writestr(zipfile.ZipInfo(name), inside, kind)
    return file.getvalue(), what


def _strange_array(rng: random.Random, inside: bytes) -> bytes:
    import numpy as np

    array = np.load(io.BytesIO(inside))
    array = array.astype(rng.choice([array.dtype, "<f8", "<i8", "<c16", "<U4", "|b1", ">u2", "<f2"]))
    hostile = rng.choice([0, -1, 1, 255, 2**31, 2**62, 1e300, float("nan"), float("inf"), float("-inf")])
    with np.errstate(all="ignore"):
        if array.ndim == 0 or rng.random() < 0.3:
            array = np.full(array.shape, np.array(hostile).astype(array.dtype))
        elif len(array):
            array[rng.randrange(len(array))] = np.array(hostile).astype(array.dtype)
    file = io.BytesIO()
    np.save(file, rng.choice([array, array, array, array[:-1], array[::-1]] if array.ndim else [array]))
    return file.getvalue()


def forge_png(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    chunks, at = [], 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    i = rng.randrange(len(chunks))
    kind, data = chunks[i]
    match rng.randrange(7):
        case 0:
            chunks[i] = (kind, rng.choice(BINARY_WAYS)(rng, data)[0])
        case 1:
            chunks.insert(rng.randrange(1, len(chunks) + 1), chunks.pop(i))
        case 2:
            chunks.insert(1, (rng.choice([b"zTXt", b"iCCP"]), b"k\0\0" + zlib.compress(bytes(10**7))))
        case 3:
            turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + rng.randbytes(1) + b"\0\0\0\0\0\0"
            chunks.insert(1, (b"eXIf", rng.choice([turned, rng.randbytes(40), turned[:9]])))
        case 4:
            chunks[i] = (rng.choice([b"IDAT", b"PLTE", b"tRNS", b"IEND", b"acTL", b"fdAT"]), data)
        case _:
            size = struct.pack(">II", *(rng.choice([*INTEGERS[:10], 30, 20_000]) for _ in range(2)))
            look = bytes(rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255]) for _ in range(5))
            head = chunks[0][1]
            chunks[0] = (b"IHDR", rng.choice([size + head[8:], head[:8] + look]))
    made = content[:8]
    for kind, data in chunks:
        made += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return made, f"chunk {i} and others, with CRCs that fit"


def forge_tar(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        starts = [member.offset for member in tar]
    start = rng.choice(starts)
    header = bytearray(content[start : start + 512])
    sizes = [b"77777777777\0", b"-0000000001\0", b"\x80" + bytes(3) + b"\x7f" * 8, b"\xff" * 12, b"00000000000\0"]
    names = [b"../../x.png", b"/etc/passwd", b"\xff\xfe.txt", b"", b"a/" * 49, b".png", "\u202e.txt".encode()]
    if rng.random() < 0.4:
        header[124:136], what = rng.choice(sizes), "size"
    elif rng.random() < 0.5:
        header[:100], what = rng.choice(names).ljust(100, b"\0"), "name"
    else:
        header[156:157], what = rng.choice([b"1", b"2", b"5", b"6", b"S", b"x", b"g", b"L", b"K", b"\0"]), "type"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return content[:start] + bytes(header) + content[start + 512 :], f"{what} of the member at {start}"


def forge_xml(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    from lxml import etree

    root = etree.fromstring(content)
    elements = [each for each in root.iter() if isinstance(each.tag, str)]
    element = rng.choice(elements)
    name = element.tag.rpartition("}")[2]
    texts = ["nan", "1e400", "-1", "0", "1e5", "999999", "-99999", "9" * 5000, "", " ", "a", "\u202e", "/dev/zero"]
    texts += ["0,0 1,1", "5,5 5,5", "0,0 0,0 0,0", "1,1 " * 60_000, "-9e5,3 9e5,3", "../../etc/passwd", "mm10"]
    match rng.randrange(8):
        case 0 if element.getparent() is not None:
            element.getparent().remove(element)
            what = f"without {name}"
        case 1 if element.getparent() is not None:
            for _ in range(rng.choice([1, 1, 20, 1000])):
                element.addnext(etree.fromstring(etree.tostring(element)))
            what = f"{name} again"
        case 2:
            element.text, what = rng.choice(texts), f"other text in {name}"
        case 3:
            for _ in range(rng.choice([1, 200])):
                element = etree.SubElement(element, element.tag)
            what = f"{name} in {name}"
        case 4:
            element.tag, what = rng.choice(elements).tag, f"{name} is another"
        case 5:
            return content.replace(b"?>", b"?>" + BOMB, 1).replace(b">a", b">&h;", 1), "entities"
        case _ if element.attrib:
            key = rng.choice(list(element.attrib))
            if rng.random() < 0.5:
                numbers = re.findall(r"-?\d+", element.get(key)) or ["0"]
                value = element.get(key).replace(rng.choice(numbers), rng.choice(texts[:8]), 1)
            else:
                value = rng.choice(texts)
            element.set(key, value)
            what = f"{name}.{key} is {value[:40]!r}"
        case _:
            element.set(rng.choice(["points", "WIDTH", "id"]), rng.choice(texts))
            what = f"{name} has one attribute more"
    return etree.tostring(root, xml_declaration=True, encoding=rng.choice(["UTF-8", "UTF-16", "ASCII"])), what


def forge_lmdb(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    import tempfile

    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.mdb").write_bytes(content)
        with lmdb.open(folder, map_size=2**26) as environment, environment.begin(write=True) as transaction:
            keys = [bytes(key) for key in transaction.cursor().iternext(values=False)]
            key = rng.choice([*keys, b"num-samples", b"num-samples", b"ocrtrain-aspects", b"image-999999999999999999"])
            value = rng.choice([*TOKENS, struct.pack("<4f", float("nan"), -1, 0, 1e38), bytes(2**20)])
            transaction.put(key, value)
        return (Path(folder) / "data.mdb").read_bytes(), f"{key!r} is {value[:40]!r}"
