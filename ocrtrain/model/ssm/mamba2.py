"""The Mamba-2 layer (SSD), with the parameter names, shapes and initialisation of mamba-ssm's `Mamba2`.

Source: Dao and Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured
State Space Duality", 2024, section 7.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ocrtrain.errors import InputError
from ocrtrain.model.ssm.backend import check_name
from ocrtrain.model.ssm.convolution.dispatch import causal_convolution
from ocrtrain.model.ssm.gated_norm.norm import GatedRMSNorm
from ocrtrain.model.ssm.ssd.dispatch import CHUNK, state_space_duality


class Mamba2(nn.Module):
    """A state-space layer whose decay is one number per head and frame, in one direction of time.

    d_model: width of input and output; d_state: S, states per channel; d_conv: taps of the causal
    convolution; expand: inner width D = expand * d_model; headdim: P, channels of a head; ngroups: groups of
    heads that share B and C; chunk_size: frames whose products are formed at once where the recurrence is not
    compiled, a matter of speed alone.
    With `reverse`, time runs from each line's own last frame to its first. A_log, D and dt_bias stay float32.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 128,
        d_conv: int = 4,
        expand: float = 2,
        headdim: int = 64,
        ngroups: int = 1,
        A_init_range: tuple[float, float] = (1.0, 16.0),
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init_floor: float = 1e-4,
        conv_bias: bool = True,
        bias: bool = False,
        chunk_size: int = CHUNK,
        reverse: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.d_inner = int(expand * d_model)
        self.d_state, self.headdim, self.ngroups = d_state, headdim, ngroups
        self.chunk_size, self.reverse, self.backend = chunk_size, reverse, check_name(backend)
        self.nheads = heads_of(self.d_inner, headdim, ngroups)
        self.conv_dim = self.d_inner + 2 * ngroups * d_state
        self.in_proj = nn.Linear(d_model, self.d_inner + self.conv_dim + self.nheads, bias=bias)
        self.conv1d = nn.Conv1d(self.conv_dim, self.conv_dim, d_conv, groups=self.conv_dim, bias=conv_bias)
        self.norm = GatedRMSNorm(self.d_inner, ngroups)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=bias)

        dt = torch.exp(torch.rand(self.nheads) * math.log(dt_max / dt_min) + math.log(dt_min))
        dt = dt.clamp(min=dt_init_floor)
        # softplus(dt_bias) = dt: step sizes start log-uniform in [dt_min, dt_max]
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_log = nn.Parameter(torch.empty(self.nheads).uniform_(*A_init_range).log())
        self.D = nn.Parameter(torch.ones(self.nheads))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map x [N, T, d_model] to [N, T, d_model]; frames at or beyond lengths [N] come out as zeros."""
        z, xBC, dt = self.in_proj(x).split([self.d_inner, self.conv_dim, self.nheads], dim=-1)
        xBC = causal_convolution(
            xBC, self.conv1d.weight, self.conv1d.bias, lengths, self.reverse, self.backend
        )
        shared = self.ngroups * self.d_state
        u, B, C = xBC.split([self.d_inner, shared, shared], dim=-1)
        dt = step_sizes(dt.float() + self.dt_bias.float())
        y = state_space_duality(
            u.unflatten(-1, (self.nheads, self.headdim)),
            dt,
            -torch.exp(self.A_log.float()),
            B.unflatten(-1, (self.ngroups, self.d_state)),
            C.unflatten(-1, (self.ngroups, self.d_state)),
            self.D,
            lengths,
            self.reverse,
            self.chunk_size,
            self.backend,
        )
        return self.out_proj(self.norm(y.flatten(2), z))


def step_sizes(dt: Tensor) -> Tensor:
    """Take the softplus of dt [N, T, heads], of each number alike wherever it stands.

    On a CPU what is left over by whole vectors is computed by another formula, so where a line reads, dt is
    filled up to whole ones: its result is not to tell how many lines were beside it.
    """
    left_over = 0 if torch.is_grad_enabled() or dt.device.type != "cpu" else -dt.numel() % 64
    if not left_over:
        return F.softplus(dt)
    return F.softplus(F.pad(dt.flatten(), (0, left_over)))[:-left_over].view(dt.shape)


def heads_of(inner: int, headdim: int, ngroups: int) -> int:
    """Number of heads of `headdim` channels that make up `inner`; raises InputError where they do not."""
    if headdim < 1 or inner % headdim:
        fitting = [str(p) for p in (16, 32, 64, 128) if inner % p == 0]
        raise InputError(
            f"encoder.headdim={headdim}",
            f"does not divide the inner width {inner} (encoder.expand times encoder.width)",
            f"choose a divisor{', such as ' + ', '.join(fitting) if fitting else ''}.",
        )
    heads = inner // headdim
    if ngroups < 1 or heads % ngroups:
        raise InputError(
            f"encoder.ngroups={ngroups}",
            f"does not divide the {heads} heads",
            "choose a divisor; 1 is the usual one.",
        )
    return heads
