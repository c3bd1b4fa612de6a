"""A line alone and in any batch: the same numbers, bit for bit, on one thread of a CPU, in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ocrtrain import Recognizer
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Bottleneck
from ocrtrain.model.backbones import CompactResNet, ResNet
from ocrtrain.model.convolution import Convolution, read_alone_alike
from ocrtrain.model.encoders import IdentityEncoder, Mamba2Encoder, MambaEncoder

HEIGHT, MULTIPLE = 40, 32
MODELS: dict[str, Callable[[], LineRecognizer]] = {
    "compact + mamba": lambda: LineRecognizer(CompactResNet(), MambaEncoder(256, 1), 90),
    "compact + mamba2": lambda: LineRecognizer(CompactResNet(), Mamba2Encoder(256, 1), 90),
    "compact + none": lambda: LineRecognizer(CompactResNet(), IdentityEncoder(256), 90),
    "small + mamba": lambda: LineRecognizer(CompactResNet(1, 40, (8, 8, 16), 32), MambaEncoder(32, 1), 9),
    "small + mamba2": lambda: LineRecognizer(CompactResNet(1, 40, (8, 8, 16), 32), Mamba2Encoder(32, 1), 9),
    "resnet18 + none": lambda: LineRecognizer(ResNet(18, None, 1, 40, 64), IdentityEncoder(64), 90),
}
only_measured_kernels = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="measured with AVX2 and above"
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, one_thread: None) -> LineRecognizer:
    torch.manual_seed(0)
    made = MODELS[request.param]()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made.to(memory_format=torch.channels_last).eval()


def read(model: nn.Module, lines: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Read lines [1, H, w] in one batch, padded as everywhere."""
    widths = [line.shape[-1] for line in lines]
    pixels = torch.zeros(len(lines), 1, HEIGHT, -(-max(widths) // MULTIPLE) * MULTIPLE, dtype=torch.uint8)
    for into, line in zip(pixels, lines, strict=True):
        into[:, :, : line.shape[-1]] = line
    log_probs, lengths = model(pixels, torch.tensor(widths))
    return log_probs, lengths


@only_measured_kernels
@settings(max_examples=4, deadline=None)
@given(widths=st.lists(st.integers(1, 400), min_size=2, max_size=8), seed=st.integers(0, 2**16))
@example(widths=[40, 90], seed=0)
@example(widths=[100] * 4, seed=1)
@example(widths=[30] * 64, seed=2)
@example(widths=[33, 900], seed=3)
@torch.inference_mode()
def test_a_line_alone_is_read_as_in_any_batch(model: LineRecognizer, widths: list[int], seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    lines = [torch.randint(256, (1, HEIGHT, w), generator=draws, dtype=torch.uint8) for w in widths]
    together, lengths = read(model, lines)
    for n in {0, len(lines) // 2, len(lines) - 1}:
        alone, own = read(model, [lines[n]])
        length = int(own[0])
        assert length == int(lengths[n])
        assert torch.equal(together[n, :length], alone[0, :length])


@only_measured_kernels
@pytest.mark.parametrize("size", [2, 5, 16])
def test_transcripts_do_not_tell_how_they_were_read(trained: Path, size: int) -> None:
    recognizer = Recognizer.load(trained / "runs/tiny/checkpoints/best.ckpt", device="cpu")
    images = sorted((trained / "lines").glob("*.png"))
    for one, other in zip(recognizer.read(images, 1), recognizer.read(images, size), strict=True):
        assert (one.text, one.confidence) == (other.text, other.confidence)
        assert list(one.characters) == list(other.characters)


def test_another_librarys_network_is_read_alike_too() -> None:
    backbone = ResNet(18, None, 1, 40, 64)
    plain = [name for name, part in backbone.named_modules() if type(part) is nn.Conv2d]
    assert plain == []
    lone = nn.Sequential(nn.Conv2d(1, 4, 3))
    weight = lone[0].weight
    read_alone_alike(lone)
    assert type(lone[0]) is Convolution and lone[0].weight is weight
    model = LineRecognizer(CompactResNet(), IdentityEncoder(256), 9)
    Bottleneck(8)(model)
    assert not [name for name, part in model.named_modules() if type(part) is nn.Conv2d]


@pytest.mark.parametrize("stride", [1, (2, 1)])
def test_it_is_a_convolution(stride: int | tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = Convolution(8, 12, 3, stride, padding=1)
    x = torch.randn(1, 8, 10, 20)
    exact = nn.functional.conv2d(
        x.double(), ours.weight.double(), ours.bias.double() if ours.bias is not None else None, stride, 1
    )
    with torch.inference_mode():
        torch.testing.assert_close(ours(x).double(), exact, rtol=1e-5, atol=1e-5)
        assert ours(x[:, :, :, :0].reshape(0, 8, 10, 20)).shape[0] == 0
    ours(x).sum().backward()
    assert ours.weight.grad is not None
