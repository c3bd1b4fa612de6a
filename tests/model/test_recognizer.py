"""The model as a whole: what it returns, and that a line's batch never changes its result."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet, ResNet
from ocrtrain.model.encoders import BiLSTMEncoder, IdentityEncoder, MambaEncoder

CLASSES = 11
BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "compact": lambda: CompactResNet(3, 32, (8, 8, 12, 16), 24),
    "ResNet18": lambda: ResNet(18, None, 3, 32, 24),
}
ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "mamba": lambda: MambaEncoder(16, 2),
    "bilstm": lambda: BiLSTMEncoder(16, 2),
    "none": lambda: IdentityEncoder(24),
}


def recognizer(backbone: str, encoder: str) -> LineRecognizer:
    """Build a model whose batch norms are far from the identity that they start as."""
    torch.manual_seed(0)
    model = LineRecognizer(BACKBONES[backbone](), ENCODERS[encoder](), CLASSES)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.3)
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@pytest.fixture(
    scope="module", params=[(b, e) for b in BACKBONES for e in ENCODERS], ids=lambda names: " + ".join(names)
)
def model(request: pytest.FixtureRequest) -> LineRecognizer:
    return recognizer(*request.param)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=5, deadline=None)
@given(
    widths=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    beyond=st.integers(0, 40),
    seed=st.integers(0, 2**16),
)
@torch.inference_mode()
def test_padding_never_changes_a_line(
    model: LineRecognizer, widths: list[int], beyond: int, seed: int
) -> None:
    # Whatever lies in the columns beyond a line's end: here it is noise, like the line itself.
    pixels = noise(len(widths), 3, 32, max(widths) + beyond, seed=seed)
    together, lengths = model(pixels, torch.tensor(widths))
    assert lengths.tolist() == [-(-width // 4) for width in widths]
    for n, (width, length) in enumerate(zip(widths, lengths.tolist(), strict=True)):
        alone, own = model(pixels[n : n + 1, :, :, :width], torch.tensor([width]))
        assert own.tolist() == [length] and alone.shape[1] == length
        torch.testing.assert_close(together[n, :length], alone[0], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_what_comes_out_are_log_probabilities(model: LineRecognizer) -> None:
    log_probs, lengths = model(noise(2, 3, 32, 40), torch.tensor([40, 9]))
    assert log_probs.shape == (2, 10, CLASSES) and log_probs.dtype == torch.float32
    assert lengths.tolist() == [10, 3] and lengths.dtype == torch.int64
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 10))


@torch.inference_mode()
def test_half_precision_ends_before_the_softmax(model: LineRecognizer) -> None:
    pixels, widths = noise(2, 3, 32, 40), torch.tensor([40, 9])
    exact, _ = model(pixels, widths)
    with torch.autocast("cpu", torch.bfloat16):
        log_probs, _ = model(pixels, widths)
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 10))
    torch.testing.assert_close(log_probs, exact, rtol=0, atol=0.1)


def test_every_parameter_learns(model: LineRecognizer) -> None:
    model.train()
    try:
        log_probs, _ = model(noise(3, 3, 32, 40), torch.tensor([40, 30, 9]))
        log_probs[..., 1].sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), name
    finally:
        model.zero_grad()
        model.eval()


def test_a_bridge_is_built_only_between_different_widths() -> None:
    model = LineRecognizer(BACKBONES["compact"](), MambaEncoder(16, 1), CLASSES)
    assert isinstance(model.bridge, nn.Linear) and model.bridge.weight.shape == (16, 24)
    model = LineRecognizer(BACKBONES["compact"](), MambaEncoder(24, 1), CLASSES)
    assert not list(model.bridge.parameters())


def test_a_frozen_batch_norm_keeps_its_statistics_in_training() -> None:
    model = recognizer("compact", "none")
    model.backbone.stages[0].requires_grad_(False)
    model.train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(noise(2, 3, 32, 40), torch.tensor([40, 30]))
    moved = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert not any(name.startswith("backbone.stages.0.") for name in moved)
    assert {"backbone.stem_norm.running_mean", "backbone.stages.1.norm1.running_var"} <= moved
    model.backbone.requires_grad_(True)
    assert all(module.training for module in model.train().modules())
    assert not any(module.training for module in model.eval().modules())
