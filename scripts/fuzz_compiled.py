"""Compiled functions with bounds checking, on random and extreme inputs: does any index outside an array?

PYTHONPATH=. python scripts/fuzz_compiled.py [--only NAME] [--count N] [--seed N]

Each is called through the Python that prepares its arrays, as users reach it: that is where what it relies on
must hold. One row for each entry point: the inputs tried, those refused with a message, and those that failed
otherwise, an index out of bounds among them, with the first seed to repeat it by. Exit code 1 if any did.
Compiling with bounds checking takes a minute or two; its results are kept apart from the usual ones.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"ocrtrain-bounds-{os.getuid()}"))

import numpy as np
import torch

from ocrtrain.decoding import BeamDecoder
from ocrtrain.decoding.lm.kneser_ney import build_language_model
from ocrtrain.errors import InputError
from ocrtrain.text import Charset

ROW = "{:<12}{:>8}{:>9}{:>8}  {}"
SIZES = (1, 1, 2, 3, 5, 8, 17, 33, 64)
Random = np.random.Generator


def decode(random: Random) -> None:
    """Search lines of 0 to 64 frames: flat, certain, impossible or not finite; with models and rules."""
    K, N, T = (
        int(random.choice((2, 3, 6, 40))),
        int(random.choice((1, 2, 9))),
        int(random.choice((0, *SIZES))),
    )
    symbols = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMN"[: K - 1]
    scores = random.normal(size=(N, T, K)) * random.choice((0, 1, 10, 1000, 1e30))
    log_probs = torch.tensor(scores, dtype=torch.float32).log_softmax(-1)
    if random.random() < 0.2 and log_probs.numel():
        log_probs.view(-1)[int(random.integers(log_probs.numel()))] = float(
            random.choice([np.nan, np.inf, -np.inf, 1e38])
        )
    text = "\n".join("".join(random.choice(list(symbols), 9)) for _ in range(5)) + "\n"
    settings = {
        "beam_width": int(random.choice((1, 2, 10, 300))),
        "nbest": int(random.choice((0, 1, 50))),
        "symbol_threshold": random.choice((None, 0.0, 0.999)),
        "prefix_threshold": random.choice((None, 0.0, 0.999)),
        "lm": build_language_model(lambda: [text], int(random.integers(1, 5)))
        if random.random() < 0.5
        else None,
        "lm_weight": float(random.choice((0, 0.5, 100))),
        "lm_bonus": float(random.choice((-100, 0, 100))),
        "words": [random.choice((symbols, symbols[0]))] if random.random() < 0.4 else None,
        "words_mode": str(random.choice(("reward", "constrain"))),
        "word_bonus": float(random.choice((-100, 1, 100))),
        "pattern": random.choice((None, None, ".*", ".{3,9}", f"{symbols[0]}+", f"({symbols[0]}|.){{20}}")),
    }
    BeamDecoder(Charset(symbols), threads=1, **settings)(
        log_probs, torch.tensor(random.integers(0, T + 1, N))
    )  # type: ignore[arg-type]


def scale(random: Random) -> None:
    """Scale, change and whiten images from 1 x 1 pixel on."""
    from ocrtrain.data.images import preprocess_numba

    size = int(random.choice(SIZES)), int(random.choice((*SIZES, 3000)))
    image = (random.integers(0, 256, size) * random.choice((0, 1))).astype(np.uint8)
    height, width = int(random.choice(SIZES)), int(random.choice((*SIZES, 900)))
    preprocess_numba.scaled(image, height, width)
    preprocess_numba.ink_on_white(image, float(random.choice((1, 576, 1e9))))
    slopes = random.uniform(-2, 2, 5) * random.choice((0, 1, 100))
    matrix = (float(random.uniform(0.01, 40)), *map(float, slopes))
    gain, deviation = float(random.uniform(0, 9)), float(random.uniform(0, 99))
    seed = np.uint64(random.integers(2**63))
    preprocess_numba.changed(
        image, height, width, matrix, gain, deviation, seed, preprocess_numba.quantiles()
    )


def screen(random: Random) -> None:
    """Hash texts and look for suspects among them, code points from 0 to the last."""
    from ocrtrain.data.checks.screening import suspects
    from ocrtrain.data.lines.strings import Strings

    codes = [0, 10, 32, 97, 0x7F, 0x80, 0x7FF, 0x800, 0x5D0, 0x301, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]
    texts = ["".join(map(chr, random.choice(codes, random.choice((0, *SIZES))))) for _ in range(9)]
    widths = random.uniform(0, 99, len(texts)).astype(np.float32)
    suspects(texts, widths, Charset("a\u05d0 \U0010ffff"), lambda each: each.astype(np.int64))
    Strings.of(texts).hashes()
    suspects([], widths[:0], Charset("a"), lambda each: each.astype(np.int64))


def effects(random: Random) -> None:
    """Apply each effect, with its settings at their limits, to pictures from 1 x 1 pixel on."""
    from ocrtrain.synthesis import effects as known
    from ocrtrain.synthesis.hashed_random import HashedRandom

    names = [name for name in known.__all__ if name not in ("Effect", "Effects", "AnyColours")]
    kind = getattr(known, str(random.choice(names)))
    size = int(random.choice(SIZES)), int(random.choice((*SIZES, 700)))
    channels = (3,) if random.random() < 0.5 else ()
    picture = (random.integers(0, 256, (*size, *channels)) * random.choice((0, 1))).astype(np.uint8)
    settings = {}
    for each in fields(kind):
        if "limits" in each.metadata and random.random() < 0.7:
            end = float(random.choice(each.metadata["limits"]))
            settings[each.name] = end if isinstance(each.default, float | int) else (end, end)
    kind(**settings)(picture, HashedRandom(str(random.integers(2**31))))


def sequences(random: Random) -> None:
    """Run Mamba's and Mamba-2's loops, forwards and backwards, on lines from 0 frames on."""
    from ocrtrain.model.ssm.convolution.dispatch import causal_convolution
    from ocrtrain.model.ssm.gated_norm.norm import GatedRMSNorm
    from ocrtrain.model.ssm.scan.dispatch import selective_scan
    from ocrtrain.model.ssm.ssd.dispatch import state_space_duality

    def draw(*shape: int) -> torch.Tensor:
        return torch.tensor(random.normal(size=shape), dtype=torch.float32, requires_grad=True)

    N, T, D, S = (int(random.choice(sizes)) for sizes in ((1, 3), (1, 2, 65, 130), (1, 2, 9, 40), (1, 3, 16)))
    lengths, reverse = torch.tensor(random.integers(0, T + 1, N)), bool(random.integers(2))
    x, z, A = draw(N, T, D), draw(N, T, D), -draw(D, S).abs()
    delta, B, C, heads = draw(N, T, D).abs(), draw(N, T, S), draw(N, T, S), (draw(2), lengths, reverse)
    steps, decay = draw(N, T, 2).abs(), -draw(2).abs()
    found = [
        selective_scan(x, delta, A, B, C, draw(D), z, lengths=lengths, reverse=reverse),
        causal_convolution(x, draw(D, 1, int(random.integers(1, 6))), draw(D), lengths, reverse),
        GatedRMSNorm(D)(x, z),
        state_space_duality(draw(N, T, 2, D), steps, decay, B[:, :, None], C[:, :, None], *heads),
    ]
    sum(each.sum() for each in found).backward()


ENTRIES: dict[str, Callable[[Random], None]] = {
    each.__name__: each for each in (decode, scale, screen, effects, sequences)
}


def main() -> int:
    """Try all entry points, or one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=ENTRIES)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable()  # that rules allow nothing, and the like
    print(ROW.format("entry", "inputs", "refused", "failed", "first failure"))
    bad = 0
    for name in [given.only] if given.only else ENTRIES:
        refused, failed, first = 0, 0, ""
        for seed in range(given.seed, given.seed + given.count):
            try:
                ENTRIES[name](np.random.default_rng(seed))
            except InputError:
                refused += 1
            except Exception as error:
                if not failed:
                    traceback.print_exc()
                    first = f"seed {seed}: {type(error).__name__}: {error}"[:90]
                failed += 1
        print(ROW.format(name, given.count, refused, failed, first), flush=True)
        bad += failed
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
