"""What is padding, and what a masked ReLU does to it and to its gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ocrtrain.model.mask import frame_mask, mask_columns, masked_relu


def test_frames_before_a_line_s_end_are_valid() -> None:
    assert frame_mask(torch.tensor([0, 2, 3]), 3).tolist() == [
        [False, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_masked_relu_is_a_mask_and_a_relu_with_their_gradient() -> None:
    torch.manual_seed(0)
    x, widths = torch.randn(3, 2, 4, 5), torch.tensor([5, 2, 0])
    one, other = (x.clone().requires_grad_() for _ in range(2))
    y = masked_relu(one * 1.0, widths)
    expected = F.relu(mask_columns(other, widths))
    assert torch.equal(y, expected)
    dy = torch.randn_like(y)
    y.backward(dy)
    expected.backward(dy)
    assert one.grad is not None and other.grad is not None
    assert torch.equal(one.grad, other.grad)
    with torch.no_grad():
        assert torch.equal(masked_relu(x.clone(), widths), y)


def test_a_masked_relu_does_not_spread_what_padding_holds() -> None:
    x = torch.full((1, 1, 1, 3), torch.inf)
    x[..., 0] = 1.0
    y = masked_relu(x.requires_grad_() * 1.0, torch.tensor([1]))
    assert y.flatten().tolist() == [1.0, 0.0, 0.0]
