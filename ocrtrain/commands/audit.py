"""`audit`: says what training would see in sets of lines, and what in them is wrong or doubtful."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ocrtrain.audit import Audit, audit
from ocrtrain.audit.page import page
from ocrtrain.audit.summary import as_json, format_audit
from ocrtrain.command_line.progress import Progress
from ocrtrain.commands.settings import read_config, worker_count
from ocrtrain.data.formats.several import as_typed, open_sources
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.files import write_text_atomically
from ocrtrain.settings import PathName, PathNames, PositiveInt
from ocrtrain.text import Writing
from ocrtrain.text.direction import Direction
from ocrtrain.text.normalization import Normalization

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuditData:
    """The sets of lines, and how training would prepare them."""

    train: PathNames
    val: PathNames | None
    test: PathNames | None
    height: PositiveInt
    width: PositiveInt | None
    normalization: Normalization
    direction: Direction
    charset: str | None

    @property
    def given(self) -> dict[str, PathNames]:
        """The sets that there are, by their names, the training lines first."""
        sets = {"train": self.train, "val": self.val, "test": self.test}
        return {name: place for name, place in sets.items() if place is not None}


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of `audit`; conf/audit.yaml says what each is for."""

    data: AuditData
    columns_per_frame: PositiveInt
    output: PathName
    examples: PositiveInt
    workers: PositiveInt | None
    strict: bool


def run(config: DictConfig) -> Audit:
    """Look through the sets of `data`, print what is found, write audit.json and audit.html.

    Ends with exit code 2 if `strict` and there is more to tell than notes.
    """
    settings = read_config(AuditSettings, config)
    data = settings.data
    sources = {name: open_sources(place) for name, place in data.given.items()}
    with Progress("lines", sum(map(len, sources.values()))) as progress:
        result = audit(
            sources,
            Preprocess(data.height, 1, data.width),  # grey shows what is the same, for a third of the work
            Writing(data.normalization, data.direction),
            data.charset,
            settings.columns_per_frame,
            settings.examples,
            worker_count(settings.workers),
            progress,
        )
    print(format_audit(result))
    folder = Path(settings.output).expanduser()
    places = {name: as_typed(place) for name, place in data.given.items()}
    text = json.dumps(as_json(result, places), ensure_ascii=False, indent=1, allow_nan=False)
    write_text_atomically(folder / "audit.json", text + "\n")
    write_text_atomically(folder / "audit.html", page(result))
    log.info("report: %s and %s", folder / "audit.html", folder / "audit.json")
    if settings.strict and result.flawed:
        raise SystemExit(2)
    return result
