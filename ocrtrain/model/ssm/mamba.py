"""The Mamba layer (S6), with the parameter names, shapes and initialisation of mamba-ssm's `Mamba`.

Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, figure 3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ocrtrain.model.ssm.backend import check_name
from ocrtrain.model.ssm.convolution.dispatch import causal_convolution
from ocrtrain.model.ssm.scan.dispatch import selective_scan


class Mamba(nn.Module):
    """A selective state-space layer over a sequence, in one direction of time.

    d_model: width of input and output; d_state: S, states per channel; d_conv: taps of the causal
    convolution; expand: inner width D = expand * d_model; dt_rank: rank of the step size's projection
    ("auto": d_model / 16). With `reverse`, time runs from each line's own last frame to
    its first. A_log and D stay float32.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: float = 2,
        dt_rank: int | str = "auto",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init_floor: float = 1e-4,
        conv_bias: bool = True,
        bias: bool = False,
        reverse: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.d_state, self.reverse, self.backend = d_state, reverse, check_name(backend)
        self.d_inner = int(expand * d_model)
        self.dt_rank = math.ceil(d_model / 16) if dt_rank == "auto" else int(dt_rank)
        self.in_proj = nn.Linear(d_model, 2 * self.d_inner, bias=bias)
        self.conv1d = nn.Conv1d(self.d_inner, self.d_inner, d_conv, groups=self.d_inner, bias=conv_bias)
        self.x_proj = nn.Linear(self.d_inner, self.dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, self.d_inner)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=bias)

        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        dt = torch.exp(torch.rand(self.d_inner) * math.log(dt_max / dt_min) + math.log(dt_min))
        dt = dt.clamp(min=dt_init_floor)
        with torch.no_grad():  # softplus(bias) = dt: step sizes start log-uniform in [dt_min, dt_max]
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
        A = torch.arange(1, d_state + 1, dtype=torch.float32).repeat(self.d_inner, 1)
        self.A_log = nn.Parameter(A.log())
        self.D = nn.Parameter(torch.ones(self.d_inner))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map x [N, T, d_model] to [N, T, d_model]; frames at or beyond lengths [N] come out as zeros."""
        u, z = self.in_proj(x).chunk(2, dim=-1)
        u = causal_convolution(u, self.conv1d.weight, self.conv1d.bias, lengths, self.reverse, self.backend)
        dt, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        # dt_proj is called, its weight is not read, so that an adapter on it takes part.
        delta = self.dt_proj(dt)
        A = -torch.exp(self.A_log.float())
        y = selective_scan(
            u, delta, A, B, C, self.D, z, None, True, lengths, reverse=self.reverse, backend=self.backend
        )
        return self.out_proj(y)
