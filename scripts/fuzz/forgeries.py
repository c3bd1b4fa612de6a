"""Valid files of nonsense: fields are changed, and checksums made to fit, so that they hide no parser."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz.chance import BINARY_WAYS
from fuzz.hostile import BOMB, INTEGERS, TOKENS, poke, value_like

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
    indent, escaped = None if is_lines else 2, rng.random() < 0.5
    text = json.dumps(parsed[0], ensure_ascii=escaped, indent=indent) if parsed else ""
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

    whole = torch.load(io.BytesIO(content), weights_only=True)
    if rng.random() < 0.4:
        mappings = _mappings(whole)
        tensors = [(of, key) for of in mappings for key, value in of.items() if torch.is_tensor(value)]
        of, key = rng.choice(tensors)
        of[key], what = _strange_tensor(rng, of[key])
        what = f"{key} {what}"
    else:
        parts = {key: part for key, part in whole.items() if isinstance(part, dict | list) and part}
        key = rng.choice(["", "ocrtrain", *parts])
        what = f"{key} {poke(rng, parts.get(key, whole))}"
    file = io.BytesIO()
    torch.save(whole, file)
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
            kind = rng.choice([torch.int64, torch.complex64, torch.bool, torch.float64, torch.bfloat16])
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
            shape = rng.choice(["(1000000000000,)", "(-1,)", "()", "(2, 2)", "(0,)", f"({10**20},)"])
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
    sizes = [b"77777777777\0", b"-0000000001\0", b"\x80\0\0\0" + b"\x7f" * 8, b"\xff" * 12, b"0" * 11 + b"\0"]
    names = [b"../../x.png", b"/etc/passwd", b"\xff\xfe.txt", b"", b"a/" * 49, b".png", "\u202e.txt".encode()]
    if rng.random() < 0.4:
        header[124:136], what = rng.choice(sizes), "size"
    elif rng.random() < 0.5:
        header[:100], what = rng.choice(names).ljust(100, b"\0"), "name"
    else:
        header[156], what = rng.choice(b"1256SxgLK\0"), "type"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return content[:start] + bytes(header) + content[start + 512 :], f"{what} of the member at {start}"


def forge_xml(rng: random.Random, content: bytes) -> tuple[bytes, str]:
    from lxml import etree

    root = etree.fromstring(content)
    elements = [each for each in root.iter() if isinstance(each.tag, str)]
    element = rng.choice(elements)
    name = element.tag.rpartition("}")[2]
    texts = ["nan", "1e400", "-1", "0", "1e5", "999999", "-99999", "9" * 5000, "", " ", "a", "\u202e"]
    texts += ["0,0 1,1", "5,5 5,5", "0,0 0,0 0,0", "1,1 " * 60_000, "-9e5,3 9e5,3", "/dev/zero", "mm10"]
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
            keys += [b"num-samples", b"num-samples", b"ocrtrain-aspects", b"image-999999999999999999"]
            key = rng.choice(keys)
            value = rng.choice([*TOKENS, struct.pack("<4f", float("nan"), -1, 0, 1e38), bytes(2**20)])
            transaction.put(key, value)
        return (Path(folder) / "data.mdb").read_bytes(), f"{key!r} is {value[:40]!r}"
