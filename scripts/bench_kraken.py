"""CER after equal training time beside kraken: python scripts/bench_kraken.py --data DIR --ketos PATH

Both learn from the same lines (DIR/train, DIR/val) on the same cores, each with its own defaults, for the
same time from the start of training: imports and the listing of files do not count, validations do. Kraken 7
is then told to end (SIGTERM): it finishes its batch and writes checkpoint_abort.ckpt. This newest state reads
the lines of DIR/test as whole images; ocrtrain reads them with its best checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ocrtrain.data.folder import FolderSource
from ocrtrain.evaluation import cer_interval, count_edits, edit_table

HEAD = ("peer", "steps", "lines seen", "test CER", "95% interval")
BEGIN = b"Setting seg_type"  # the last that `ketos -v` says before its first step
COUNT = """import sys, torch
state = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
print(state["global_step"], state["_module_config"].batch_size)"""


def link_lines(source: FolderSource, folder: Path) -> list[Path]:
    """Lay out lines as ketos wants them, NAME.gt.txt beside a link to the image, and list the images."""
    folder.mkdir()
    images = [folder / f"{i:06d}{Path(name).suffix}" for i, name in enumerate(source.names)]
    for image, name, text in zip(images, source.names, source.texts(), strict=True):
        image.symlink_to(Path(source.root, name))
        image.with_suffix(".gt.txt").write_text(text, encoding="utf-8")
    folder.with_suffix(".list").write_text("".join(f"{image}\n" for image in images), encoding="utf-8")
    return images


def train_kraken(command: Sequence[str], log: Path, seconds: float) -> None:
    """Run ketos until it has trained for `seconds` and saved what it has; what it says goes to `log`."""
    with open(log, "wb") as file:
        wide = {**os.environ, "COLUMNS": "200"}  # keeps a message on one line
        process = subprocess.Popen(command, stdout=file, stderr=file, env=wide, start_new_session=True)
    try:
        patience = time.monotonic() + 600
        while BEGIN not in log.read_bytes() and process.poll() is None and time.monotonic() < patience:
            time.sleep(0.1)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait(600)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def bench_kraken(options: argparse.Namespace, place: Path) -> list[str]:
    """Train and judge kraken."""
    ketos, kraken, python = (str(options.ketos.with_name(name)) for name in ("ketos", "kraken", "python"))
    name = " ".join(["kraken", run(ketos, "--version").split()[-1], *options.kraken_args])
    images = {s: link_lines(FolderSource(options.data / s), place / s) for s in ("train", "val", "test")}
    common = ["-v", "-d", "cpu", "--threads", str(options.threads)]
    lists = ["-f", "path", "-t", f"{place}/train.list", "-e", f"{place}/val.list", "-o", f"{place}/models"]
    log = place / "ketos.log"
    train_kraken([ketos, *common, "train", *lists, *options.kraken_args], log, 60 * options.minutes)
    checkpoints = sorted(place.glob("models/*.ckpt"), key=lambda path: path.stat().st_mtime)
    if not checkpoints:
        print(log.read_text(encoding="utf-8", errors="replace")[-3000:], file=sys.stderr)
        return [name, "-", "-", "no model yet", "-"]
    steps, batch = map(int, run(python, "-c", COUNT, str(checkpoints[-1])).split())
    run(ketos, "convert", "-o", f"{place}/model.safetensors", str(checkpoints[-1]))
    pairs = [part for image in images["test"] for part in ("-i", str(image), str(image.with_suffix(".txt")))]
    reader = ["ocr", "-s", "--num-line-workers", "0", "-m", f"{place}/model.safetensors"]
    run(kraken, *common, "-r", *pairs, *reader)
    truths = [image.with_suffix(".gt.txt").read_text(encoding="utf-8") for image in images["test"]]
    texts = [image.with_suffix(".txt").read_text(encoding="utf-8") for image in images["test"]]
    table = edit_table(truths, texts)
    interval = cer_interval(table[:, :3].sum(axis=1), table[:, 3])
    return [name, f"{steps:,}", f"{steps * batch:,}", *rates(count_edits(truths, texts).cer, interval)]


def bench_ocrtrain(options: argparse.Namespace, place: Path) -> list[str]:
    """Train and judge ocrtrain by its own commands."""
    os.environ["OCRTRAIN_CACHE"] = str(place / "cache")  # this run is not for `clean` to list
    limit = time.strftime("trainer.max_time=00:%H:%M:%S", time.gmtime(60 * options.minutes))
    command, folder = [sys.executable, "-m", "ocrtrain"], place / "ocrtrain"
    data = [f"data.{split}={options.data / split}" for split in ("train", "val")]
    settings = ["experiment=lines", *data, limit, "trainer.accelerator=cpu", f"runs={place}", "run=ocrtrain"]
    run(*command, "fit", *settings)
    judged = [
        f"checkpoint={folder}/checkpoints/best.ckpt",
        f"data.test={options.data / 'test'}",
        "device=cpu",
    ]
    run(*command, "evaluate", *judged, f"output={folder}")
    last = list(csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))[-1]
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    seen = [f"{int(last[column]):,}" for column in ("step", "lines")]
    return [f"ocrtrain {report['version']}", *seen, *rates(report["cer"], report["cer_interval"])]


def run(*command: str) -> str:
    """Run a command to its end and return its output; what it says on stderr is shown."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def rates(cer: float, interval: Sequence[float]) -> list[str]:
    """Write a rate and its interval as percentages."""
    return [f"{cer:.2%}", " to ".join(f"{rate:.2%}" for rate in interval)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with train, val and test")
    parser.add_argument("--ketos", type=Path, help="kraken's command, in an environment of its own")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2, help="cores and threads of each")
    parser.add_argument("--only", choices=["kraken", "ocrtrain"])
    parser.add_argument("--kraken-args", type=shlex.split, default=[], metavar="ARGS", help="for ketos train")
    options = parser.parse_args()
    if options.ketos is None and options.only != "ocrtrain":
        parser.error("kraken needs --ketos")
    if hasattr(os, "sched_setaffinity"):  # what is started here inherits it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    benches = {"kraken": bench_kraken, "ocrtrain": bench_ocrtrain}
    rows: list[Sequence[str]] = [HEAD]
    for peer in [options.only] if options.only else benches:
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            rows.append(benches[peer](options, Path(place)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
