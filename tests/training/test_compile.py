"""What torch.compile makes of the backbone: the same results, from few versions for all widths."""

from __future__ import annotations

import torch
from torch._dynamo.testing import CompileCounter

from ocrtrain.commands.fit.fit import compile_backbone
from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import IdentityEncoder


def test_widths_and_batch_sizes_share_their_versions() -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    plain, compiled = (
        LineRecognizer(CompactResNet(1, 40, (4, 4, 8), 8), IdentityEncoder(8), 3, dropout=0.0)
        for _ in range(2)
    )
    compiled.load_state_dict(plain.state_dict())
    counter = CompileCounter()  # as torch sees the backbone; machine code takes minutes to make
    compile_backbone(compiled, counter)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    versions = []
    for lines, width in ((4, 64), (4, 96), (3, 128), (8, 160), (5, 320), (2, 640), (6, 32)):
        pixels = torch.randint(256, (lines, 1, 40, width), dtype=torch.uint8)
        widths = torch.randint(width // 2, width + 1, (lines,))
        ours, theirs = (model(pixels, widths)[0] for model in (compiled, plain))
        torch.testing.assert_close(ours, theirs)
        ours.sum().backward()
        versions.append(counter.frame_count)
    assert len(set(versions[2:])) == 1, versions  # a second batch size may make others, a width none
    assert all(p.grad is not None for p in compiled.backbone.parameters())
    torch._dynamo.reset()
