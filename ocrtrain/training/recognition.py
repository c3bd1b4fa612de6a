"""The training of a recognizer: its loss, its validation, its optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ocrtrain.data.batch import Batch
from ocrtrain.decoding import GreedyDecoder, Transcript
from ocrtrain.evaluation import EditCounts, count_edits
from ocrtrain.model import LineRecognizer
from ocrtrain.text import Charset


@dataclass(frozen=True, slots=True)
class Reading:
    """A validation line as the model saw it (uint8 [H, W] or [H, W, 3]), its truth and what was read."""

    image: NDArray[np.uint8]
    truth: str
    transcript: Transcript


@dataclass(slots=True)
class Validation:
    """What a pass over the validation lines found; `samples` are a few of them, of all widths.

    parts: the counts of each source, if there are several.
    """

    counts: EditCounts
    loss: float
    samples: list[Reading] = field(default_factory=list)
    parts: dict[str, EditCounts] = field(default_factory=dict)


class Recognition(LightningModule):
    """Trains a `LineRecognizer` with CTC and judges it by character error rate.

    optimizer: makes an optimizer for a model. After each validation, `validation` holds its result, the same
    on every rank.
    """

    def __init__(
        self,
        model: LineRecognizer,
        charset: Charset,
        optimizer: Callable[[LineRecognizer], torch.optim.Optimizer],
        samples: int = 48,
    ) -> None:
        super().__init__()
        self.model, self.charset = model, charset
        self.make_optimizer, self.samples = optimizer, samples
        self.decoder = GreedyDecoder(charset)
        self.validation: Validation | None = None
        self.unreadable: dict[str, None] = {}
        self.infeasible = 0
        self._running = Validation(EditCounts(), 0.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer; the learning rate is paced by a callback, not by a scheduler."""
        return self.make_optimizer(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the batch's loss, or None where no line of it can be learned from."""
        self.unreadable.update(dict.fromkeys(batch.unreadable))
        if not len(batch):
            return None
        log_probs, lengths = self.model(batch.pixels, batch.widths)
        loss, infeasible = ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)
        self.infeasible += infeasible
        return loss

    def on_validation_epoch_start(self) -> None:
        self._running = Validation(EditCounts(), 0.0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Read a batch and count its errors."""
        self.unreadable.update(dict.fromkeys(batch.unreadable))
        if not len(batch):
            return
        log_probs, lengths = self.model(batch.pixels, batch.widths)
        loss, _ = ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)
        transcripts = self.decoder(log_probs, lengths)
        running = self._running
        read = [transcript.text for transcript in transcripts]
        running.counts = running.counts + count_edits(batch.texts, read)
        for part in {*batch.parts} - {""}:
            mine = [i for i, name in enumerate(batch.parts) if name == part]
            counts = count_edits([batch.texts[i] for i in mine], [read[i] for i in mine])
            running.parts[part] = running.parts.get(part, EditCounts()) + counts
        running.loss += float(loss) * len(batch)
        running.samples += [self._reading(batch, i, transcripts[i]) for i in self._spread(len(batch))]

    def _spread(self, lines: int) -> range:
        """Which lines of a batch to keep as samples: as many of each, since batches are sorted by width."""
        batches = max(1, int(self.trainer.num_val_batches[0]))
        return range(0, lines, max(1, lines * batches // self.samples))

    @staticmethod
    def _reading(batch: Batch, i: int, transcript: Transcript) -> Reading:
        pixels = batch.pixels[i, :, :, : int(batch.widths[i])].permute(1, 2, 0).cpu().numpy()
        return Reading(pixels[..., 0] if pixels.shape[2] == 1 else pixels, batch.texts[i], transcript)

    def on_validation_epoch_end(self) -> None:
        """Sum the counts over all ranks and publish the rates."""
        running = self._running
        names: list[str] = getattr(getattr(self.trainer, "datamodule", None), "val_parts", [])
        each = [running.counts, *(running.parts.get(name, EditCounts()) for name in names)]
        rows = [[*counts.to_list(), running.loss] for counts in each]
        totals = torch.tensor(rows, dtype=torch.float64, device=self.device)
        if self.trainer.world_size > 1:
            totals = cast(Tensor, self.all_gather(totals)).sum(0)
        loss = float(totals[0, -1])
        summed, *parts = (EditCounts.from_list([round(c) for c in row[:-1]]) for row in totals.tolist())
        by_name = dict(zip(names, parts, strict=True))
        self.validation = Validation(summed, loss / max(1, summed.lines), running.samples, by_name)
        rates = {"val/cer": summed.cer, "val/wer": summed.wer, "val/line_accuracy": summed.line_accuracy}
        rates |= {f"val/cer/{name}": counts.cer for name, counts in by_name.items()}
        self.log_dict({**rates, "val/loss": self.validation.loss}, sync_dist=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random states, so that a resumed run draws what an uninterrupted one would."""
        checkpoint["random"] = {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._random = checkpoint.get("random")

    def on_train_start(self) -> None:
        # Only now: building loaders and optimizers may have drawn numbers since the checkpoint was read.
        random = self.__dict__.pop("_random", None)
        if random:
            torch.set_rng_state(random["cpu"])
            if len(random["cuda"]) == torch.cuda.device_count() and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(random["cuda"])


def ctc_loss(
    log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> tuple[Tensor, int]:
    """CTC loss per character over the lines whose text fits their frames, and the number of those that don't.

    log_probs: float32 [N, T, K]; lengths: [N]; targets: [N, L]; target_lengths: [N].
    """
    repeats = (targets[:, 1:] == targets[:, :-1]) & (targets[:, 1:] > 0)
    feasible = target_lengths + repeats.sum(1) <= lengths
    with torch.autocast(device_type=log_probs.device.type, enabled=False):
        losses = F.ctc_loss(
            log_probs.float().transpose(0, 1),
            targets,
            lengths,
            target_lengths,
            reduction="none",
            zero_infinity=True,
        )
    characters = torch.where(feasible, target_lengths, 0).sum().clamp(min=1)
    return torch.where(feasible, losses, 0.0).sum() / characters, int((~feasible).sum())


def evenly(samples: Sequence[Reading], count: int) -> list[Reading]:
    """Take `count` of the samples, from all over the list."""
    return (
        [samples[i * len(samples) // count] for i in range(count)] if len(samples) > count else list(samples)
    )
