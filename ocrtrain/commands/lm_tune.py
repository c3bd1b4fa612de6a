"""`lm tune`: finds the weight at which a language model helps a recognizer most."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from omegaconf import DictConfig
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ocrtrain.command_line.progress import Progress
from ocrtrain.commands.evaluation_lines import from_data
from ocrtrain.commands.settings import read_config
from ocrtrain.data.lines.rejections import check_skipped
from ocrtrain.decoding import BeamDecoder, GreedyDecoder, Transcript
from ocrtrain.decoding.lm.load import load_language_model
from ocrtrain.decoding.settings import MOST_BONUS, MOST_PREFIXES, MOST_WEIGHT
from ocrtrain.errors import InputError
from ocrtrain.evaluation import EditCounts, count_edits
from ocrtrain.recognizer import Recognizer
from ocrtrain.settings import Count, Limits, OneOrMore, PathName, PathNames, PositiveInt
from ocrtrain.text import Charset

log = logging.getLogger(__name__)

Weight = Annotated[float, Limits(0, MOST_WEIGHT)]
Bonus = Annotated[float, Limits(-MOST_BONUS, MOST_BONUS)]
WeightBonus = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LmTuneData:
    """The lines to read, and how many of them may be left out."""

    val: PathNames
    max_skipped: Count


@dataclass(frozen=True, slots=True)
class LmTuneSettings:
    """Settings of `lm tune`; conf/lm_tune.yaml says what each is for."""

    checkpoint: PathName
    adapter: PathName | None
    lm: PathName
    data: LmTuneData
    weights: Annotated[list[Weight], OneOrMore()]
    bonuses: Annotated[list[Bonus], OneOrMore()]
    beam_width: Annotated[int, Limits(1, MOST_PREFIXES)]
    store: bool
    batch_size: PositiveInt
    device: str | None


class LogProbsRecorder:
    """Reads greedily, and keeps the log-probabilities of every line for others to read."""

    def __init__(self, charset: Charset) -> None:
        self.greedy = GreedyDecoder(charset)
        self.seen: dict[int, tuple[Transcript, Tensor]] = {}  # by the transcript's identity

    def __call__(
        self, log_probs: Tensor, lengths: Tensor, widths: Sequence[float] | None = None
    ) -> list[Transcript]:
        transcripts = self.greedy(log_probs, lengths, widths)
        for transcript, line, length in zip(transcripts, log_probs, lengths.tolist(), strict=True):
            self.seen[id(transcript)] = transcript, line[:length].float().cpu()
        return transcripts


def run(config: DictConfig) -> WeightBonus:
    """Read the validation lines once, decode them at all settings, print their CER and store the best."""
    settings = read_config(LmTuneSettings, config)
    recognizer = Recognizer.load(settings.checkpoint, settings.device, settings.adapter)
    charset = recognizer.description.charset
    model = load_language_model(settings.lm, charset.symbols)
    model.bind(charset, 1.0, 0.0)  # says so at once if the two have nothing in common
    truths, greedy, log_probs = read(recognizer, settings)
    lengths = [len(line) for line in log_probs]
    padded = pad_sequence(log_probs, batch_first=True)

    weights, bonuses = dict.fromkeys(settings.weights), dict.fromkeys(settings.bonuses)
    # A model without weight is tried once: its bonus alone says nothing of the model.
    pairs = [(w, b) for w in weights for b in bonuses if w > 0 or b == settings.bonuses[0]]
    results: dict[WeightBonus, EditCounts] = {}
    with Progress("settings", len(pairs)) as progress:
        for weight, bonus in pairs:
            decoder = BeamDecoder(charset, settings.beam_width, lm=model, lm_weight=weight, lm_bonus=bonus)
            texts = [transcript.text for transcript in decoder(padded, Tensor(lengths).long())]
            results[weight, bonus] = count_edits(truths, texts)
            progress(1)
    best = min(results, key=lambda pair: (results[pair].edits, pair))
    print(table(results, count_edits(truths, greedy), best))
    model.weight, model.bonus = best
    if settings.store and settings.lm.endswith(".npz"):
        model.save(settings.lm)
        log.info("stored in %s, for decoder=beam decoder.lm=%s", settings.lm, settings.lm)
    elif settings.store:
        log.info("not stored: %s is not of our format (lm convert makes it so)", settings.lm)
    return best


def read(recognizer: Recognizer, settings: LmTuneSettings) -> tuple[list[str], list[str], list[Tensor]]:
    """Read the validation lines: their truths, what greedy decoding makes of them, and log-probabilities."""
    lines = from_data(settings.data.val, "data.val", settings.data.max_skipped)
    spelled = lines.spelled(recognizer.description.charset.writing.normalization)
    recognizer.decoder = recorder = LogProbsRecorder(recognizer.description.charset)
    damaged: dict[str, list[str]] = {}
    truths, greedy, log_probs = [], [], []
    images = lines.images or []
    with Progress("lines", len(images)) as progress:
        for i, outcome in enumerate(recognizer.stream_outcomes(images, settings.batch_size)):
            progress(1)
            if isinstance(outcome, InputError):
                damaged.setdefault(outcome.why, []).append(lines.names[i])
                continue
            truths.append(spelled[i])
            greedy.append(outcome.text)
            log_probs.append(recorder.seen[id(outcome)][1])
    if notice := check_skipped(damaged, settings.data.max_skipped - lines.skipped, lines.where):
        log.warning("%s", notice)
    return truths, greedy, log_probs


def table(results: dict[WeightBonus, EditCounts], greedy: EditCounts, best: WeightBonus) -> str:
    """Lay out the CER of each weight, a row, at each bonus, a column."""
    weights = list(dict.fromkeys(weight for weight, _ in results))
    bonuses = list(dict.fromkeys(bonus for _, bonus in results))
    rows = ["CER by weight (down) and bonus for each character (across)"]
    rows.append(" " * 8 + "".join(f"{bonus:>9g}" for bonus in bonuses))
    for weight in weights:
        cells = [results.get((weight, bonus)) for bonus in bonuses]
        rows.append(
            f"{weight:>8g}" + "".join(" " * 9 if cell is None else f"{cell.cer:>9.2%}" for cell in cells)
        )
    rows.append(
        f"greedy {greedy.cer:.2%}, best {results[best].cer:.2%}"
        f" with decoder.lm_weight={best[0]:g} decoder.lm_bonus={best[1]:g}  ({greedy.lines} lines)"
    )
    return "\n".join(rows)
