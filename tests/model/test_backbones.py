"""The backbones: how many frames come out, what padding does, and whose weights a ResNet takes."""

from __future__ import annotations

import copy
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.backbones import CompactResNet, ResNet
from ocrtrain.model.backbones.compact import ResidualBlock

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "compact": lambda: CompactResNet(3, 32, (4, 4, 8, 8), 6),
    "compact, odd height": lambda: CompactResNet(3, 27, (4, 8), 6),
    "ResNet18 to a quarter": lambda: ResNet(18, None, 3, 32, 6),
    "ResNet18 to an eighth": lambda: ResNet(18, None, 3, 40, 6, columns_per_frame=8),
}
HEIGHTS = {"compact, odd height": 27, "ResNet18 to an eighth": 40}


@pytest.fixture(scope="module", params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> tuple[nn.Module, int]:
    """A backbone in evaluation, and the height that it reads."""
    torch.manual_seed(0)
    return unsettle(BACKBONES[request.param]()).eval(), HEIGHTS.get(request.param, 32)


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    """torchvision's own ResNet18, with random weights."""
    torch.manual_seed(0)
    return unsettle(torchvision.models.resnet18()).eval()


@pytest.fixture(scope="module")
def weights(resnet18: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights in a file."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18.state_dict(), path)
    return path


def unsettle(model: nn.Module) -> nn.Module:
    """Move batch norms away from the identity that they start as: padding then stays zero by no luck."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.3)
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def noise(*shape: int) -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_a_line_has_as_many_frames_as_its_columns_fill(backbone: tuple[nn.Module, int]) -> None:
    model, height = backbone
    columns = model.columns_per_frame
    widths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33]
    features, lengths = model(noise(len(widths), 3, height, 33), torch.tensor(widths))
    assert lengths.tolist() == [-(-width // columns) for width in widths]
    assert lengths.dtype == torch.int64
    assert features.shape == (len(widths), -(-33 // columns), 6)
    for width in widths:
        features, lengths = model(noise(1, 3, height, width), torch.tensor([width]))
        assert features.shape[1] == lengths.item() == -(-width // columns)


@torch.inference_mode()
def test_neither_padding_nor_its_pixels_reach_a_line(backbone: tuple[nn.Module, int]) -> None:
    model, height = backbone
    widths = torch.tensor([1, 6, 13, 32, 45])
    pixels = noise(5, 3, height, 64)
    together, lengths = model(pixels, widths)
    for n, (width, length) in enumerate(zip(widths.tolist(), lengths.tolist(), strict=True)):
        alone, _ = model(pixels[n : n + 1, :, :, :width], widths[n : n + 1])
        torch.testing.assert_close(together[n, :length], alone[0], rtol=1e-4, atol=1e-5)


def test_every_row_of_a_line_is_seen(backbone: tuple[nn.Module, int]) -> None:
    model, height = backbone
    pixels = noise(1, 3, height, 24).float().requires_grad_()
    features, _ = model(pixels, torch.tensor([24]))
    (gradient,) = torch.autograd.grad(features.square().sum(), pixels)
    assert (gradient.abs().sum((0, 1, 3)) > 0).all()


@pytest.mark.parametrize("stride", [(2, 1), (2, 2)])
@pytest.mark.parametrize("channels", [(4, 8), (8, 12), (12, 16), (16, 12), (32, 64)])
def test_a_blocks_gradients_are_those_of_double_precision(
    channels: tuple[int, int], stride: tuple[int, int]
) -> None:
    # Double precision runs plain loops, which share nothing with the kernels made for this processor.
    torch.manual_seed(0)
    single = ResidualBlock(*channels, stride)
    double = copy.deepcopy(single).double()
    x, widths = torch.randn(8, channels[0], 16, 40), torch.tensor([40, 40, 33, 20, 12, 4, 2, 1]) // stride[1]
    outcomes = []
    for block in (single, double):
        given = x.to(block.conv1.weight.dtype, memory_format=torch.channels_last).requires_grad_()
        y = block(given, widths)
        y.square().mean().backward()
        outcomes.append(
            {"output": y, "input": given.grad, **{k: p.grad for k, p in block.named_parameters()}}
        )
    for name, one in outcomes[0].items():
        assert (one - outcomes[1][name]).norm() <= 1e-4 * outcomes[1][name].norm(), name


def test_paper_is_what_padding_is() -> None:
    # The compact network reads ink, so white columns beyond a line's end are as good as none.
    torch.manual_seed(0)
    model = unsettle(CompactResNet(1, 16, (4, 4), 6)).eval()
    paper = torch.full((1, 1, 16, 8), 255, dtype=torch.uint8)
    seen = []
    model.stem.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(paper, torch.tensor([8]))
    assert not seen[0].any()


def test_a_compact_network_needs_a_stage() -> None:
    with pytest.raises(InputError, match=r"backbone.channels=\[32\]"):
        CompactResNet(channels=[32])


def test_a_resnets_first_layers_are_torchvisions(resnet18: nn.Module, weights: Path) -> None:
    ours = ResNet(18, str(weights)).eval()
    assert torch.equal(ours.conv1.weight, resnet18.conv1.weight)
    pixels = noise(2, 3, 32, 96)
    seen = []
    ours.layer2[0].conv1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.inference_mode():
        ours(pixels, torch.tensor([96, 96]))
        x = torchvision.transforms.functional.normalize(
            pixels.float() / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        )
        stem = resnet18.maxpool(resnet18.relu(resnet18.bn1(resnet18.conv1(x))))
        expected = resnet18.layer1(stem)
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_a_resnets_deeper_layers_are_torchvisions_with_other_strides(
    resnet18: nn.Module, weights: Path
) -> None:
    ours = ResNet(18, str(weights), columns_per_frame=8).eval()
    for number, stride in ((2, (2, 2)), (3, (2, 1)), (4, (2, 1))):
        block, original = getattr(ours, f"layer{number}")[0], getattr(resnet18, f"layer{number}")[0]
        assert block.conv1.stride == block.downsample[0].stride == stride
        for (name, one), (_, other) in zip(
            block.state_dict().items(), original.state_dict().items(), strict=True
        ):
            assert torch.equal(one, other), name


def test_kernels_for_grey_add_up_those_for_colours(resnet18: nn.Module, weights: Path) -> None:
    grey = ResNet(18, str(weights), in_channels=1)
    assert torch.equal(grey.conv1.weight, resnet18.conv1.weight.sum(1, keepdim=True))
    features, lengths = grey.eval()(noise(1, 1, 32, 40), torch.tensor([40]))
    assert features.shape == (1, 10, 512) and lengths.tolist() == [10]


def test_batch_counts_may_be_missing_from_a_file_of_weights(resnet18: nn.Module, tmp_path: Path) -> None:
    state = {k: v for k, v in resnet18.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    ours = ResNet(18, str(tmp_path / "old.pth"))
    assert torch.equal(ours.bn1.running_mean, resnet18.bn1.running_mean)


def test_weights_of_another_network_are_refused_by_the_tensor(weights: Path) -> None:
    with pytest.raises(InputError, match=r"resnet18.pth: is not a ResNet34 .*first layer1\.2\.conv1\.weight"):
        ResNet(34, str(weights))


def test_a_tensor_of_another_shape_is_named(resnet18: nn.Module, tmp_path: Path) -> None:
    state = dict(resnet18.state_dict())
    state["layer3.1.bn2.running_var"] = torch.ones(3)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd.pth: .*1 tensors lack or differ, first layer3\.1\.bn2"):
        ResNet(18, str(tmp_path / "odd.pth"))


@pytest.mark.parametrize("content", [[torch.ones(2)], {"conv1.weight": "text"}, {}, 5])
def test_what_is_no_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth"):
        ResNet(18, str(tmp_path / "odd.pth"))


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02K\x05."])
def test_a_file_that_torch_cannot_read_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.pth"):
        ResNet(18, str(tmp_path / "odd.pth"))


@pytest.mark.parametrize("name", ["IMAGENET", "missing.pth", "."])
def test_unknown_weights_are_named_with_the_choices(name: str) -> None:
    with pytest.raises(InputError, match=rf"backbone.weights={re.escape(name)}.*\n.*IMAGENET1K_V1"):
        ResNet(18, name)


@pytest.mark.parametrize("settings", [{"depth": 50}, {"columns_per_frame": 2}])
def test_what_is_not_offered_is_said(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"backbone.{next(iter(settings))}="):
        ResNet(**settings)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Send all downloads to a port where nobody listens; returns torch's folder of downloaded weights."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # one made earlier does not know the proxy
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    yield tmp_path / "checkpoints"
    torch.hub.set_dir(before)


def test_without_a_network_it_says_where_the_file_goes(offline: Path, weights: Path) -> None:
    with pytest.raises(InputError) as caught:
        ResNet(18, "IMAGENET1K_V1")
    message = str(caught.value)
    assert "cannot be downloaded" in message and "backbone.weights=null" in message
    place = re.search(r"put the file at (\S+\.pth)", message)
    assert place is not None and Path(place[1]).parent == offline
    # And there it is found.
    offline.mkdir(exist_ok=True)
    Path(place[1]).write_bytes(weights.read_bytes())
    ours = ResNet(18, "IMAGENET1K_V1")
    assert torch.equal(ours.conv1.weight, torch.load(weights, weights_only=True)["conv1.weight"])


def test_a_wrong_file_in_that_place_is_refused(offline: Path) -> None:
    with pytest.raises(InputError) as caught:
        ResNet(34, "IMAGENET1K_V1")
    place = re.search(r"put the file at (\S+\.pth)", str(caught.value))
    assert place is not None
    offline.mkdir(exist_ok=True)
    torch.save({"conv1.weight": torch.ones(3)}, place[1])
    with pytest.raises(InputError, match=r"is not a ResNet34 of torchvision: .* first conv1\.weight"):
        ResNet(34, "IMAGENET1K_V1")
    Path(place[1]).write_bytes(b"half a file")
    with pytest.raises(InputError, match="put the file at"):
        ResNet(34, "IMAGENET1K_V1")
