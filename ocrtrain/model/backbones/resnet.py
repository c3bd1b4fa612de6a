"""torchvision's ResNets with strides for lines: one row is left, and a quarter or eighth of the width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import WeightsEnum
from torchvision.models.resnet import BasicBlock

from ocrtrain.errors import InputError
from ocrtrain.model.backbones.compact import halve, rows_left
from ocrtrain.model.convolution import read_alone_alike
from ocrtrain.model.mask import mask_columns, masked_relu

DEPTHS = (18, 34)
HALVINGS = 5  # of the rows


class ResNet(nn.Module):
    """ResNet18 or 34 under torchvision's parameter names, then one convolution over the rows that remain.

    depth: 18 or 34; weights: None, a name that torchvision knows ("IMAGENET1K_V1", downloaded once), or the
    path of a state dict saved in torchvision's names; out_channels: features per frame; columns_per_frame: 4
    or 8; height: rows of the lines.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        depth: int = 34,
        weights: str | None = None,
        in_channels: int = 3,
        height: int = 32,
        out_channels: int = 512,
        columns_per_frame: int = 4,
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise InputError(f"backbone.depth={depth}", "is not offered", f"choose one of {DEPTHS}.")
        if columns_per_frame not in (4, 8):
            raise InputError(
                f"backbone.columns_per_frame={columns_per_frame}", "is not offered", "choose 4 or 8."
            )
        self.in_channels, self.height = in_channels, height
        self.columns_per_frame, self.out_channels = columns_per_frame, out_channels
        net: Any = getattr(torchvision.models, f"resnet{depth}")()
        if weights is not None:
            net.load_state_dict(_load_weights(weights, depth, net))
        net.layer2[0] = _narrow(net.layer2[0], (2, 2) if columns_per_frame == 8 else (2, 1))
        net.layer3[0] = _narrow(net.layer3[0], (2, 1))
        net.layer4[0] = _narrow(net.layer4[0], (2, 1))
        self.conv1, self.bn1 = _with_channels(net.conv1, in_channels), net.bn1
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        self.reduce = nn.Conv2d(512, out_channels, (rows_left(height, HALVINGS), 1), bias=False)
        self.reduce_norm = nn.BatchNorm2d(out_channels)
        read_alone_alike(self)
        # The colour statistics that torchvision's weights were trained with.
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        if in_channels == 1:
            mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        self.register_buffer("std", std[:, None, None], persistent=False)

    def reads(self, channels: int, height: int) -> bool:
        """Tell whether lines of so many channels and rows can be read; grey is shown as RGB."""
        rows = rows_left(height, HALVINGS)
        return channels in (1, self.in_channels) and rows == rows_left(self.height, HALVINGS)

    def forward(self, pixels: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 pixels [N, C, H, W] with widths [N] to features [N, T, out_channels] and lengths [N]."""
        x = mask_columns((pixels.float() / 255.0 - self.mean) / self.std, widths)
        x = x.contiguous(memory_format=torch.channels_last)
        widths = halve(widths)
        x = masked_relu(self.bn1(self.conv1(x)), widths)
        widths = halve(widths)
        # What the window sees beyond a line's end is 0, never more than what it sees within.
        x = mask_columns(F.max_pool2d(x, 3, 2, 1), widths)
        for number, layer in enumerate((self.layer1, self.layer2, self.layer3, self.layer4), start=1):
            if number == 2 and self.columns_per_frame == 8:
                widths = halve(widths)
            for block in layer:
                x = _residual(block, x, widths)
        x = F.relu_(self.reduce_norm(self.reduce(x)))
        return x[:, :, 0].transpose(1, 2), widths


def _residual(block: Any, x: Tensor, widths: Tensor) -> Tensor:
    """torchvision's BasicBlock, masked so that padding stays zero."""
    y = masked_relu(block.bn1(block.conv1(x)), widths)
    y = block.bn2(block.conv2(y)) + (x if block.downsample is None else block.downsample(x))
    return masked_relu(y, widths)


def _narrow(block: BasicBlock, stride: tuple[int, int]) -> BasicBlock:
    """Change the stride of a layer's first block; its weights stay."""
    assert block.downsample is not None
    block.conv1.stride = stride
    block.downsample[0].stride = stride
    return block


def _with_channels(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Fold the RGB kernels into one for grey lines: the answer to grey shown as RGB stays about the same."""
    if channels == 3:
        return conv
    grey = nn.Conv2d(1, conv.out_channels, 7, 2, 3, bias=False)
    with torch.no_grad():
        grey.weight.copy_(conv.weight.sum(1, keepdim=True))
    return grey


def _load_weights(weights: str, depth: int, net: nn.Module) -> dict[str, Tensor]:
    known = torchvision.models.get_model_weights(f"resnet{depth}")
    way_on = f"give a file of resnet{depth} weights, or backbone.weights=null."
    if weights in known.__members__:
        state = _download(known[weights], weights)
    else:
        path = Path(weights).expanduser()
        if not path.is_file():
            names = ", ".join(known.__members__)
            raise InputError(
                f"backbone.weights={weights}",
                "is neither a file nor known",
                f"known are {names}, or null for none.",
            )
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a file that is not a state dict makes of the reader
            reason = str(error).partition("\n")[0]
            raise InputError(f"backbone.weights={path}", f"is not a state dict ({reason})", way_on) from None
    if not isinstance(state, dict):
        raise InputError(f"backbone.weights={weights}", "is not a state dict", way_on)
    # Files from before batch norms counted their batches lack that count, and nothing here reads it.
    expected = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    wrong = [k for k, v in expected.items() if not _alike(state.get(k), v)]
    if wrong:
        raise InputError(
            f"backbone.weights={weights}",
            f"is not a ResNet{depth} of torchvision: {len(wrong)} tensors lack or differ, first {wrong[0]}",
            way_on,
        )
    return {k: state[k] for k in net.state_dict() if k in state}


def _alike(found: Any, expected: Tensor) -> bool:
    return isinstance(found, Tensor) and found.shape == expected.shape


def _download(weights: WeightsEnum, name: str) -> Any:
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no network, no such page, no permission, a damaged file
        place = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"backbone.weights={name}",
            f"cannot be downloaded or read ({reason})",
            f"put the file at {place}, give a path with backbone.weights=PATH, "
            "or start from random weights with backbone.weights=null.",
        ) from None
