"""Optimizers over a recognizer's parameters, decayed or not as each kind needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw as adamw_update

from ocrtrain.model.adapt import is_added
from ocrtrain.settings import Limits, checked

NotNegative = Annotated[float, Limits(least=0, below=math.inf)]
NO_DECAY = ("A_log", "D", "dt_bias")  # state-space parameters whose size has a meaning


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Tell whether weights decay: matrices and kernels do, biases and norms do not."""
    return parameter.ndim >= 2 and name.rpartition(".")[2] not in NO_DECAY


def check_rates(**rates: float) -> None:
    """Raise InputError for a learning rate or decay that is negative or infinite."""
    for name, rate in rates.items():
        checked(rate, NotNegative, f"optimizer.{name}")


def adamw(
    model: nn.Module, lr: float, weight_decay: float = 0.05, betas: tuple[float, float] = (0.9, 0.98)
) -> torch.optim.Optimizer:
    """Make AdamW over the trainable parameters, without weight decay where it would do harm."""
    check_rates(lr=lr, weight_decay=weight_decay)
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in trainable if is_decayed(n, p)], "weight_decay": weight_decay},
        {"params": [p for n, p in trainable if not is_decayed(n, p)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, fused=True)
    # A fused step would undo the scaling of half-precision losses itself, too late for clipping.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def muon(
    model: nn.Module,
    lr: float,
    matrix_lr: float = 0.02,
    weight_decay: float = 0.05,
    betas: tuple[float, float] = (0.9, 0.98),
    momentum: float = 0.95,
) -> torch.optim.Optimizer:
    """Make Muon for the hidden matrices and kernels, AdamW for everything else (see `Muon`)."""
    check_rates(lr=lr, matrix_lr=matrix_lr, weight_decay=weight_decay)
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    # First and last layers face pixels and characters, not features; depthwise kernels are not matrices, but
    # a low-rank adapter's are, however few columns they have.
    hidden = [
        p
        for n, p in trainable
        if is_decayed(n, p)
        and (is_added(n) or (p.flatten(1).shape[1] >= 16 and not n.startswith(("head.", "backbone.stem"))))
    ]
    chosen = {id(p) for p in hidden}
    rest = [(n, p) for n, p in trainable if id(p) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": hidden, "orthogonal": True, "lr": matrix_lr, "weight_decay": weight_decay},
        {"params": [p for n, p in rest if is_decayed(n, p)], "weight_decay": weight_decay},
        {"params": [p for n, p in rest if not is_decayed(n, p)], "weight_decay": 0.0},
    ]
    return Muon([g for g in groups if g["params"]], lr=lr, betas=betas, momentum=momentum)


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is orthogonalized: every direction moves by the same amount.

    Groups with `orthogonal` true hold matrices and convolution kernels (read as [out, in * height * width]);
    the others are updated as by AdamW.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """

    # Not `torch.optim.Muon`: that takes matrices alone, no kernels, and orthogonalizes in bfloat16, which
    # leaves updates 2% off and takes 30 times as long or more on a CPU without bfloat16.

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.98),
        momentum: float = 0.95,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if group["orthogonal"]:
                for p in moved:
                    self._orthogonal(p, self.state[p], group)
            else:
                self._adamw(moved, group)
        return loss

    @staticmethod
    def _orthogonal(p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        assert p.grad is not None
        if not state:
            state["momentum"] = torch.zeros_like(p)
        average = state["momentum"]
        average.lerp_(p.grad, 1 - group["momentum"])
        update = orthogonalize(p.grad.lerp(average, group["momentum"]).flatten(1))
        # A tall matrix's update has fewer directions than rows: scaled, rows move as much as a square one's.
        rows, columns = update.shape
        scale = max(1.0, rows / columns) ** 0.5
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(update.view_as(p), alpha=-group["lr"] * scale)

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        states = [self.state[p] for p in parameters]
        for p, state in zip(parameters, states, strict=True):
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
        first, second = group["betas"]
        adamw_update(
            parameters,
            [p.grad for p in parameters if p.grad is not None],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            # In checkpoints a step is an integer; torch counts in tensors of its own.
            [torch.tensor(float(state["step"])) for state in states],
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
            # On a GPU a fused update wants the steps there, too; without it, all tensors go together there.
            fused=parameters[0].is_cpu or None,
        )
        for state in states:
            state["step"] += 1


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of `matrix` [rows, columns] near 1 by Newton-Schulz steps.

    The quintic's coefficients are Jordan et al.'s: they trade exactness (values end within about 0.7 to 1.2)
    for speed.
    """
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    # Each step is a polynomial of x x^T times x. Such polynomials commute, so all steps are taken on the
    # small square matrix, and the long one is multiplied twice, not ten times.
    gram, total = x @ x.T, None
    for _ in range(steps):
        polynomial = (gram @ gram).mul_(2.0315).sub_(gram, alpha=4.7750)
        polynomial.diagonal().add_(3.4445)
        total = polynomial if total is None else polynomial @ total
        gram = polynomial @ gram @ polynomial
    x = x if total is None else total @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x
