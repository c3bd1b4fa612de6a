"""The loss against an enumeration of all paths, and what a validation counts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ocrtrain.data.batches.batch import Batch
from ocrtrain.decoding import Transcript
from ocrtrain.model import LineRecognizer
from ocrtrain.text import Charset
from ocrtrain.training.recognizer_module import RecognizerModule, ValidationLine, ctc_losses, evenly


def ctc_loss(
    log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> tuple[Tensor, int]:
    """Loss per character over the lines whose text fits their frames, and the number of those that don't."""
    losses, feasible = ctc_losses(log_probs, lengths, targets, target_lengths)
    characters = torch.where(feasible, target_lengths, 0).sum().clamp(min=1)
    return losses.sum() / characters, int((~feasible).sum())


def log_probs(lines: int, frames: int, classes: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(lines, frames, classes, generator=generator).log_softmax(-1)


def brute_force(log_probs: Tensor, target: tuple[int, ...]) -> float:
    """-log of the summed probability of all paths that collapse to `target`; log_probs is [T, K]."""
    frames, classes = log_probs.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=frames):
        collapsed = tuple(label for label, _ in itertools.groupby(path) if label)
        if collapsed == target:
            total += math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
    return -math.log(total) if total else math.inf


def padded(*targets: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    lengths = [len(target) for target in targets]
    rows = [[*target, *[0] * (max(lengths) - len(target))] for target in targets]
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(lengths)


@pytest.mark.parametrize(
    ("targets", "lengths"),
    [
        ([(1,), (2, 1)], [4, 4]),
        ([(1, 1), (2, 2)], [5, 3]),  # repeats, once with just as many frames as they need
        ([(1, 2, 1), (), (2,)], [3, 2, 5]),
    ],
)
def test_loss_is_that_of_all_paths(targets: list[tuple[int, ...]], lengths: list[int]) -> None:
    probabilities = log_probs(len(targets), max(lengths), 3)
    loss, infeasible = ctc_loss(probabilities, torch.tensor(lengths), *padded(*targets))
    expected = sum(brute_force(probabilities[i, :n], targets[i]) for i, n in enumerate(lengths))
    assert float(loss) == pytest.approx(expected / sum(map(len, targets)), rel=1e-5)
    assert infeasible == 0 and loss.dtype == torch.float32


def test_loss_is_that_of_torch_per_character() -> None:
    probabilities = log_probs(6, 40, 12)
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(25, 41, (6,), generator=generator)
    target_lengths = torch.randint(1, 12, (6,), generator=generator)
    targets = torch.randint(1, 12, (6, 11), generator=generator)
    targets[torch.arange(11) >= target_lengths[:, None]] = 0
    theirs = F.ctc_loss(
        probabilities.transpose(0, 1), targets, lengths, target_lengths, reduction="sum"
    ) / float(target_lengths.sum())
    loss, infeasible = ctc_loss(probabilities, lengths, targets, target_lengths)
    torch.testing.assert_close(loss, theirs)
    assert infeasible == 0


@pytest.mark.parametrize("impossible", [(1, 2, 1, 2), (1, 1, 2), (2, 2, 2)])
def test_infeasible_lines_are_counted_and_change_nothing(impossible: tuple[int, ...]) -> None:
    probabilities = log_probs(3, 3, 3).requires_grad_()
    lengths = torch.tensor([3, 3, 3])
    assert brute_force(probabilities[1], impossible) == math.inf
    loss, infeasible = ctc_loss(probabilities, lengths, *padded((1, 2), impossible, (2,)))
    assert infeasible == 1
    (gradient,) = torch.autograd.grad(loss, probabilities)
    assert torch.equal(gradient[1], torch.zeros(3, 3)) and gradient[0].abs().sum() > 0

    without = probabilities[[0, 2]].detach()
    alone, none = ctc_loss(without, lengths[:2], *padded((1, 2), (2,)))
    assert none == 0
    torch.testing.assert_close(loss.detach(), alone)


def test_a_batch_of_infeasible_lines_has_no_loss_and_no_gradient() -> None:
    probabilities = log_probs(2, 2, 3).requires_grad_()
    loss, infeasible = ctc_loss(probabilities, torch.tensor([1, 2]), *padded((1, 2), (1, 1)))
    (gradient,) = torch.autograd.grad(loss, probabilities)
    assert (float(loss.detach()), infeasible) == (0.0, 2)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_frames_beyond_a_line_do_not_count() -> None:
    probabilities, changed = log_probs(2, 9, 4), log_probs(2, 9, 4)
    changed[0, 5:], changed[1, 7:] = 3.0, -50.0
    rest = (torch.tensor([5, 7]), *padded((1, 3), (2, 2, 1)))
    assert ctc_loss(probabilities, *rest)[0] == ctc_loss(changed, *rest)[0]


def test_loss_stays_in_float32_under_autocast() -> None:
    probabilities = log_probs(1, 9, 4)
    rest = (torch.tensor([9]), *padded((1, 3)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ctc_loss(probabilities, *rest)[0]
    assert torch.equal(inside, ctc_loss(probabilities, *rest)[0])


class Reader(nn.Module):
    """A backbone that sees in each column's grey level the class that is written there."""

    out_channels, width = 4, 4

    def forward(self, pixels: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        return F.one_hot(pixels[:, 0, 0].long(), 4).float(), widths


class Through(nn.Module):
    width = 4

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x


def batch(*pairs: tuple[list[int], str], unreadable: tuple[str, ...] = ()) -> Batch:
    """Lines one pixel high: the classes that a `Reader` sees, and the truth; charset "abc"."""
    width = max((len(columns) for columns, _ in pairs), default=1)
    pixels = torch.zeros(len(pairs), 1, 1, width, dtype=torch.uint8)
    for i, (columns, _) in enumerate(pairs):
        pixels[i, 0, 0, : len(columns)] = torch.tensor(columns, dtype=torch.uint8)
    texts = [text for _, text in pairs]
    targets, target_lengths = padded(*(tuple(Charset("abc").encode(text)) for text in texts or [""]))
    widths = torch.tensor([len(columns) for columns, _ in pairs], dtype=torch.int64)
    sources = [f"{i}.png" for i in range(len(pairs))]
    return Batch(pixels, widths, targets, target_lengths, texts, sources, list(unreadable))


def test_validation_counts_errors_over_all_batches() -> None:
    model = LineRecognizer(Reader(), Through(), classes=4, dropout=0.0)
    with torch.no_grad():
        model.head.weight.copy_(20 * torch.eye(4))
        model.head.bias.zero_()
    module = RecognizerModule(model, Charset("abc"), lambda model: torch.optim.SGD(model.parameters(), 0.1))
    batches = [
        batch(([1, 0, 2], "ab"), ([3, 3, 0, 3], "cc")),  # both right
        batch(unreadable=("x.png: is empty",)),
        batch(([1, 2], "abbb"), unreadable=("y.png: is empty",)),  # two left out, and too long for its frames
    ]
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        barebones=False,
    )
    trainer.validate(module, DataLoader(batches, batch_size=None), verbose=False)
    found = module.validation
    assert found is not None
    assert found.counts.cer == 2 / 8 and found.counts.line_accuracy == 2 / 3
    assert (found.counts.lines, found.counts.deletions) == (3, 2)
    assert [(r.truth, r.transcript.text) for r in found.samples] == [
        ("ab", "ab"),
        ("cc", "cc"),
        ("abbb", "ab"),
    ]
    assert [r.image.shape for r in found.samples] == [(1, 3), (1, 4), (1, 2)]
    assert list(module.unreadable) == ["x.png: is empty", "y.png: is empty"]
    assert float(trainer.callback_metrics["val/cer"]) == 0.25

    # Nothing to learn from, and a text that does not fit.
    assert module.training_step(batches[1], 0) is None
    loss = module.training_step(batches[2], 1)
    assert loss is not None and loss.item() == 0.0 and module.infeasible == 1


def test_samples_are_taken_from_all_over() -> None:
    readings = [
        ValidationLine(np.zeros((1, 1), np.uint8), str(i), Transcript("", 0.0, ())) for i in range(10)
    ]
    assert [r.truth for r in evenly(readings, 5)] == ["0", "2", "4", "6", "8"]
    assert evenly(readings[:3], 5) == readings[:3]
