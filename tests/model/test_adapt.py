"""Which parameters are trained, and that adapters start as nothing and then learn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation, Bottleneck, Freeze, Full, Lora, is_added
from ocrtrain.model.adapt.bottleneck_convolution import BottleneckConv2d
from ocrtrain.model.backbones import CompactResNet, ResNet
from ocrtrain.model.build import construct
from ocrtrain.model.encoders import BiLSTMEncoder, IdentityEncoder, Mamba2Encoder, MambaEncoder
from ocrtrain.model.ssm.gated_norm.norm import GatedRMSNorm

CONVOLUTIONS = "backbone.stages.*.conv[12]"
PROJECTIONS = [f"encoder.*.{name}" for name in ("in_proj", "x_proj", "dt_proj", "out_proj")]
BLOCKS = ["backbone.*.conv[12]", "bridge*", "encoder.*"]
RECIPE = ("backbone.layer4.*", "backbone.reduce*", "encoder.*", "bridge.*", "head.*")
WIDTHS = torch.tensor([40, 17])


def recognizer(width: int = 12, encoder: nn.Module | None = None) -> LineRecognizer:
    torch.manual_seed(0)
    backbone = CompactResNet(1, 16, (4, 8, 8), 16)
    return LineRecognizer(backbone, encoder or MambaEncoder(width, 1), classes=5, dropout=0.0)


def pixels(channels: int = 1, height: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, channels, height, 40), dtype=torch.uint8, generator=generator)


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def backward(model: LineRecognizer, channels: int = 1, height: int = 16) -> None:
    log_probs, _ = model.train()(pixels(channels, height), WIDTHS)
    log_probs[..., 1].sum().backward()


def test_full_trains_everything_again() -> None:
    model = recognizer().requires_grad_(False)
    Full()(model)
    assert trained(model) == {name for name, _ in model.named_parameters()}


def test_freeze_trains_what_matches_and_nothing_else() -> None:
    model = recognizer()
    Freeze(["head.*", "backbone.stages.1.conv?.weight"])(model)
    expected = {f"backbone.stages.1.conv{i}.weight" for i in (1, 2)} | {"head.weight", "head.bias"}
    assert trained(model) == expected
    backward(model)
    assert {name for name, p in model.named_parameters() if p.grad is not None} == expected


@pytest.mark.parametrize("adaptation", [Freeze(), Lora(2, targets=[CONVOLUTIONS], train=Freeze().train)])
@pytest.mark.parametrize(
    ("width", "encoder"),
    [(12, MambaEncoder(12, 1)), (16, MambaEncoder(16, 1)), (16, IdentityEncoder(16))],
    ids=["bridge", "no bridge", "no encoder"],
)
def test_patterns_fit_models_whose_parts_have_no_parameters(
    width: int, encoder: nn.Module, adaptation: Adaptation
) -> None:
    model = recognizer(width, copy.deepcopy(encoder))
    adaptation(model)
    parts = {name.partition(".")[0] for name in trained(model) if "lora_" not in name}
    has_parameters = {name for name, part in model.named_children() if list(part.parameters())}
    assert parts == has_parameters - {"backbone"}


def lora(model: LineRecognizer, targets: list[str], train: tuple[str, ...] = ("head.*",)) -> None:
    Lora(rank=2, alpha=4, targets=targets, train=train)(model)


def test_lora_trains_its_adapters_and_what_is_named() -> None:
    model = recognizer()
    before = {name: p.clone() for name, p in model.named_parameters()}
    lora(model, [CONVOLUTIONS], train=("head.*", "backbone.stages.1.*"))
    found = trained(model)
    adapters = {name for name in found if ".lora_" in name}
    assert len(adapters) == 2 * 4  # A and B of two convolutions in each of two blocks
    originals = {name.replace(".base_layer.", ".") for name in found - adapters}
    assert originals == {n for n in before if n.startswith(("head.", "backbone.stages.1."))}
    # Whatever was there is still there, unchanged.
    after = {n.replace(".base_layer.", "."): p for n, p in model.named_parameters() if ".lora_" not in n}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("backend", ["eager", "numba"])
@pytest.mark.parametrize(
    "targets", [[CONVOLUTIONS], PROJECTIONS, ["bridge", "head", "backbone.frame"]], ids=str
)
def test_an_adapter_starts_as_nothing_and_every_part_of_it_learns(targets: list[str], backend: str) -> None:
    model = recognizer(encoder=MambaEncoder(12, 2, dropout=0.0, backend=backend))
    before, _ = model.eval()(pixels(), WIDTHS)
    lora(model, targets)
    after, _ = model.eval()(pixels(), WIDTHS)
    assert torch.equal(before, after)

    backward(model)
    adapters = {name: p for name, p in model.named_parameters() if ".lora_" in name}
    assert len(adapters) >= 6
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    # B starts at zero, so A's turn comes with the second step.
    assert all(p.grad.any() for name, p in adapters.items() if ".lora_B." in name)
    with torch.no_grad():
        for parameter in adapters.values():
            parameter -= 0.1 * parameter.grad
    changed, _ = model.eval()(pixels(), WIDTHS)
    assert not torch.allclose(after, changed)
    model.zero_grad()
    backward(model)
    for name, parameter in adapters.items():
        assert parameter.grad.any(), name


def test_norms_are_trained_with_their_statistics_where_asked_for() -> None:
    model = recognizer(encoder=Mamba2Encoder(12, 1, headdim=4))
    Lora(2, norms=True)(model)
    kinds = (nn.BatchNorm2d, nn.LayerNorm, GatedRMSNorm)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, kinds)}
    of_norms = {f"{name}.{own}" for name, m in norms.items() for own, _ in m.named_parameters()}
    found = {name for name in trained(model) if not is_added(name)}
    assert found == of_norms | {"head.weight", "head.bias"}
    before = {name: buffer.clone() for name, buffer in model.named_buffers() if name.endswith("mean")}
    backward(model)
    after = dict(model.named_buffers())
    assert before and not any(torch.equal(after[name], value) for name, value in before.items())


def test_the_recipes_adapters_fit_a_resnet() -> None:
    torch.manual_seed(0)
    model = LineRecognizer(ResNet(18, out_channels=16), BiLSTMEncoder(16, 1), classes=5)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    Lora(2, 2, targets=["backbone.layer[1-4].*.conv[12]"], train=RECIPE)(model)
    found = trained(model)
    plain = {name.replace(".base_layer.", ".") for name in found if ".lora_" not in name}
    assert plain == {
        name
        for name in before
        if name.startswith(("backbone.layer4.", "backbone.reduce", "encoder.", "head."))
    }
    adapted = {name.partition(".lora_")[0] for name in found if ".lora_" in name}
    assert adapted == {
        f"backbone.layer{layer}.{block}.conv{i}" for layer in (1, 2, 3, 4) for block in (0, 1) for i in (1, 2)
    }
    backward(model, 3, 32)
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    norms = {name: m.training for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms == {name: name.startswith(("backbone.layer4.", "backbone.reduce")) for name in norms}


def test_frozen_batch_norms_stand_still_while_the_others_move() -> None:
    model = recognizer()
    lora(model, [CONVOLUTIONS], train=("head.*", "backbone.stages.1.*"))
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    for _ in range(2):
        backward(model)
    moved = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert moved and all(name.startswith("backbone.stages.1.") for name in moved)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert {name for name, m in norms.items() if m.training} == {
        f"backbone.stages.1.{name}" for name in ("norm1", "norm2", "shortcut_norm")
    }


@pytest.mark.parametrize(
    ("adaptation", "setting"),
    [
        (Freeze(["head.*", "decoder.*"]), r"adapt\.train=decoder\.\*"),
        (Freeze([""]), r"adapt\.train="),
        (Lora(2, train=RECIPE), r"adapt\.train=backbone\.layer4"),
        (Lora(2, targets=["backbone.layer1.*"], train=["head.*"]), r"adapt\.targets=backbone\.layer1"),
        (Lora(2, targets=["encoder.blocks.0.forth.conv1d"], train=["head.*"]), r"adapt\.targets=.*conv1d"),
        (Lora(2, targets=["backbone.stem_norm"], train=["head.*"]), r"adapt\.targets=.*stem_norm"),
        (Lora(2, targets=["encoder.*", "decoder.*"]), r"adapt\.targets=decoder"),
        (Bottleneck(4, train=RECIPE), r"adapt\.train=backbone\.layer4"),
        (Bottleneck(4, targets=["backbone.*.conv3"]), r"adapt\.targets=.*conv3"),
        (Bottleneck(4, targets=["bridge"]), r"adapt\.targets=bridge"),
        (Bottleneck(4, lora_targets=["encoder.*.inproj"]), r"adapt\.lora_targets=.*inproj"),
    ],
)
def test_a_pattern_that_matches_nothing_is_named_with_examples(adaptation: Adaptation, setting: str) -> None:
    model = recognizer()
    names = [name for name, _ in model.named_parameters()]
    with pytest.raises(InputError, match=rf"(?s)^{setting}.*matches nothing.*there are.*backbone\."):
        adaptation(model)
    assert [name for name, _ in model.named_parameters()] == names  # nothing was added halfway


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"adapt\.rank=0"):
        Lora(rank=0)
    with pytest.raises(InputError, match=r"adapt\.rank=-1"):
        Bottleneck(rank=-1)
    with pytest.raises(InputError, match=r"adapt\.width=0"):
        Bottleneck(width=0)


def moved(model: LineRecognizer) -> LineRecognizer:
    """Change everything that is trained, adapters that start at zero too, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def resnet(encoder: nn.Module) -> LineRecognizer:
    torch.manual_seed(0)
    return LineRecognizer(ResNet(18, out_channels=16), encoder, classes=5, dropout=0.0)


def models() -> list[LineRecognizer]:
    """Both backbones; encoders with linears, with LSTMs and none; with a bridge and without."""
    return [
        recognizer(),
        recognizer(16, BiLSTMEncoder(16, 1)),
        recognizer(16, IdentityEncoder(16)),
        resnet(BiLSTMEncoder(12, 1)),
    ]


def read(model: LineRecognizer) -> Tensor:
    resnets = isinstance(model.backbone, ResNet)
    with torch.inference_mode():
        return model.eval()(pixels(3, 32) if resnets else pixels(), WIDTHS)[0]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("adaptation", [Lora(), Bottleneck(width=4)], ids=["lora", "bottleneck"])
def test_one_list_of_patterns_fits_every_architecture(number: int, adaptation: Adaptation) -> None:
    model = models()[number]
    plain = read(model)
    names = {name for name, _ in model.named_parameters()}
    adaptation(model)
    assert torch.equal(read(model), plain)  # it starts as nothing
    added = {name for name in trained(model) if is_added(name)}
    blocks = {name.rpartition(".conv")[0] for name in added if ".conv" in name} - {"backbone"}
    assert len(blocks) == (8 if isinstance(model.backbone, ResNet) else 2)
    assert any(name.startswith("encoder.") for name in added) == isinstance(model.encoder, MambaEncoder)
    assert any(name.startswith("bridge.") for name in added) == ("bridge.weight" in names)
    assert trained(model) - added == {"head.weight", "head.bias"}
    assert not any("conv1d" in name for name in added)
    backward(model, *((3, 32) if isinstance(model.backbone, ResNet) else ()))
    assert {name for name, p in model.named_parameters() if p.grad is not None} == trained(model)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    "adaptation",
    [
        Lora(2, 6, targets=BLOCKS),
        Lora(2, 3, targets=BLOCKS, train=["head.*", "encoder.*", "backbone.*.conv1.weight"]),
        Freeze(["head.*"]),
    ],
    ids=["lora", "lora and in full", "freeze"],
)
def test_merged_weights_are_a_plain_models_with_the_same_outputs(number: int, adaptation: Adaptation) -> None:
    model = models()[number]
    plain = copy.deepcopy(model)
    adaptation(model)
    expected = read(moved(model))
    assert not torch.allclose(expected, read(plain), atol=1e-3)
    merged, remains = adaptation.merge(model.state_dict())
    assert remains is None
    plain.load_state_dict(merged)  # by its own names, every one
    torch.testing.assert_close(read(plain), expected, rtol=1e-5, atol=1e-5)


def test_merging_is_what_peft_makes_of_it() -> None:
    model = recognizer()
    adaptation = Lora(2, 6, targets=["*"], train=["head.*"])
    adaptation(model)
    moved(model)
    ours, _ = adaptation.merge(model.state_dict())
    for module in model.modules():
        if hasattr(module, "merge"):
            module.merge()
    theirs = {n.replace(".base_layer.", "."): w for n, w in model.state_dict().items() if ".lora_" not in n}
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)


def test_a_bottleneck_is_what_its_formula_says() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, (2, 1), padding=1, bias=False)
    layer = BottleneckConv2d(conv, width=2)
    assert layer.weight is conv.weight and layer.bias is None
    x = torch.randn(2, 3, 8, 9)
    assert torch.equal(layer(x), conv(x))
    down, up = layer.bottleneck.down, layer.bottleneck.up
    with torch.no_grad():
        up.weight.normal_()
        up.bias.normal_()
    y = conv(x)
    inner = torch.einsum("nchw,dc->ndhw", y, down.weight[:, :, 0, 0]) + down.bias[:, None, None]
    expected = y + torch.einsum("nchw,dc->ndhw", inner.clamp(min=0), up.weight[:, :, 0, 0])
    torch.testing.assert_close(layer(x), expected + up.bias[:, None, None])


def test_bottlenecks_stay_when_the_rest_is_merged() -> None:
    model = recognizer()
    plain = copy.deepcopy(model)
    adaptation = Bottleneck(width=4, rank=2, alpha=6)
    adaptation(model)
    expected = read(moved(model))
    merged, remains = adaptation.merge(model.state_dict())
    # Original names for what was there, so that a plain checkpoint's weights can be told from the rest.
    assert {name for name in merged if not is_added(name)} == plain.state_dict().keys()
    construct(remains, Adaptation, "adapt")(plain)
    plain.load_state_dict(merged)
    assert not any(".lora_" in name for name in plain.state_dict())
    torch.testing.assert_close(read(plain), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("adaptation", [Lora(), Bottleneck(width=4)], ids=["lora", "bottleneck"])
def test_with_adapters_a_line_reads_the_same_in_any_batch(number: int, adaptation: Adaptation) -> None:
    model = models()[number]
    adaptation(model)
    together = read(moved(model))
    images = pixels(3, 32) if isinstance(model.backbone, ResNet) else pixels()
    for row, width in enumerate(WIDTHS.tolist()):
        with torch.inference_mode():
            alone, lengths = model(images[row : row + 1, :, :, :width], torch.tensor([width]))
        torch.testing.assert_close(
            together[row, : int(lengths[0])], alone[0, : int(lengths[0])], rtol=1e-4, atol=1e-5
        )
