"""What steers decoding: language models, patterns, words, alphabets; and texts that models are made of."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fuzz.kind import Kind

SYMBOLS = "abcdefgh 0123456789.,é"
TEXT = "abc def hag\nbad cab 12.5 gé\nhead, fad 0.3\na bad hag had a cab\n" * 3


@cache
def charset() -> Any:
    from ocrtrain.text import Charset

    return Charset(SYMBOLS)


@cache
def log_probs() -> Any:
    """Two lines of 12 frames."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 12, len(SYMBOLS) + 1, generator=generator).mul(3).log_softmax(-1)


def decoded(**settings: Any) -> list[Any]:
    import torch

    from ocrtrain.decoding import BeamDecoder

    decoder = BeamDecoder(charset(), threads=1, nbest=2, **settings)
    transcripts = decoder(log_probs(), torch.tensor([12, 7]))
    return [(t.text, t.confidence, [(n.text, n.score) for n in t.nbest]) for t in transcripts]


def make_model(folder: Path, name: str) -> None:
    from ocrtrain.decoding.lm.kneser_ney import build_language_model
    from ocrtrain.decoding.lm.load import save_language_model

    model = build_language_model(lambda: [TEXT], 3)
    model.weight, model.bonus = 0.7, 0.2
    save_language_model(model, folder / "case" / name)


def load_model(case: Path, fixed: Path) -> object:
    """Read with the model, and write it in both formats, as `lm convert` does."""
    from ocrtrain.decoding.lm.load import load_language_model, save_language_model

    (file,) = case.iterdir()
    model = load_language_model(file, SYMBOLS)
    levels = [(lv.parent, lv.symbol, lv.log_prob, lv.backoff) for lv in model.levels]
    read = decoded(lm=model), model.log_prob("a bad cab"), model.weight, model.bonus
    for suffix in ("npz", "arpa"):
        save_language_model(model, case / f"again.{suffix}")
        again = load_language_model(case / f"again.{suffix}", SYMBOLS)
        assert len(again) == len(model), f"{len(model)} n-grams became {len(again)} in {suffix}"
    return model.symbols, levels, read


def make_kenlm(folder: Path) -> None:
    """The beginning of KenLM's binary format, of which few have a writer."""
    sanity = bytes(4) + b"\0\0\x80?\0\0\0\xbf" + bytes(4) + b"\x01\0\0\0\xff\xff\xff\xff"
    head = b"mmap lm http://kheafield.com/code format version 5\n\0".ljust(56, b"\0") + sanity
    write(folder / "case/lm.binary", head + bytes([3, 0, 0, 0]) + bytes(2000))


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def build(case: Path, fixed: Path) -> object:
    """Make a language model of a text."""
    from omegaconf import OmegaConf

    from ocrtrain.commands.lm_build import run

    settings = {"text": str(case / "text.txt"), "output": str(case / "lm.npz"), "order": 3}
    run(OmegaConf.create({**settings, "normalization": "NFC", "direction": "auto"}))
    return (case / "lm.npz").read_bytes()


def draw(case: Path, fixed: Path) -> object:
    """Draw texts out of a file, as `generate texts=corpus` does."""
    from ocrtrain.synthesis.hashed_random import HashedRandom
    from ocrtrain.synthesis.texts.corpus import Lines
    from ocrtrain.text import Charset

    source = Lines(files=str(case / "text.txt"))
    known = Charset(sorted(source.symbols()))
    source.open(known)
    return known.symbols, [str(source.draw(HashedRandom(str(number)))) for number in range(4)]


def pattern(case: Path, fixed: Path) -> object:
    text = (case / "pattern.txt").read_bytes().decode("utf-8", "surrogateescape")
    return decoded(pattern=text), decoded(alphabet=text)


def choice(case: Path, fixed: Path) -> object:
    from ocrtrain.text.alphabets import charset_of

    return charset_of(f"@{case / 'charset.txt'}").symbols


def words(case: Path, fixed: Path) -> object:
    file = str(case / "words.txt")
    return decoded(words=file), decoded(words=file, words_mode="constrain")


PATTERN = rb"([a-c]{2,4}|\d+[^a-e]|(ab?c*)+)[.,]?\w{3}"

KINDS = {
    "lm npz": Kind(lambda folder: make_model(folder, "lm.npz"), load_model, 10, (".npz",), True),
    "lm arpa": Kind(lambda folder: make_model(folder, "lm.arpa"), load_model, 8, cut_shows=True),
    "lm kenlm": Kind(make_kenlm, load_model, 1, readable=False),
    "lm text": Kind(lambda folder: write(folder / "case/text.txt", TEXT.encode()), build, 2),
    "corpus": Kind(lambda folder: write(folder / "case/text.txt", TEXT.encode()), draw, 2),
    "pattern": Kind(lambda folder: write(folder / "case/pattern.txt", PATTERN), pattern, 4),
    "charset": Kind(lambda folder: write(folder / "case/charset.txt", SYMBOLS.encode()), choice, 2),
    "words": Kind(lambda folder: write(folder / "case/words.txt", TEXT.encode()), words, 3),
}
