"""Encoders that start from a Mamba language model, against `transformers` and against what may be wrong."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.adapt import Lora
from ocrtrain.model.build import build_recognizer, self_contained
from ocrtrain.model.encoders import MambaEncoder

SIZES: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 3, "state_size": 8, "vocab_size": 11}


def language_model(**sizes: Any) -> nn.Module:
    """A small Mamba of `transformers` whose parameters are all away from their first values."""
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(**{**SIZES, **sizes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model as `transformers` saves it."""
    language_model().save_pretrained(tmp_path / "small")
    return tmp_path / "small"


def as_binary(folder: Path) -> None:
    """As it was saved before safetensors."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def as_shards(folder: Path) -> None:
    """In several files and an index; that of the last block is missing: nothing of it is needed."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shard_of = {
        name: f"model-{1 + ('layers.2' in name) + 2 * ('norm_f' in name)}.safetensors" for name in tensors
    }
    for shard in set(shard_of.values()) - {"model-2.safetensors"}:
        save_file({name: t for name, t in tensors.items() if shard_of[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shard_of}))


def as_mamba_ssm(folder: Path) -> None:
    """Under the names of mamba-ssm, which published the models first."""
    as_binary(folder)
    config = {
        "d_model": 24,
        "n_layer": 3,
        "vocab_size": 11,
        "ssm_cfg": {"d_state": 8},
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    tensors["backbone.embedding.weight"] = tensors.pop("backbone.embeddings.weight")
    tensors["lm_head.weight"] = tensors["backbone.embedding.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")


def without_head(folder: Path) -> None:
    """As a model without the language model's head is saved: names have no prefix."""
    tensors = load_file(folder / "model.safetensors")
    save_file({n.removeprefix("backbone."): t for n, t in tensors.items()}, folder / "model.safetensors")


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().norm() / expected.detach().norm().clamp(min=1e-30))


@pytest.mark.parametrize(
    "layout",
    [None, as_binary, as_shards, as_mamba_ssm, without_head],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_states_and_gradients_are_those_of_the_model_cut_short(
    folder: Path, layout: Callable[[Path], None] | None
) -> None:
    theirs = language_model().backbone
    theirs.layers = theirs.layers[:2]
    if layout is not None:
        layout(folder)
    ours = MambaEncoder(24, 2, bidirectional=False, pretrained=str(folder)).eval()
    x, one = torch.randn(2, 9, 24), torch.randn(2, 9, 24)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ours(mine, torch.tensor([9, 9])), theirs(inputs_embeds=other).last_hidden_state
    assert relative(y, expected) <= 1e-5
    (y * one).sum().backward()
    (expected * one).sum().backward()
    assert relative(mine.grad, other.grad) <= 1e-5
    known = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        name = name.replace("blocks.", "layers.").replace("forth.", "mixer.")
        name = name.replace("norm.", "norm_f.") if name.startswith("norm.") else name
        assert relative(parameter.grad, known[name].grad) <= 1e-5, name


@pytest.mark.parametrize(
    "sizes",
    [
        {"expand": 3, "conv_kernel": 3, "use_bias": True, "use_conv_bias": False, "time_step_rank": 5},
        {"layer_norm_epsilon": 0.1, "residual_in_fp32": False},
    ],
    ids=["sizes", "norm"],
)
def test_a_model_of_other_sizes(tmp_path: Path, sizes: dict[str, Any]) -> None:
    theirs = language_model(**sizes)
    theirs.save_pretrained(tmp_path)
    ours = MambaEncoder(24, 3, bidirectional=False, pretrained=str(tmp_path)).eval()
    x = torch.randn(1, 6, 24)
    expected = theirs.backbone(inputs_embeds=x).last_hidden_state
    assert relative(ours(x, torch.tensor([6])), expected) <= 1e-5


def test_half_precision_is_read_as_float32(folder: Path) -> None:
    exact = load_file(folder / "model.safetensors")
    save_file({n: t.bfloat16() for n, t in exact.items()}, folder / "model.safetensors")
    for parameter in MambaEncoder(24, 2, pretrained=str(folder)).parameters():
        assert parameter.dtype == torch.float32


def test_residuals_stay_float32_under_autocast(folder: Path) -> None:
    encoder = MambaEncoder(16, 2, pretrained=str(folder)).eval()
    x, lengths = torch.randn(1, 6, 16), torch.tensor([6])
    summed: list[Tensor] = []
    encoder.norm.register_forward_pre_hook(lambda _, inputs: summed.append(inputs[0]))
    exact = encoder(x, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        y = encoder(x, lengths)
    assert summed[1].dtype == torch.float32 and y.dtype == torch.bfloat16
    assert relative(y.float(), exact) <= 2e-2


def test_what_was_taken_and_left_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    as_mamba_ssm(folder)
    MambaEncoder(24, 1, bidirectional=False, pretrained=str(folder))
    # A block has 10 tensors: its norm's, 9 of the layer; all of theirs but the embeddings are counted here.
    taken, left = (
        record.message for record in caplog.records if record.name.startswith("ocrtrain.model.enc")
    )
    assert "took 1 of 3 blocks, 24 wide with 8 states, and the final norm" in taken
    assert "(11 tensors, " in taken
    assert left.startswith("encoder: left ") and "2 further blocks (20 tensors)" in left
    assert "embedding.weight" in left and "lm_head.weight" in left


def test_projections_only_where_widths_differ(folder: Path) -> None:
    wider = MambaEncoder(16, 1, pretrained=str(folder))
    assert isinstance(wider.project_in, nn.Linear) and isinstance(wider.project_out, nn.Linear)
    assert wider(torch.randn(2, 5, 16), torch.tensor([5, 2])).shape == (2, 5, 16)
    assert isinstance(MambaEncoder(24, 1, pretrained=str(folder)).project_in, nn.Identity)


def test_both_directions_start_from_the_same_weights(folder: Path) -> None:
    encoder = MambaEncoder(24, 2, pretrained=str(folder)).eval()
    for block in encoder.blocks:
        for one, other in zip(block.forth.parameters(), block.back.parameters(), strict=True):
            assert torch.equal(one, other) and one is not other
    x, lengths = torch.randn(1, 7, 24), torch.tensor([7])
    turned = encoder(x.flip(1), lengths).flip(1)
    torch.testing.assert_close(encoder(x, lengths), turned, rtol=1e-5, atol=1e-6)


def test_a_line_alone_equals_itself_in_a_batch(folder: Path) -> None:
    encoder = MambaEncoder(16, 2, pretrained=str(folder)).eval()
    x, lengths = torch.randn(2, 9, 16), torch.tensor([4, 9])
    alone = encoder(x[:1, :4], lengths[:1])
    torch.testing.assert_close(encoder(x, lengths)[0, :4], alone[0], rtol=1e-5, atol=1e-6)


def test_adapters_on_its_projections_learn(folder: Path) -> None:
    encoder = MambaEncoder(16, 1, bidirectional=False, pretrained=str(folder))
    patterns = ["encoder.*.in_proj", "encoder.*.x_proj", "encoder.*.dt_proj"]
    model = nn.ModuleDict({"encoder": encoder})
    Lora(rank=2, targets=patterns, train=["encoder.project_*"])(model)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            nn.init.normal_(parameter)  # they begin at zero, and the others would have no gradient
    model["encoder"](torch.randn(2, 6, 16), torch.tensor([6, 3])).square().sum().backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert sum(".lora_" in name for name in trained) == 6
    for name, parameter in trained.items():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_settled_settings_build_the_same_without_the_model(folder: Path) -> None:
    settings = {
        "backbone": {
            "_target_": "ocrtrain.model.backbones.CompactResNet",
            "channels": [4, 4, 8],
            "height": 16,
        },
        "encoder": {
            "_target_": "ocrtrain.model.encoders.MambaEncoder",
            "width": 16,
            "pretrained": str(folder),
        },
    }
    model = build_recognizer(settings, 5)
    settled = self_contained(settings, model)
    assert settled["encoder"]["pretrained"] is None and settled["encoder"]["norm"] == "rms"
    assert json.loads(json.dumps(settled)) == settled  # plain values
    for file in folder.iterdir():
        file.unlink()
    again = build_recognizer(settled, 5)
    again.load_state_dict(model.state_dict())
    x, lengths = torch.randn(1, 5, 16), torch.tensor([5])
    assert torch.equal(again.encoder.eval()(x, lengths), model.encoder.eval()(x, lengths))


def edit(**changes: Any) -> Callable[[Path], None]:
    """Change the configuration; None removes a key."""

    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | changes
        kept = {key: value for key, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))

    return change


def change_tensors(changed: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        changed(tensors)
        save_file(tensors, folder / "model.safetensors")

    return change


def truncate(name: str, before: Callable[[Path], None] | None = None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        if before is not None:
            before(folder)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) * 2 // 3])

    return change


def code_in_pickle(folder: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(folder / "executed"),)

    (folder / "model.safetensors").unlink()
    torch.save({"layers.0.norm.weight": Hostile()}, folder / "pytorch_model.bin")


A_LOG = "backbone.layers.1.mixer.A_log"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "its config.json cannot be read"),
        (
            lambda f: (f / "config.json").write_text("[]"),
            "its config.json cannot be read: it is no JSON object",
        ),
        (lambda f: (f / "config.json").write_text("[" * 10**5), "its config.json cannot be read: is nested"),
        (edit(hidden_size=None), "in its config.json, hidden_size or d_model is missing"),
        (edit(state_size="many"), "state_size must be an integer from 1 to 4096, not 'many'"),
        (edit(state_size=10**18), "state_size must be an integer from 1 to 4096"),
        (edit(time_step_rank=0), "time_step_rank must be an integer from 1 to"),
        (edit(expand=float("inf")), "expand must be a finite number, not inf"),
        (edit(expand=-0.5), "expand must be from 0.0156"),
        (edit(conv_kernel=1e308), "conv_kernel must be an integer from 1 to 64"),
        (edit(hidden_size=65_536), r"in_proj\.weight is \[96, 24\], not \[262144, 65536\]"),
        (edit(hidden_size=32), r"in_proj\.weight is \[96, 24\], not \[128, 32\] as its config\.json says"),
        (edit(model_type="falcon_mamba"), "model_type=falcon_mamba, not mamba"),
        (edit(ssm_cfg={"layer": "Mamba2"}), r"ssm_cfg\.layer=Mamba2, not Mamba1"),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors or pytorch_model.bin"),
        (truncate("model.safetensors"), "its model.safetensors cannot be read"),
        (truncate("pytorch_model.bin", as_binary), "its pytorch_model.bin cannot be read"),
        (truncate("model-1.safetensors", as_shards), "its model-1.safetensors cannot be read"),
        (code_in_pickle, "its pytorch_model.bin cannot be read: Weights only load failed"),
        (change_tensors(lambda t: t.pop(A_LOG)), r"lacks layers\.1\.mixer\.A_log \(1 tensors differ\)"),
        (change_tensors(lambda t: t.update({A_LOG: t[A_LOG][:9]})), r"A_log is \[9, 8\], not \[48, 8\]"),
        (
            change_tensors(lambda t: t.update({"backbone.layers.0.norm2.weight": torch.ones(24)})),
            r"beyond what a block of Mamba has, layers\.0\.norm2\.weight",
        ),
    ],
)
def test_a_damaged_or_foreign_model_is_refused(
    damage: Callable[[Path], object], reason: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(
        InputError, match=f"encoder.pretrained={re.escape(str(folder))}: .*{reason}"
    ) as caught:
        MambaEncoder(24, 2, pretrained=str(folder))
    assert caught.value.way_on and not (folder / "executed").exists()


def test_more_layers_than_there_are(folder: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)encoder\.layers=4: .* has 3 blocks.*at most 3"):
        MambaEncoder(24, 4, pretrained=str(folder))


@pytest.mark.parametrize(
    ("name", "wanted", "has"), [("d_state", 5, 8), ("d_model", 16, 24), ("norm", "other", "rms")]
)
def test_sizes_that_the_model_does_not_have(folder: Path, name: str, wanted: Any, has: Any) -> None:
    with pytest.raises(InputError, match=rf"encoder\.{name}={wanted}: .* has {has}"):
        MambaEncoder(24, 2, pretrained=str(folder), **{name: wanted})


def test_an_unknown_norm_is_named() -> None:
    with pytest.raises(InputError, match=r"encoder\.norm=batch"):
        MambaEncoder(8, 1, norm="batch")


@pytest.mark.parametrize("source", ["/no/such/folder", "./none", "~/none/at/all", "nameless"])
def test_no_folder_and_no_name(source: str) -> None:
    with pytest.raises(InputError, match="is neither a folder nor a name on the Hugging Face hub"):
        MambaEncoder(8, 1, pretrained=source)


def test_a_hub_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What HF_HUB_OFFLINE=1 sets when the hub's client is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        MambaEncoder(8, 1, pretrained="nobody/nothing")
    assert caught.value.what == "encoder.pretrained=nobody/nothing"
    assert caught.value.why.startswith("config.json cannot be downloaded from the Hugging Face hub: ")
    assert "hf download nobody/nothing --local-dir DIR" in caught.value.way_on
    assert "encoder.pretrained=DIR" in caught.value.way_on


def test_a_model_of_the_hub_is_read_from_its_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--some--model/snapshots/1234"
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("1234")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    as_binary(snapshot)
    found = dict(MambaEncoder(24, 1, pretrained="some/model").named_parameters())
    expected = torch.load(snapshot / "pytorch_model.bin", weights_only=True)
    assert torch.equal(found["blocks.0.back.A_log"], expected["backbone.layers.0.mixer.A_log"])
