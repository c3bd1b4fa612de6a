"""`audit`: says what training would see in sets of lines, and what in them is wrong or doubtful."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from omegaconf import DictConfig

from ocrtrain.audit import Audit, audit
from ocrtrain.audit.page import page
from ocrtrain.audit.summary import as_json, format_audit
from ocrtrain.commands.progress import Progress
from ocrtrain.commands.settings import plain, whole_number, worker_count
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.files import write_text_atomically
from ocrtrain.text import Writing

log = logging.getLogger(__name__)

SETS = ("train", "val", "test")


def run(config: DictConfig) -> Audit:
    """Look through the sets of `config.data`, print what is found, write audit.json and audit.html.

    Ends with exit code 2 if `strict` and there is more to tell than notes.
    """
    data = config.data
    examples, workers = whole_number(config, "examples", 1), worker_count(config)
    preprocess = Preprocess(data.height, 1, data.width)
    writing = Writing(data.normalization, data.direction)
    # Grey is enough to see what is the same, and a third of the work.
    given = {name: data[name] for name in SETS if data[name] is not None}
    sources = {name: open_sources(plain(place)) for name, place in given.items()}
    places = {name: as_typed(plain(place)) for name, place in given.items()}
    with Progress("lines", sum(map(len, sources.values()))) as progress:
        result = audit(
            sources, preprocess, writing, data.charset, config.columns_per_frame, examples, workers, progress
        )
    print(format_audit(result))
    folder = Path(str(config.output)).expanduser()
    text = json.dumps(as_json(result, places), ensure_ascii=False, indent=1, allow_nan=False)
    write_text_atomically(folder / "audit.json", text + "\n")
    write_text_atomically(folder / "audit.html", page(result))
    log.info("report: %s and %s", folder / "audit.html", folder / "audit.json")
    if config.strict and result.flawed:
        raise SystemExit(2)
    return result
