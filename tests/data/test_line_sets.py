"""Training and validation lines of a run: what is opened, checked, left out and kept aside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ocrtrain.data import GeneratedLines, LineSets, build_line_sets
from ocrtrain.data.batches.collate import Sample
from ocrtrain.data.images.image import as_pixels
from ocrtrain.errors import InputError
from ocrtrain.synthesis import build_generator
from ocrtrain.text import Charset, Writing


@pytest.fixture
def folder(draw_lines: Callable[..., Path], tmp_path: Path) -> str:
    return str(draw_lines(tmp_path / "lines", count=20))


def opened(*sources: Any, **settings: Any) -> LineSets:
    """Open lines; sources: what to train on, and to validate on."""
    data = build_line_sets(**dict(zip(("train", "val"), sources, strict=False)), **settings)
    data.open(columns_per_frame=4)
    return data


def refusal(*sources: Any, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        opened(*sources, **settings)
    return str(caught.value)


def generated(charset: str = "abc", lines: int = 8, **settings: Any) -> GeneratedLines:
    return GeneratedLines(build_generator(charset=charset, fonts=["bundled"]), lines, **settings)


def test_the_charset_is_that_of_the_training_texts(folder: str) -> None:
    assert opened(folder).charset == Charset(" abcä")
    assert opened(folder, charset="zäcba ").charset == Charset("zäcba ")
    assert opened(generated("cab")).charset == Charset("cab")


@pytest.mark.parametrize(("holdout", "kept"), [(0.05, 1), (0.25, 5), (0.99, 19), (0.001, 1)])
def test_a_share_is_kept_aside(folder: str, holdout: float, kept: int) -> None:
    data = opened(folder, holdout=holdout)
    aside, rest = set(data.val_set.indices.tolist()), set(data.train_set.indices.tolist())
    assert len(aside) == kept and not aside & rest and aside | rest == set(range(20))
    again = opened(folder, holdout=holdout)
    assert set(again.val_set.indices.tolist()) == aside
    assert data.batches_per_epoch == -(-len(rest) // 16)


def test_what_is_kept_aside_is_judged_as_it_is(folder: str) -> None:
    from ocrtrain.data import Augment

    data = opened(folder, augment=Augment(), seed=1)
    assert data.train_set.augment is not None and data.val_set.augment is None


def test_another_seed_keeps_others_aside(folder: str) -> None:
    aside = {tuple(opened(folder, holdout=0.3, seed=seed).val_set.indices.tolist()) for seed in range(4)}
    assert len(aside) > 1


def test_validation_lines_of_their_own(
    folder: str, draw_lines: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    val = draw_lines(tmp_path / "val", count=3, symbols="abq")
    with caplog.at_level(logging.INFO):
        data = opened(folder, str(val))
    assert (len(data.train_set), len(data.val_set)) == (20, 3)
    assert "validation has characters that training lacks, each will be an error: q" in caplog.text
    assert "20 training and 3 validation lines, 5 characters in the charset" in caplog.text


def test_one_line_cannot_be_shared(draw_lines: Callable[..., Path], tmp_path: Path) -> None:
    folder = str(draw_lines(tmp_path / "one", count=1))
    assert "data.val=DIR" in refusal(folder)
    assert len(opened(folder, folder).train_set) == 1


def test_unknown_characters_stop_the_run_or_are_left_out(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        message = refusal(folder, charset="abc ")
    assert "data.charset: lacks characters of" in message and "data.drop_unknown=true" in message
    assert "'ä' (U+00E4 LATIN SMALL LETTER A WITH DIAERESIS)" in caplog.text
    data = opened(folder, charset="abc ", drop_unknown=True)
    texts = [data.train_set.source.line(int(i), 0).text for i in data.train_set.indices]
    assert texts and not any("ä" in text for text in texts)
    assert "no line is left" in refusal(folder, charset="q", drop_unknown=True)


def test_texts_too_long_for_their_frames(folder: str) -> None:
    (Path(folder) / "00.gt.txt").write_text("a" * 200)
    message = refusal(folder)
    assert "1 texts are too long" in message and "data.max_skipped=1" in message
    data = opened(folder, max_skipped=1)
    assert 0 not in [*data.train_set.indices.tolist(), *data.val_set.indices.tolist()]


def test_samples_that_cannot_be_used(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    (Path(folder) / "03.gt.txt").write_text("")
    (Path(folder) / "04.gt.txt").unlink()
    assert "2 samples cannot be used" in refusal(folder)
    with caplog.at_level(logging.WARNING):
        data = opened(folder, max_skipped=2)
    assert len(data.train_set) + len(data.val_set) == 18
    assert "03.png" in caplog.text and "04.png" in caplog.text


def test_colours_are_seen_as_a_reader_sees_them(tmp_path: Path) -> None:
    """Red on green of the same brightness: as grey, nothing could be read."""
    folder = tmp_path / "coloured"
    folder.mkdir()
    image = Image.new("RGB", (90, 40), (0, 118, 0))
    ImageDraw.Draw(image).text((6, 2), "abc", fill=(231, 0, 0), font_size=30)
    image.save(folder / "a.png")
    (folder / "a.gt.txt").write_text("abc")
    data = opened(str(folder), str(folder))
    seen = data.train_set[0, 0]
    assert isinstance(seen, Sample)
    assert np.array_equal(seen.pixels, data.preprocess(as_pixels(folder / "a.png", 3)))
    assert seen.pixels.min() < 30 and np.median(seen.pixels) == 255


def test_a_charset_that_lacks_what_is_drawn_is_refused() -> None:
    assert "lacks characters that are drawn: bc" in refusal(generated("abc"), charset="axy")
    assert opened(generated("abc"), charset="cbazy").charset == Charset("cbazy")


def test_generated_lines_are_new_each_epoch_unless_fixed() -> None:
    lines, fixed = generated(seed=4), generated(seed=4, fixed=True)
    texts = {epoch: [lines.line(i, epoch).text for i in range(8)] for epoch in (0, 1)}
    assert texts[0] != texts[1]
    for epoch in (0, 1):
        assert [fixed.line(i, epoch).text for i in range(8)] == texts[0]
        for source in (lines, fixed):
            images = [source.line(i, epoch).image for i in range(8)]
            drawn = [i.shape[1] / i.shape[0] for i in images]
            assert source.widths(epoch).tolist() == pytest.approx(drawn, rel=0.2)
    assert lines.line(3, 1).source == "generated:4:1:3"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"holdout": 1.0}, "data.holdout=1.0"),
        ({"holdout": 0}, "data.holdout=0"),
        ({"workers": -1}, "data.workers=-1"),
        ({"charset": "aa"}, "charset: has symbols twice"),
        ({"height": 0}, "data.height=0"),
        ({"height": 1025}, "data.height=1025"),
        ({"channels": 2}, "data.channels=2"),
        ({"max_skipped": True}, "data.max_skipped=True"),
        ({"drop_unknown": 1}, "data.drop_unknown=1"),
        ({"wieght": 1}, "data.wieght: is not a setting"),
    ],
)
def test_settings_without_sense_are_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"^{named}"):
        build_line_sets(train="nowhere", **settings)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "nowhere")).startswith(f"{tmp_path / 'nowhere'}: does not exist")


def test_right_to_left_lines_are_labelled_as_they_look(
    draw_lines: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = draw_lines(tmp_path / "hebrew", count=4)
    for i in range(4):
        (folder / f"{i:02}.gt.txt").write_text("\u05d0\u05d1(1", encoding="utf-8")
    with caplog.at_level(logging.INFO):
        data = opened(str(folder), str(folder))
    assert data.charset.writing == Writing("NFC", "rtl") and "from right to left" in caplog.text
    assert "".join(data.charset.symbols) == ")1\u05d0\u05d1"  # the bracket as it looks
    sample = data.train_set[0, 0]
    assert isinstance(sample, Sample)
    assert [data.charset.symbols[label - 1] for label in sample.labels] == list("1)\u05d1\u05d0")
    assert sample.text == "\u05d0\u05d1(1"
    kept = opened(str(folder), str(folder), direction="none")
    assert [kept.charset.symbols[i - 1] for i in kept.train_set[0, 0].labels] == list("\u05d0\u05d1(1")


def test_generated_brackets_can_be_drawn_mirrored() -> None:
    generator = build_generator(charset="\u05d0(1", fonts=["bundled"])
    data = opened(GeneratedLines(generator, 4))
    assert data.charset.symbols == ("\u05d0", "(", "1", ")")


def test_a_model_that_is_trained_on_keeps_its_direction(folder: str) -> None:
    data = build_line_sets(train=folder)
    data.open(columns_per_frame=4, charset=Charset(" abc\u00e4", Writing("NFKC", "rtl")))
    assert data.charset.writing == Writing("NFKC", "rtl")


def test_texts_are_spelled_as_the_data_say(folder: str) -> None:
    (Path(folder) / "00.gt.txt").write_text("a\u0308\ufb01", encoding="utf-8")
    assert {"\u00e4", "\ufb01"} <= set(opened(folder).charset.symbols)
    assert {"\u00e4", "f", "i"} <= set(opened(folder, normalization="NFKC").charset.symbols)
    assert {"a", "\u0308", "\ufb01"} <= set(opened(folder, normalization="none").charset.symbols)


def test_the_same_image_with_another_text_is_named(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    (Path(folder) / "double.png").write_bytes((Path(folder) / "00.png").read_bytes())
    (Path(folder) / "double.gt.txt").write_text("cab")
    opened(folder)
    assert "the same image with another text: 00.png and double.png" in caplog.text
