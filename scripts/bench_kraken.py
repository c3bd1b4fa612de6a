"""CER after equal training time beside kraken 7: python scripts/bench_kraken.py --data DIR --ketos PATH

Both have the same lines (DIR/train, DIR/val), cores and time, counted from the start of training, but their
own defaults. Kraken's last state and ocrtrain's best checkpoint then read the lines of DIR/test.
"""

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
from pathlib import Path

from ocrtrain.data.formats.folder import FolderSource
from ocrtrain.evaluation import cer_interval, count_edits, edit_table

BEGIN = b"Setting seg_type"  # the last that `ketos -v` says before its first step
COUNT = """import sys, torch; state = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
print(state["global_step"], state["_module_config"].batch_size)"""


def link_lines(source: FolderSource, folder: Path) -> list[Path]:
    """Lay out lines as ketos wants them, NAME.gt.txt beside a link to the image, and list the images."""
    folder.mkdir()
    images = [folder / f"{i:06d}{Path(name).suffix}" for i, name in enumerate(source.names)]
    for image, name, text in zip(images, source.names, source.texts(), strict=True):
        image.symlink_to(Path(source.root, name))
        image.with_suffix(".gt.txt").write_text(text, "utf-8")
    folder.with_suffix(".list").write_text("".join(f"{image}\n" for image in images), "utf-8")
    return images


def train_kraken(command: list[str], log: Path, seconds: float) -> None:
    """Run ketos until it has trained for `seconds` and saved what it has; what it says goes to `log`."""
    patience = time.monotonic() + 600
    with open(log, "wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            while BEGIN not in log.read_bytes() and process.poll() is None and time.monotonic() < patience:
                time.sleep(0.1)
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # saves models/checkpoint_abort.ckpt after the batch
            process.wait(600)
        finally:
            process.kill()


def bench_kraken(options: argparse.Namespace, place: Path) -> list[object]:
    ketos, kraken, python = (str(options.ketos.with_name(name)) for name in ("ketos", "kraken", "python"))
    name = shlex.join(["kraken", run(ketos, "--version").split()[-1], *options.kraken_args])
    images = {s: link_lines(FolderSource(options.data / s), place / s) for s in ("train", "val", "test")}
    common, log = ["-v", "-d", "cpu", "--threads", str(options.threads)], place / "ketos.log"
    lists = ["-f", "path", "-t", f"{place}/train.list", "-e", f"{place}/val.list", "-o", f"{place}/models"]
    train_kraken([ketos, *common, "train", *lists, *options.kraken_args], log, 60 * options.minutes)
    checkpoints = sorted(place.glob("models/*.ckpt"), key=lambda path: path.stat().st_mtime)
    if not checkpoints:
        print(log.read_text("utf-8", "replace")[-3000:], file=sys.stderr)
        return [name, "-", "-", "no model yet", "-"]
    newest, weights = str(checkpoints[-1]), f"{place}/newest.safetensors"
    run(ketos, "convert", "-o", weights, newest)
    steps, batch = map(int, run(python, "-c", COUNT, newest).split())
    pairs = [part for image in images["test"] for part in ("-i", str(image), str(image.with_suffix(".txt")))]
    run(kraken, *common, "-r", *pairs, "ocr", "-s", "--num-line-workers", "0", "-m", weights)
    truths = [image.with_suffix(".gt.txt").read_text("utf-8") for image in images["test"]]
    texts = [image.with_suffix(".txt").read_text("utf-8") for image in images["test"]]
    table = edit_table(truths, texts)
    low, high = cer_interval(table[:, :3].sum(axis=1), table[:, 3])
    return [name, steps, steps * batch, f"{count_edits(truths, texts).cer:.2%}", f"{low:.2%} to {high:.2%}"]


def bench_ocrtrain(options: argparse.Namespace, place: Path) -> list[object]:
    os.environ["OCRTRAIN_CACHE"] = f"{place}/cache"  # this run is not for `clean` to list
    limit = time.strftime("trainer.max_time=00:%H:%M:%S", time.gmtime(60 * options.minutes))
    command, data, folder = [sys.executable, "-m", "ocrtrain"], options.data, place / "ocrtrain"
    settings = [limit, "trainer.accelerator=cpu", f"runs={place}", "run=ocrtrain"]
    run(*command, "fit", "experiment=lines", f"data.train={data}/train", f"data.val={data}/val", *settings)
    best = f"checkpoint={folder}/checkpoints/best.ckpt"
    run(*command, "evaluate", best, f"data.test={data}/test", "device=cpu", f"output={folder}")
    *_, last = csv.DictReader((folder / "metrics.csv").read_text("utf-8").splitlines())
    report = json.loads((folder / "report.json").read_text("utf-8"))
    name, (low, high) = f"ocrtrain {report['version']}", report["cer_interval"]
    return [name, last["step"], last["lines"], f"{report['cer']:.2%}", f"{low:.2%} to {high:.2%}"]


def run(*command: str) -> str:
    """Run a command to its end and return its output; stops with what it said if it fails."""
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{' '.join(command)[:300]}\n{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}")
    return ended.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train, val and test")
    parser.add_argument("--ketos", type=Path, help="kraken's command, in an environment of its own")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2, help="cores, and kraken's threads")
    parser.add_argument("--only", choices=["kraken", "ocrtrain"])
    parser.add_argument("--kraken-args", type=shlex.split, default=[], metavar="ARGS", help="for ketos train")
    options = parser.parse_args()
    if options.ketos is None and options.only != "ocrtrain":
        parser.error("kraken needs --ketos")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no ketos is left behind
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])  # the commands inherit it
    benches = {"kraken": bench_kraken, "ocrtrain": bench_ocrtrain}
    rows: list[list[object]] = [["peer", "steps", "lines seen", "test CER", "95% interval"]]
    for peer in [options.only] if options.only else benches:
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            rows.append(benches[peer](options, Path(place)))
    print(*("{:<48}{:>8}{:>12}{:>14}   {}".format(*row) for row in rows), sep="\n")


if __name__ == "__main__":
    main()
