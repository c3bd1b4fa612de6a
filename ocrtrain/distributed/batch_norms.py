"""Batch norms in a run of several processes."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch import distributed as dist

from ocrtrain.distributed import collectives
from ocrtrain.model.replacement import replace_modules


class SharedStatistics(Callback):
    """Gives all processes the mean of their running statistics after every batch.

    Each process normalizes by its own lines, but all validate with the same model, and whichever saves it
    saves what all have seen.
    """

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        norms = [m for m in pl_module.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
        statistics = [b for norm in norms for b in (norm.running_mean, norm.running_var) if b is not None]
        if collectives.processes() == 1 or not statistics:
            return
        flat = torch.cat([statistic.flatten() for statistic in statistics])
        flat = collectives.sum_over_processes(flat) / collectives.processes()
        for statistic, mean in zip(statistics, flat.split([s.numel() for s in statistics]), strict=True):
            statistic.copy_(mean.view_as(statistic))


def synchronize(model: nn.Module) -> None:
    """Let the batch norms of `model` that are trained normalize by the lines of all processes together.

    Before DDP and optimizers see the model: the norms are replaced, with their very parameters and buffers.
    """

    def replacement(module: nn.Module) -> SynchronizedBatchNorm2d | None:
        if type(module) is not nn.BatchNorm2d or not module.weight.requires_grad:
            return None
        made = SynchronizedBatchNorm2d(module.num_features, module.eps, module.momentum)
        made.weight, made.bias = module.weight, module.bias
        for name, buffer in module.named_buffers():
            setattr(made, name, buffer)
        return made

    replace_modules(model, replacement)


class SynchronizedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm over the lines of all processes; the same on every device, a CPU too.

    Its results and gradients are those of one process with all the lines, padded to the same width.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x [N, C, H, W]; N may differ from process to process, and be 0."""
        if not self.training or collectives.processes() == 1:
            return super().forward(x)
        y = x.float()
        count = torch.full((1,), x.numel() // x.shape[1], dtype=y.dtype, device=y.device)
        sums = SumOverProcesses.apply(torch.cat([y.sum((0, 2, 3)), count]))
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = y - mean[:, None, None]
        variance = SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class SumOverProcesses(torch.autograd.Function):
    """Add a tensor up over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
