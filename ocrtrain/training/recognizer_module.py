"""Training of a recognizer: its loss, its validation, its optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ocrtrain.data.batches.batch import Batch
from ocrtrain.decoding import GreedyDecoder, Transcript
from ocrtrain.distributed import collectives
from ocrtrain.evaluation import EditCounts, count_edits
from ocrtrain.model import LineRecognizer
from ocrtrain.text import Charset


@dataclass(frozen=True, slots=True)
class ValidationLine:
    """A validation line as the model saw it (uint8 [H, W] or [H, W, 3]), its truth and what was read."""

    image: NDArray[np.uint8]
    truth: str
    transcript: Transcript


@dataclass(slots=True)
class Validation:
    """Result of a pass over the validation lines; `samples` are a few of them, of all widths.

    loss: per character, of all lines together; characters: how many it is the mean over, without those of
    texts that do not fit their frames; parts: the counts of each source, if there are several.
    """

    counts: EditCounts
    loss: float
    samples: list[ValidationLine] = field(default_factory=list)
    characters: int = 0
    parts: dict[str, EditCounts] = field(default_factory=dict)


class RecognizerModule(LightningModule):
    """Trains a `LineRecognizer` with CTC and judges it by character error rate.

    optimizer: makes an optimizer for a model; same_width: pad the batches of all processes to one width.

    After a training step: `loss`, a scalar, is that of the batch of all processes, None where none of its
    lines can be learned from; `lines`, `unreadable_lines`: of all processes. After an optimizer step,
    `finite` tells whether it moved the weights: gradients that are not finite are let go of, and
    `skipped_steps` counts how often. After each validation, `validation` holds its result, the same on every
    rank.
    """

    def __init__(
        self,
        model: LineRecognizer,
        charset: Charset,
        optimizer: Callable[[LineRecognizer], torch.optim.Optimizer],
        samples: int = 48,
        same_width: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.charset = model, charset
        self.make_optimizer, self.samples, self.same_width = optimizer, samples, same_width
        self.decoder = GreedyDecoder(charset)
        self.loss: Tensor | None = None
        self.lines, self.unreadable_lines = 0, 0
        self.finite, self.skipped_steps = True, 0
        self.validation: Validation | None = None
        self.unreadable: dict[str, None] = {}
        self.infeasible = 0
        self._running = Validation(EditCounts(), 0.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer; the learning rate is paced by a callback, not by a scheduler."""
        return self.make_optimizer(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the batch's loss per character, or None where no line of it can be learned from.

        Among several processes it is this one's share, so scaled that the mean over all of them is the loss,
        and its gradient the gradient, of their lines in one batch.
        """
        self.unreadable.update(dict.fromkeys(batch.unreadable))
        pixels = batch.pixels
        shares = collectives.gather(len(batch), pixels.shape[-1], len(self.unreadable))
        self.lines, self.unreadable_lines = int(shares[:, 0].sum()), int(shares[:, 2].sum())
        self.loss = None
        if not self.lines:
            # Where others compute gradients as well, all must have some.
            return None if len(shares) == 1 else self._nothing()
        if self.same_width:
            pixels = F.pad(pixels, (0, int(shares[:, 1].max()) - pixels.shape[-1]))
        if len(batch) or self.same_width:
            log_probs, lengths = self.model(pixels, batch.widths)
            losses, feasible = ctc_losses(log_probs, lengths, batch.targets, batch.target_lengths)
            self.infeasible += int((~feasible).sum())
            characters = torch.where(feasible, batch.target_lengths, 0).sum().to(losses)
        else:
            losses, characters = self._nothing(), torch.zeros((), device=self.device)
        if len(shares) == 1:
            loss = losses.sum() / characters.clamp(min=1)
            self.loss = loss.detach()
            return loss
        totals = collectives.sum_over_processes(torch.stack([losses.sum().detach(), characters]))
        self.loss = totals[0] / totals[1].clamp(min=1)
        return losses.sum() * len(shares) / totals[1].clamp(min=1)

    def _nothing(self) -> Tensor:
        """Give zero, with a gradient of zero for every parameter."""
        zeros = [(parameter * 0.0).sum() for parameter in self.model.parameters() if parameter.requires_grad]
        return torch.stack(zeros).sum()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients; drop them all if one of them, or the loss, is not finite.

        An optimizer leaves a parameter without a gradient as it is, and its averages too.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        finite = norm.isfinite() if self.loss is None else norm.isfinite() & self.loss.isfinite()
        self.finite = bool(finite)
        if not self.finite:
            for parameter in parameters:
                parameter.grad = None
        elif gradient_clip_val and gradient_clip_algorithm == "value":
            nn.utils.clip_grad_value_(parameters, gradient_clip_val)
        elif gradient_clip_val:
            nn.utils.clip_grads_with_norm_(parameters, float(gradient_clip_val), norm)

    def on_validation_epoch_start(self) -> None:
        self._running = Validation(EditCounts(), 0.0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Read a batch and count its errors."""
        self.unreadable.update(dict.fromkeys(batch.unreadable))
        if not len(batch):
            return
        log_probs, lengths = self.model(batch.pixels, batch.widths)
        losses, feasible = ctc_losses(log_probs, lengths, batch.targets, batch.target_lengths)
        transcripts = self.decoder(log_probs, lengths)
        running = self._running
        read = [transcript.text for transcript in transcripts]
        running.counts = running.counts + count_edits(batch.texts, read)
        for part in {*batch.parts} - {""}:
            mine = [i for i, name in enumerate(batch.parts) if name == part]
            counts = count_edits([batch.texts[i] for i in mine], [read[i] for i in mine])
            running.parts[part] = running.parts.get(part, EditCounts()) + counts
        running.loss += float(losses.cpu().double().sum())
        running.characters += int(batch.target_lengths[feasible].sum())
        running.samples += [self._reading(batch, i, transcripts[i]) for i in self._spread(len(batch))]

    def _spread(self, lines: int) -> range:
        """Choose lines of a batch to keep as samples: as many of each, since batches are sorted by width."""
        batches = max(1, int(self.trainer.num_val_batches[0]))
        return range(0, lines, max(1, lines * batches // self.samples))

    @staticmethod
    def _reading(batch: Batch, i: int, transcript: Transcript) -> ValidationLine:
        pixels = batch.pixels[i, :, :, : int(batch.widths[i])].permute(1, 2, 0).cpu().numpy()
        return ValidationLine(pixels[..., 0] if pixels.shape[2] == 1 else pixels, batch.texts[i], transcript)

    def on_validation_epoch_end(self) -> None:
        """Sum the counts over all ranks and publish the rates."""
        running = self._running
        names: list[str] = getattr(getattr(self.trainer, "datamodule", None), "val_parts", [])
        each = [running.counts, *(running.parts.get(name, EditCounts()) for name in names)]
        rows = [[*counts.to_list(), running.characters, running.loss] for counts in each]
        totals = collectives.sum_over_processes(torch.tensor(rows, dtype=torch.float64))
        characters, loss = totals[0, -2:].tolist()
        summed, *parts = (EditCounts.from_list([round(c) for c in row[:-2]]) for row in totals.tolist())
        by_name = dict(zip(names, parts, strict=True))
        mean = loss / max(1.0, characters)
        self.validation = Validation(summed, mean, running.samples, parts=by_name)
        rates = {"val/cer": summed.cer, "val/wer": summed.wer, "val/line_accuracy": summed.line_accuracy}
        rates |= {f"val/cer/{name}": counts.cer for name, counts in by_name.items()}
        # For `trainer.callback_metrics`, which Lightning's and a user's own callbacks read.
        self.log_dict({**rates, "val/loss": self.validation.loss}, sync_dist=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random states, so that a resumed run draws what an uninterrupted one would."""
        mine, *others = collectives.gather_objects(random_state())
        checkpoint["random"] = {**mine, "others": others}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._random = checkpoint.get("random")

    def on_train_start(self) -> None:
        # Only now: building loaders and optimizers may have drawn numbers since the checkpoint was read.
        random = self.__dict__.pop("_random", None)
        states = [] if random is None else [random, *random.get("others", [])]
        rank = collectives.rank()
        if rank < len(states):
            set_random_state(states[rank])
        elif rank:  # the first draws what it would draw alone; the others must not draw the same
            torch.manual_seed(torch.initial_seed() + 7919 * rank + self.trainer.global_step)


def random_state() -> dict[str, Any]:
    """Give the states of torch's random numbers in this process."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: dict[str, Any]) -> None:
    """Go on from the states that `random_state` gave, as far as there are as many devices."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def ctc_losses(
    log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the CTC loss of each line.

    log_probs: float32 [N, T, K]; lengths: [N]; targets: [N, L]; target_lengths: [N]. Returns the losses,
    float32 [N], zero for a line whose text does not fit its frames, and bool [N], whether it fits.
    """
    repeats = (targets[:, 1:] == targets[:, :-1]) & (targets[:, 1:] > 0)
    feasible = target_lengths + repeats.sum(1) <= lengths
    if not len(targets):  # torch's loss takes no batch without lines
        return log_probs.float().sum((1, 2)), feasible
    # On GPUs the loss's gradient adds up in no fixed order.
    on_cpu = log_probs.is_cuda and torch.are_deterministic_algorithms_enabled()
    device = torch.device("cpu") if on_cpu else log_probs.device
    with torch.autocast(device_type=log_probs.device.type, enabled=False):
        losses = F.ctc_loss(
            log_probs.float().transpose(0, 1).to(device),
            targets.to(device),
            lengths.to(device),
            target_lengths.to(device),
            reduction="none",
            zero_infinity=True,
        ).to(log_probs.device)
    return torch.where(feasible, losses, 0.0), feasible


def evenly(samples: Sequence[ValidationLine], count: int) -> list[ValidationLine]:
    """Take `count` of the samples, from all over the list."""
    return (
        [samples[i * len(samples) // count] for i in range(count)] if len(samples) > count else list(samples)
    )
