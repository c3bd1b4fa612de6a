"""Mutations of files: by chance, as disks and copies do it, or on purpose."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path

from fuzz.chance import BINARY_WAYS, TEXT_WAYS, truncated
from fuzz.forgeries import forgery


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
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)  # while that is written which a reader, with the limit, is to refuse
        try:
            changed, what = forge(rng, content)
            file.write_bytes(changed)
            return Mutation(name, what, damage=False)
        except Exception as error:  # values that this format cannot even be written with
            what = f" (not {type(error).__name__})"
        finally:
            sys.set_int_max_str_digits(limit)
    else:
        what = ""
    is_text = b"\0" not in content[:2000]
    draw = rng.choice(TEXT_WAYS if is_text else BINARY_WAYS)
    changed, how = draw(rng, content)
    if changed == content:
        changed, how = truncated(rng, content)
    file.write_bytes(changed)
    return Mutation(name, how + what, damage=True)
