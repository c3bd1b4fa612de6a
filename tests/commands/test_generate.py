"""`generate` fills a folder that `fit` reads, whatever interrupts it, and touches nothing else."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import hydra
import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image

from ocrtrain.command_line.presets import built_in
from ocrtrain.commands import generate
from ocrtrain.data.formats import open_lines
from ocrtrain.data.formats.pairing import find_pairs
from ocrtrain.errors import InputError
from ocrtrain.line import Line
from ocrtrain.synthesis import LineGenerator, build_generator
from ocrtrain.synthesis.preview import draw_preview
from ocrtrain.synthesis.settings import NO_TEXT_FONTS

CONF = built_in()
SMALL = ["synthesis=portable", "workers=1"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Run the command in this process with settings as they are typed; `output` is a new folder."""

    def command(*overrides: str, output: str = "lines") -> Path:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            config = hydra.compose("generate", [*SMALL, f"output={tmp_path / output}", *overrides])
        generate.run(config)
        return tmp_path / output

    return command


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def process(*settings: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ocrtrain", "generate", "synthesis=portable", *settings]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


PRESETS = sorted(file.stem for file in (CONF / "synthesis").glob("*.yaml"))


def built(preset: str) -> tuple[DictConfig, LineGenerator]:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        # Script fonts are not on every machine.
        words = [f"synthesis={preset}", "output=x", "synthesis.only_fonts=null", "synthesis.fonts=[bundled]"]
        config = hydra.compose("generate", words)
    return config, hydra.utils.instantiate(config.synthesis, _convert_="all")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_names_every_setting_of_the_generator_and_draws(preset: str) -> None:
    config, generator = built(preset)
    assert config.synthesis.keys() - {"_target_"} == inspect.signature(build_generator).parameters.keys()
    assert isinstance(generator, LineGenerator)
    lines = [generator.line(0, 0, i) for i in range(12)]
    assert {line.image.shape[0] for line in lines} == {config.synthesis.height}
    for i, line in enumerate(lines):
        assert line.image.dtype == np.uint8
        assert generator.columns(0, 0, i) == pytest.approx(line.image.shape[1], rel=0.2, abs=2)
        assert line.image.shape[2:] == ((3,) if config.synthesis.channels == 3 else ())


@pytest.mark.parametrize("preset", ["original", "portable"])
def test_a_preset_says_what_the_generators_own_defaults_say(preset: str) -> None:
    config, generator = built(preset)
    assert generator.identity() == build_generator(fonts=["bundled"]).identity()
    assert tuple(config.synthesis.exclude_fonts) == NO_TEXT_FONTS


def test_a_preview_shows_lines_and_writes_none(
    run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("generate", [*SMALL, f"preview={tmp_path / 'sheet.png'}"])
    generate.run(config)
    assert [path.name for path in tmp_path.iterdir()] == ["cache", "sheet.png"]
    assert "sheet.png: the first 64 lines" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    first = build_generator(fonts=["bundled"]).line(0, 0, 0).image
    assert np.abs(sheet[8 : 8 + first.shape[0], 8 : 8 + first.shape[1]] - first).max() == 0
    with_lines = run("count=3", f"preview={tmp_path / 'again.png'}")
    assert (with_lines / "labels.txt").is_file()
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()


def test_a_preview_of_long_lines_fits_a_screen(tmp_path: Path) -> None:
    line = Line(np.full((32, 900, 3), 200, np.uint8), "as wide as a page", "")
    draw_preview([line] * 64, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width < 2100 and image.height > 16 * 32


def test_neither_lines_nor_a_preview_is_no_task(run: Callable[..., Path]) -> None:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("generate", SMALL)
    with pytest.raises(InputError, match="output: must be given"):
        generate.run(config)


def test_what_is_written_is_what_fit_reads(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("count=25", "seed=3")
    pairs = find_pairs(folder)
    assert not pairs.skipped and len(pairs.names) == 25
    generator = build_generator(fonts=["bundled"])
    for i, (name, text) in enumerate(zip(pairs.names, pairs.texts, strict=True)):
        line = generator.line(3, 0, i)
        assert text == line.text
        with Image.open(Path(pairs.root, name)) as image:
            np.testing.assert_array_equal(np.asarray(image), line.image)
    said = capsys.readouterr()
    assert f"{folder}: 25 lines" in said.out
    assert f"python -m ocrtrain fit experiment=lines data.train={folder} data.val={folder}-val" in said.out
    assert f"python -m ocrtrain generate output={folder}-val count=3 seed=4" in said.out


@pytest.mark.parametrize(("form", "workers"), [("jsonl", 1), ("lmdb", 2), ("shards", 1)])
def test_other_formats_hold_the_same_lines(run: Callable[..., Path], form: str, workers: int) -> None:
    if form == "lmdb":
        pytest.importorskip("lmdb", reason="lmdb is not installed")
    pairs, other = (
        open_lines(run("count=120", f"workers={n}", f"format={f}", output=f))
        for f, n in (("pairs", 1), (form, workers))
    )
    assert other.format != pairs.format and other.skipped == {}
    assert list(other.originals) == list(pairs.originals)
    assert all(other.images.encoded(i) == pairs.images.encoded(i) for i in range(120))


def test_other_formats_are_written_whole_or_not_at_all(run: Callable[..., Path], tmp_path: Path) -> None:
    folder = run("count=3", "format=shards")
    before = contents(folder)
    with pytest.raises(InputError, match="is there already"):
        run("count=3", "format=shards")
    with pytest.raises(InputError, match="is for format=pairs, not for shards"):
        run("count=3", "format=shards", "overwrite=true")
    with pytest.raises(InputError, match="format=zip: no such format"):
        run("count=3", "format=zip", output="new")
    assert contents(folder) == before and not (tmp_path / "new").exists()


@pytest.mark.parametrize("preset", sorted(file.stem for file in (CONF / "texts").glob("*.yaml")))
def test_every_preset_of_texts_is_drawn(run: Callable[..., Path], tmp_path: Path, preset: str) -> None:
    if preset == "fields":
        pytest.importorskip("faker", reason="Faker is not installed")
    (tmp_path / "mine.txt").write_text("Ein Satz mit Umlauten: für alle.\nUnd noch einer.\n", "utf-8")
    folder = run("count=40", f"texts={preset}", f"synthesis.words={tmp_path / 'mine.txt'}")
    texts = find_pairs(folder).texts
    assert len(set(texts)) > 8 and max(map(len, texts)) <= 80
    # Sources are settings like any other.
    others = ("made_up", "random", "lines", "words", "ngrams", "fields")
    pattern = "synthesis.texts.patterns.patterns=['{A:2}-{n:10-99}']"
    folder = run(
        "count=10", f"texts={preset}", "synthesis.charset=czech", "synthesis.floor=0",
        *(f"synthesis.texts.{name}.weight=0" for name in others),
        "synthesis.texts.patterns.weight=1", pattern, output="other",
    )  # fmt: skip
    assert all(re.fullmatch(r"[A-Z]{2}-[1-9]\d", text) for text in find_pairs(folder).texts)


def test_it_is_on_record(run: Callable[..., Path], own_cache: Path) -> None:
    folder = run("count=1")
    assert json.loads((own_cache / "outputs.jsonl").read_text()) == {"kind": "data", "path": str(folder)}


def test_running_again_draws_only_what_is_missing(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("count=12")
    whole = contents(folder)
    (folder / "images/000005.png").unlink()
    (folder / "labels.txt").unlink()
    run("count=12")
    assert contents(folder) == whole
    assert "(11 were there already)" in capsys.readouterr().out


def test_a_folder_grows_but_does_not_shrink(run: Callable[..., Path]) -> None:
    run("count=5")
    grown = run("count=9")
    assert contents(grown) == contents(run("count=9", output="at-once"))
    with pytest.raises(InputError, match=r"count=4: .* holds 9 lines already"):
        run("count=4")
    assert len(find_pairs(grown).names) == 9


def test_other_settings_need_another_folder_or_a_yes(run: Callable[..., Path]) -> None:
    folder = run("count=5")
    before = contents(folder)
    with pytest.raises(
        InputError, match=r"other settings: height \(32 there, 40 now\), seed \(0 there, 1 now\)"
    ):
        run("count=5", "seed=1", "synthesis.height=40")
    assert contents(folder) == before
    (folder / "mine.txt").write_text("kept")
    run("count=3", "seed=1", "overwrite=true")
    (folder / "mine.txt").unlink()
    assert contents(folder) == contents(run("count=3", "seed=1", output="fresh"))


def test_folders_of_others_are_left_alone(run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/000000.png").write_text("mine")
    for more in ([], ["overwrite=true"]):
        with pytest.raises(InputError, match=r"not empty, and generate did not make it"):
            run("count=1", *more, output="photos")
    assert contents(tmp_path / "photos").keys() == {"000000.png"}
    (tmp_path / "photos/generate.json").write_text("{}")
    with pytest.raises(InputError, match=r"generate\.json: is not what generate wrote"):
        run("count=1", "overwrite=true", output="photos")
    with pytest.raises(InputError, match="is a file"):
        run("count=1", output="photos/000000.png")
    (tmp_path / "empty").mkdir()
    run("count=1", output="empty")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("count=0", "count=0"),
        ("count=many", "count=many"),
        ("seed=-1", "seed=-1"),
        ("seed=1.5", r"seed=1\.5"),
        ("workers=0", "workers=0"),
        ("synthesis.words=none.txt", r"synthesis\.words=none\.txt"),
        ("synthesis.charset='ab中'", r"none draws '中'"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_written(
    run: Callable[..., Path], tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(override)
    assert not (tmp_path / "lines").exists()


def test_it_starts_without_torch_and_stays_plain_off_a_terminal(tmp_path: Path) -> None:
    code = (
        "import sys; from ocrtrain.__main__ import main; code = main(sys.argv[1:]);"
        "print({'torch', 'lightning', 'matplotlib'} & sys.modules.keys()); sys.exit(code)"
    )
    words = ["generate", *SMALL, "count=3", f"output={tmp_path / 'lines'}"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert done.stderr == "" and "\r" not in done.stdout and "\x1b" not in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_it_leaves_whole_images_and_goes_on(
    tmp_path: Path, run: Callable[..., Path], end: int
) -> None:
    folder = tmp_path / "lines"
    interrupted = process("count=1200", f"output={folder}", "workers=2", start_new_session=True)
    while len(list(folder.glob("images/*.png"))) < 100:
        assert interrupted.poll() is None
        time.sleep(0.02)
    interrupted.send_signal(end)
    output, errors = interrupted.communicate(timeout=30)
    assert interrupted.returncode != 0 and "Traceback" not in output + errors
    _wait_for_the_end_of_session(interrupted.pid)

    assert not (folder / "labels.txt").exists()
    images = list(folder.glob("images/*.png"))
    assert 100 <= len(images) < 1200
    for path in images:
        with Image.open(path) as image:
            image.load()
    # The rest of the way is shortened: the record alone says how far it was to go.
    record = json.loads((folder / "generate.json").read_text())
    (folder / "generate.json").write_text(json.dumps({**record, "count": 1}))
    for path in images:
        if int(path.stem) >= 200:
            path.unlink()
    for path in folder.glob("images/.*"):
        os.utime(path, (0, 0))
    run("count=200")
    assert contents(folder) == contents(run("count=200", output="at-once"))


def _wait_for_the_end_of_session(session: int) -> None:
    """Wait until no worker process is left."""
    for _ in range(500):
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("worker processes outlived the command")


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_said_in_one_message(tmp_path: Path, workers: int) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    run = process(
        "count=300", f"output={tmp_path / 'lines'}", f"workers={workers}", "synthesis.height=96",
        "synthesis.effects.noise.share=1", preexec_fn=limit,
    )  # fmt: skip
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "cannot be written: File too large" in errors and "Traceback" not in errors
    assert [path.name for path in (tmp_path / "lines").rglob("*") if path.is_file()] == ["generate.json"]
