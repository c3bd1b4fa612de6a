"""`evaluate`: judges a checkpoint on lines whose texts are known."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from ocrtrain.data.folder import FolderSource
from ocrtrain.data.skipped import enforce
from ocrtrain.errors import InputError
from ocrtrain.evaluation import Evaluation, evaluate_lines, format_table, write_report
from ocrtrain.recognizer import Recognizer

log = logging.getLogger(__name__)


def run(config: DictConfig) -> Evaluation:
    """Read the lines at `config.data.test`, print the figures and write `report.json`."""
    recognizer = Recognizer.load(config.checkpoint, config.device, config.adapter)
    recognizer.decoder = instantiate(config.decoder)(recognizer.description.charset)
    source = FolderSource(config.data.test, 1 if recognizer.description.preprocess.channels == 1 else 3)
    allowed = config.data.max_skipped
    if notice := enforce(source.skipped, allowed, f"data.test={config.data.test}"):
        log.warning("%s", notice)
    paths = [os.path.join(source.root, name) for name in source.names]
    spell = recognizer.description.charset.writing.normalize
    truths, kept, sources, transcripts = [spell(text) for text in source.originals], [], [], []
    damaged: dict[str, list[str]] = {}
    for i, outcome in enumerate(recognizer.stream_outcomes(paths, config.batch_size)):
        if isinstance(outcome, InputError):
            damaged.setdefault(outcome.why, []).append(source.names[i])
        else:
            kept.append(truths[i])
            sources.append(source.names[i])
            transcripts.append(outcome)
    left = allowed - sum(len(names) for names in source.skipped.values())
    if notice := enforce(damaged, left, f"data.test={config.data.test}"):
        log.warning("%s", notice)
    evaluation = evaluate_lines(sources, kept, transcripts)
    folder = Path(config.output or config.adapter or Path(config.checkpoint).parent)
    print(format_table(evaluation))
    path = write_report(evaluation, folder)
    log.info("report: %s", path)
    return evaluation
