"""Beam search beside fast-ctc-decode and flashlight-text on the same posteriors, and building of n-grams.

PYTHONPATH=. python scripts/bench_decode.py --checkpoint FILE.ckpt --data DIR [--peers PYTHON] [--lm FILE.npz]
PYTHONPATH=. python scripts/bench_decode.py --data DIR --megabytes 100

Posteriors are those of the checkpoint for the lines in DIR, cut into pieces of --frames frames; of its
classes the --classes most used are kept and each frame's sum is made 1 again. --peers is a Python that has
the packages fast-ctc-decode, flashlight-text and kenlm (by default, this one); each peer runs in a process
of its own. Times are seconds of CPU of the whole call, the median of --runs, so that other work on the
machine disturbs them less; --threads measures elapsed time. "worse" counts the lines on which the peer's
text has a lower log P(text | line), summed exactly over alignments, than ours, "better" those with a higher
one; with --lm, ranked as it is in the search.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BEAM_WIDTH = 10
CUT = 1e-4  # fast-ctc-decode's threshold
TOKENS = 20  # flashlight looks at so many symbols of a frame; at all of them it takes twice as long
LM_WEIGHT = 0.5
SAME = 1e-3  # log-probabilities that differ by less are equal
ROW = "{:<44}{:>12}{:>9}{:>8}{:>8}"
PEERS = ("fast-ctc-decode", "flashlight-text")


def measured(work: Callable[[], Any], runs: int, clock: Callable[[], float] = time.process_time) -> float:
    """Median time of a call, after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        begin = clock()
        work()
        times.append(clock() - begin)
    return statistics.median(times)


def collapsed(path: list[int]) -> list[int]:
    before, labels = 0, []
    for label in path:
        if label != before and label != 0:
            labels.append(label)
        before = label
    return labels


def peer(name: str, place: Path, runs: int, with_model: bool) -> None:
    """Run in the peers' Python: read the posteriors in `place`, write times and texts there."""
    log_probs = np.load(place / "log_probs.npy")
    tokens = json.loads((place / "tokens.json").read_text("utf-8"))
    _, T, K = log_probs.shape
    if name == "fast-ctc-decode":
        from fast_ctc_decode import beam_search

        # One character for each class, whatever it is: its results are strings.
        alphabet = [chr(0x4E00 + k) for k in range(K)]
        probs = np.exp(log_probs)

        def read() -> list[list[int]]:
            texts = [
                beam_search(line, alphabet, beam_size=BEAM_WIDTH, beam_cut_threshold=CUT)[0] for line in probs
            ]
            return [[ord(character) - 0x4E00 for character in text] for text in texts]
    else:
        from flashlight.lib.text.decoder import (
            CriterionType,
            LexiconFreeDecoder,
            LexiconFreeDecoderOptions,
            ZeroLM,
        )
        from flashlight.lib.text.dictionary import Dictionary

        options = LexiconFreeDecoderOptions(
            beam_size=BEAM_WIDTH,
            beam_size_token=TOKENS,
            beam_threshold=25,
            lm_weight=LM_WEIGHT * np.log(10) if with_model else 0.0,  # its models count in powers of ten
            sil_score=0,
            log_add=True,
            criterion_type=CriterionType.CTC,
        )
        model = ZeroLM()
        if with_model:
            from flashlight.lib.text.decoder.kenlm import KenLM

            dictionary = Dictionary()
            for k, token in enumerate(tokens):
                dictionary.add_entry(token, k)
            model = KenLM(str(place / "lm.arpa"), dictionary)
        decoder = LexiconFreeDecoder(options, model, -1, 0, [])

        def read() -> list[list[int]]:
            results = [decoder.decode(line.ctypes.data, T, K)[0].tokens for line in log_probs]
            return [collapsed([token for token in tokens if token >= 0]) for tokens in results]

    seconds = measured(read, runs)
    (place / "result.json").write_text(json.dumps({"seconds": seconds, "labels": read()}), "utf-8")


def posteriors(options: argparse.Namespace) -> tuple[np.ndarray, Any]:
    """Log-probabilities [N, frames, classes] of pieces of lines, and a charset of the classes kept."""
    import torch

    from ocrtrain import Recognizer
    from ocrtrain.commands.predict import find_images
    from ocrtrain.decoding import GreedyDecoder
    from ocrtrain.text import Charset

    recognizer = Recognizer.load(options.checkpoint, "cpu")
    greedy, kept = recognizer.decoder, []

    def keep(log_probs: torch.Tensor, lengths: torch.Tensor, widths: Any = None) -> Any:
        kept.extend(line[:length].numpy() for line, length in zip(log_probs, lengths.tolist(), strict=True))
        return greedy(log_probs, lengths, widths)

    recognizer.decoder = keep
    for _ in recognizer.stream_outcomes(find_images(str(options.data))):
        pass
    T, step = options.frames, options.frames
    pieces: list[np.ndarray] = []
    while len(pieces) < options.lines and step > 1:  # overlapping ones, if there are too few lines
        pieces = [line[at : at + T] for line in kept for at in range(0, len(line) - T + 1, step)]
        step //= 2
    log_probs = np.stack(pieces[:: max(1, len(pieces) // options.lines)][: options.lines])
    symbols = np.array(recognizer.description.charset.symbols)
    used = np.exp(log_probs[:, :, 1:]).sum((0, 1))
    best = np.sort(np.argsort(-used)[: options.classes - 1])
    narrowed = torch.from_numpy(log_probs[:, :, [0, *(best + 1)]]).log_softmax(-1)
    assert isinstance(greedy, GreedyDecoder)
    return narrowed.numpy(), Charset(symbols[best].tolist())


def exact(log_probs: np.ndarray, labels: list[list[int]]) -> np.ndarray:
    """log P(text | line) of each line's text, by torch's CTC loss in double precision."""
    import torch

    N, T, _ = log_probs.shape
    targets = torch.tensor([label for line in labels for label in line], dtype=torch.int64)
    lengths = torch.tensor([len(line) for line in labels])
    inputs = torch.from_numpy(log_probs).double().transpose(0, 1)
    return -torch.nn.functional.ctc_loss(inputs, targets, torch.full((N,), T), lengths, 0, "none").numpy()


def compare(options: argparse.Namespace) -> None:
    import torch

    from ocrtrain.decoding import BeamDecoder, GreedyDecoder, LanguageModel
    from ocrtrain.decoding.lm.arpa import token_of, write_arpa
    from ocrtrain.decoding.lm.load import load_language_model

    torch.set_num_threads(1)
    log_probs, charset = posteriors(options)
    N, T, K = log_probs.shape
    tensor, lengths = torch.from_numpy(log_probs), torch.full((N,), T)
    print(f"{N:,} lines of T={T}, K={K}; beam {BEAM_WIDTH}, one thread each; CPU time")
    print(ROW.format("", "lines/s", "ours is", "worse", "better"), flush=True)

    model: LanguageModel | None = (
        None if options.lm is None else load_language_model(options.lm, charset.symbols)
    )

    def score(labels: list[list[int]], fused: bool) -> np.ndarray:
        total = exact(log_probs, labels)
        if fused and model is not None:
            total = total + [LM_WEIGHT * model.log_prob(charset.decode(line)) for line in labels]
        return total

    seconds = measured(lambda: GreedyDecoder(charset)(tensor, lengths), options.runs)
    print(ROW.format("greedy", f"{N / seconds:,.0f}", "", "", ""), flush=True)
    for fused in [False] if model is None else [False, True]:
        what = ", 5-gram" if fused else ""
        settings: dict[str, Any] = {"lm": model, "lm_weight": LM_WEIGHT, "lm_bonus": 0.0} if fused else {}
        decoder = BeamDecoder(charset, BEAM_WIDTH, threads=1, **settings)
        seconds = measured(lambda decoder=decoder: decoder(tensor, lengths), options.runs)
        read = [charset.encode(transcript.text) for transcript in decoder(tensor, lengths)]
        own = score(read, fused)
        print(ROW.format(f"ours{what}", f"{N / seconds:,.0f}", "", "", ""), flush=True)
        for name in PEERS[1:] if fused else PEERS:
            with tempfile.TemporaryDirectory() as place:
                np.save(Path(place, "log_probs.npy"), log_probs)
                tokens = ["<blank>", *map(token_of, charset.symbols)]
                Path(place, "tokens.json").write_text(json.dumps(tokens), "utf-8")
                if fused and model is not None:
                    write_arpa(model, Path(place, "lm.arpa"))
                command = [
                    options.peers,
                    __file__,
                    "--peer",
                    name,
                    "--place",
                    place,
                    "--runs",
                    str(options.runs),
                ]
                ended = subprocess.run(
                    [*command, *(["--fused"] if fused else [])], capture_output=True, text=True
                )
                if ended.returncode:
                    print(f"{name:<44}{ended.stderr.strip().splitlines()[-1]}")
                    continue
                result = json.loads(Path(place, "result.json").read_text("utf-8"))
            theirs = score(result["labels"], fused)
            rate = f"{result['seconds'] / seconds:.1f}x"
            worse, better = int((theirs < own - SAME).sum()), int((theirs > own + SAME).sum())
            print(ROW.format(name + what, f"{N / result['seconds']:,.0f}", rate, worse, better), flush=True)
    if options.threads > 1:
        decoders = [BeamDecoder(charset, BEAM_WIDTH, threads=n) for n in (1, options.threads)]
        times = [
            measured(lambda decoder=decoder: decoder(tensor, lengths), options.runs, time.perf_counter)
            for decoder in decoders
        ]
        print(f"{options.threads} threads: {times[0] / times[1]:.2f} times as fast as one (elapsed time)")


def build(options: argparse.Namespace) -> None:
    """Build a 5-gram from text of some size: words of the data in random order, some letters changed."""
    from ocrtrain.commands.lm_build import lines_of
    from ocrtrain.decoding.lm.kneser_ney import build_language_model

    draws = np.random.default_rng(0)
    words = np.array(" ".join(lines_of(str(options.data))).split())
    letters = np.array(sorted(set("".join(words))))
    with tempfile.TemporaryDirectory() as place:
        text, size = Path(place, "text.txt"), 0
        with text.open("w", encoding="utf-8") as file:
            while size < options.megabytes * 1e6:
                chosen = draws.choice(words, 80_000)
                lines = "\n".join(" ".join(chosen[i : i + 8]) for i in range(0, len(chosen), 8)) + "\n"
                characters = np.array(list(lines))
                places = np.flatnonzero(
                    (draws.random(len(characters)) < 0.01) & ~np.isin(characters, ["\n", " "])
                )
                characters[places] = draws.choice(letters, len(places))
                size += file.write("".join(characters))
        bytes_ = text.stat().st_size
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begin, elapsed = time.process_time(), time.perf_counter()
        model = build_language_model(lambda: lines_of(str(text)), 5)
        seconds, elapsed = time.process_time() - begin, time.perf_counter() - elapsed
        model.save(Path(place, "lm.npz"))
        stored = Path(place, "lm.npz").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"5-gram of {bytes_ / 1e6:.0f} MB: {len(model):,} n-grams, {stored / 1e6:.1f} MB stored")
    print(f"{seconds:.1f} s of CPU ({elapsed:.1f} s elapsed), {peak:,.0f} MiB at most ({before:,.0f} before)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument(
        "--data", type=Path, help="images of lines; with --megabytes, a folder of lines or text"
    )
    parser.add_argument("--peers", default=sys.executable, help="a Python that has the other decoders")
    parser.add_argument(
        "--lm", type=Path, help="a language model of ours, to compare with flashlight's KenLM too"
    )
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=80)
    parser.add_argument("--classes", type=int, default=96)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--megabytes", type=float, default=0.0, help="build a language model of that much text"
    )
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fused", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(options.peer, options.place, options.runs, options.fused)
    elif options.megabytes:
        build(options)
    else:
        compare(options)


if __name__ == "__main__":
    main()
