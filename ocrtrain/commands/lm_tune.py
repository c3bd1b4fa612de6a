"""`lm tune`: finds the weight at which a language model helps a recognizer most."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ocrtrain.commands.evaluation_lines import from_data
from ocrtrain.commands.progress import Progress
from ocrtrain.data.lines.rejections import enforce
from ocrtrain.decoding import BeamDecoder, GreedyDecoder, LanguageModel, Transcript
from ocrtrain.decoding.lm.load import load_language_model
from ocrtrain.decoding.settings import MOST_BONUS, MOST_PREFIXES, MOST_WEIGHT, integer, number, text
from ocrtrain.errors import InputError
from ocrtrain.evaluation import EditCounts, count_edits
from ocrtrain.recognizer import Recognizer
from ocrtrain.settings import checked_path
from ocrtrain.text import Charset

log = logging.getLogger(__name__)

Settings = tuple[float, float]  # weight and bonus


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


def run(config: DictConfig) -> Settings:
    """Read `config.data.val` once, decode it at all settings, print their CER and store the best."""
    weights = numbers(config, "weights", 0.0, MOST_WEIGHT)
    bonuses = numbers(config, "bonuses", -MOST_BONUS, MOST_BONUS)
    beam_width = integer("beam_width", config.beam_width, 1, MOST_PREFIXES)
    for key, least in (("batch_size", 1), ("data.max_skipped", 0)):
        integer(key, OmegaConf.select(config, key), least, 2**31)
    checked_path(config.checkpoint, "checkpoint")
    checked_path(config.lm, "lm")
    checked_path(config.data.val, "data.val")
    if config.adapter is not None:
        checked_path(config.adapter, "adapter")
    if config.device is not None:
        text("device", config.device)
    if not isinstance(config.store, bool):
        raise InputError(f"store={config.store}", "does not fit", "give true or false.")
    recognizer = Recognizer.load(config.checkpoint, config.device, config.adapter)
    charset = recognizer.description.charset
    model = load_language_model(config.lm, charset.symbols)
    model.bind(charset, 1.0, 0.0)  # says so at once if the two have nothing in common
    truths, greedy, log_probs = read(recognizer, config)
    lengths = [len(line) for line in log_probs]
    padded = pad_sequence(log_probs, batch_first=True)

    settings = [
        (weight, bonus) for weight in weights for bonus in bonuses if weight > 0 or bonus == bonuses[0]
    ]
    results: dict[Settings, EditCounts] = {}
    with Progress("settings", len(settings)) as progress:
        for weight, bonus in settings:
            decoder = BeamDecoder(charset, beam_width, lm=model, lm_weight=weight, lm_bonus=bonus)
            texts = [transcript.text for transcript in decoder(padded, Tensor(lengths).long())]
            results[weight, bonus] = count_edits(truths, texts)
            progress(1)
    best = min(results, key=lambda pair: (results[pair].edits, pair))
    print(table(results, count_edits(truths, greedy), best))
    store(model, best, config)
    return best


def read(recognizer: Recognizer, config: DictConfig) -> tuple[list[str], list[str], list[Tensor]]:
    """Read the validation lines: their truths, what greedy decoding makes of them, and log-probabilities."""
    lines = from_data(config.data.val, "data.val", config.data.max_skipped)
    spelled = lines.spelled(recognizer.description.charset.writing.normalization)
    recognizer.decoder = recorder = LogProbsRecorder(recognizer.description.charset)
    damaged: dict[str, list[str]] = {}
    truths, greedy, log_probs = [], [], []
    images = lines.images or []
    with Progress("lines", len(images)) as progress:
        for i, outcome in enumerate(recognizer.stream_outcomes(images, config.batch_size)):
            progress(1)
            if isinstance(outcome, InputError):
                damaged.setdefault(outcome.why, []).append(lines.names[i])
                continue
            truths.append(spelled[i])
            greedy.append(outcome.text)
            log_probs.append(recorder.seen[id(outcome)][1])
    if notice := enforce(damaged, config.data.max_skipped - lines.skipped, lines.where):
        log.warning("%s", notice)
    return truths, greedy, log_probs


def table(results: dict[Settings, EditCounts], greedy: EditCounts, best: Settings) -> str:
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


def store(model: LanguageModel, best: Settings, config: DictConfig) -> None:
    """Keep what was found in the model's file, if that is of our own format and it is wanted."""
    model.weight, model.bonus = best
    own = str(config.lm).endswith(".npz")
    if config.store and own:
        model.save(config.lm)
        log.info("stored in %s, for decoder=beam decoder.lm=%s", config.lm, config.lm)
    elif config.store:
        log.info("not stored: %s is not of our format (lm convert makes it so)", config.lm)


def numbers(config: DictConfig, key: str, least: float, most: float) -> list[float]:
    """The values to try, each once; raises `InputError` for anything but numbers from `least` to `most`."""
    values = list(config[key]) if isinstance(config[key], ListConfig) else [config[key]]
    if not values:
        raise InputError(f"{key}=[]", "does not fit", "give numbers in brackets: [0,0.5,1]")
    return list(dict.fromkeys(number(key, value, least, most) for value in values))
