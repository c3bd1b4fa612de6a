"""A convolution that reads a line alone exactly as it reads it in a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ocrtrain.model.replacement import replace_modules


class Convolution(nn.Conv2d):
    """`nn.Conv2d`, by the same kernel for one line as for many where it reads on a CPU in float32.

    On one thread torch hands one small line, or a few lines with a kernel of 1x1, to kernels of its own,
    which add up in another order than oneDNN's, which do all others: the last bits of a result then tell how
    a line was read. Here oneDNN does all.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not _only_reads(input, weight):
            return super()._conv_forward(input, weight, bias)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            input, weight, bias, self.padding, self.stride, self.dilation, self.groups
        )


def _only_reads(input: Tensor, weight: Tensor) -> bool:
    return (
        input.numel() > 0
        and input.device.type == "cpu"
        and input.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )


def arguments_of(conv: nn.Conv2d) -> dict[str, Any]:
    """Give the arguments that a convolution like `conv` is made with, to take over its weight and bias."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    given = {name: getattr(conv, name) for name in (*names, "padding_mode")}
    return {**given, "bias": conv.bias is not None, "device": "meta"}


def read_alone_alike(model: nn.Module) -> None:
    """Replace the plain convolutions inside `model`, such as another library's network, by `Convolution`s."""

    def replacement(module: nn.Module) -> Convolution | None:
        if type(module) is not nn.Conv2d:
            return None
        made = Convolution(**arguments_of(module))
        made.weight, made.bias = module.weight, module.bias
        return made

    replace_modules(model, replacement)
