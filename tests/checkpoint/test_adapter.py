"""Adapters in folders: the same outputs on their base, in PEFT's hands too, and refused on any other."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ocrtrain import Recognizer
from ocrtrain.checkpoint.adapter import DIGEST, AdapterWriter, apply_adapter
from ocrtrain.checkpoint.description import Description, as_checkpoint
from ocrtrain.data.images.preprocess import Preprocess
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.build import adapt_recognizer, build_recognizer
from ocrtrain.text import Charset

SETTINGS: dict[str, Any] = {
    "backbone": {
        "_target_": "ocrtrain.model.backbones.CompactResNet",
        "channels": [4, 8, 8],
        "height": 16,
        "out_channels": 16,
    },
    "encoder": {"_target_": "ocrtrain.model.encoders.MambaEncoder", "width": 12, "layers": 1},
    "adapt": {"_target_": "ocrtrain.model.adapt.Full"},
    "dropout": 0.1,
}
LORA = {"_target_": "ocrtrain.model.adapt.Lora", "rank": 2, "alpha": 6}
# Also trained in full: norms with their statistics, a convolution that has an adapter, a Mamba layer's A.
MORE = {
    **LORA,
    "train": ["head.*", "backbone.*.norm1.*", "backbone.stages.0.conv1.*", "encoder.*.forth.A_log"],
}
BOTTLENECK = {"_target_": "ocrtrain.model.adapt.Bottleneck", "width": 3, "rank": 2, "alpha": 6}


def description(adapt: Any = SETTINGS["adapt"], symbols: str = "abcd", **preprocess: Any) -> Description:
    prepared = Preprocess(**{"height": 16, "channels": 1, "multiple": 8, **preprocess})
    return Description({**copy.deepcopy(SETTINGS), "adapt": adapt}, Charset(symbols), prepared, config={})


def read(model: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (2, 1, 16, 40), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        return model.eval()(pixels, torch.tensor([40, 17]))[0]


def train(model: LineRecognizer, seed: int = 1) -> LineRecognizer:
    """Change what training would: parameters, and the statistics of batch norms that are not frozen."""
    generator = torch.Generator().manual_seed(seed)
    model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        pixels = torch.randint(256, (4, 1, 16, 40), dtype=torch.uint8, generator=generator)
        model(pixels, torch.tensor([40, 17, 30, 8]))
    return model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to adapt."""
    path = tmp_path_factory.mktemp("base") / "base.ckpt"
    torch.manual_seed(0)
    model = train(build_recognizer(SETTINGS, 5))
    torch.save(as_checkpoint(description(), model.state_dict()), path)
    return path


def adapted(base: Path, adapt: Any) -> LineRecognizer:
    """The base's model with adapters, as training has it."""
    model = Recognizer.load(base, "cpu").model
    adapt_recognizer(model, adapt)
    return model


@pytest.fixture(scope="module")
def write(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, LineRecognizer]]:
    """Write an adapter for the base, and give it with the model that it is from."""

    def make(adapt: Any, **changes: Any) -> tuple[Path, LineRecognizer]:
        folder = tmp_path_factory.mktemp("run") / "adapter"
        model = adapted(base, adapt)
        writer = AdapterWriter(folder, model, description(adapt, **changes), str(base))
        train(model)
        writer.save(model.state_dict())
        return folder, model

    return make


Write = Callable[..., tuple[Path, LineRecognizer]]


@pytest.mark.parametrize("adapt", [LORA, MORE, BOTTLENECK], ids=["lora", "more", "bottleneck"])
def test_base_and_adapter_are_the_trained_model(adapt: Any, base: Path, write: Write) -> None:
    folder, model = write(adapt)
    assert {path.name for path in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    recognizer = Recognizer.load(base, "cpu", adapter=folder)
    assert not torch.allclose(read(recognizer.model), read(Recognizer.load(base, "cpu").model), atol=1e-3)
    torch.testing.assert_close(read(recognizer.model), read(model), rtol=1e-5, atol=1e-5)
    assert not any(".lora_" in name for name in recognizer.model.state_dict())


@pytest.mark.parametrize("adapt", [LORA, MORE], ids=["lora", "more"])
def test_peft_reads_it(adapt: Any, base: Path, write: Write) -> None:
    from peft import PeftModel

    folder, model = write(adapt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it warns of tensors that lack or are too many
        theirs = PeftModel.from_pretrained(Recognizer.load(base, "cpu").model, str(folder))
    torch.testing.assert_close(read(theirs), read(model), rtol=1e-5, atol=1e-5)


def test_it_holds_what_was_trained_and_nothing_else(write: Write) -> None:
    folder, model = write(LORA)
    found = load_file(folder / "adapter_model.safetensors")
    names = {name.removeprefix("base_model.model.") for name in found}
    trained = {n.replace(".default.", ".") for n, p in model.named_parameters() if p.requires_grad}
    assert names == trained
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["modules_to_save"] == ["head"]


def test_what_is_saved_reads_the_same_with_nothing_else(base: Path, write: Write, tmp_path: Path) -> None:
    for i, adapt in enumerate((LORA, BOTTLENECK)):
        folder, model = write(adapt)
        Recognizer.load(base, "cpu", adapter=folder).save(tmp_path / f"{i}.ckpt")
        again = Recognizer.load(tmp_path / f"{i}.ckpt", "cpu")
        torch.testing.assert_close(read(again.model), read(model), rtol=1e-5, atol=1e-5)
        assert (again.description.model["adapt"] is None) == (adapt is LORA)


def test_a_trained_checkpoint_is_read_merged(base: Path, write: Write, tmp_path: Path) -> None:
    _, model = write(MORE)
    torch.save(as_checkpoint(description(MORE), model.state_dict()), tmp_path / "best.ckpt")
    recognizer = Recognizer.load(tmp_path / "best.ckpt", "cpu")
    assert recognizer.model.state_dict().keys() == Recognizer.load(base, "cpu").model.state_dict().keys()
    torch.testing.assert_close(read(recognizer.model), read(model), rtol=1e-5, atol=1e-5)


def test_an_adapter_can_be_for_a_checkpoint_that_has_adapters_itself(write: Write, tmp_path: Path) -> None:
    _, first = write(LORA)
    torch.save(as_checkpoint(description(LORA), first.state_dict()), tmp_path / "first.ckpt")
    model = adapted(tmp_path / "first.ckpt", MORE)
    writer = AdapterWriter(tmp_path / "adapter", model, description(MORE), "first.ckpt")
    writer.save(train(model, 2).state_dict())
    recognizer = Recognizer.load(tmp_path / "first.ckpt", "cpu", tmp_path / "adapter")
    torch.testing.assert_close(read(recognizer.model), read(model), rtol=1e-5, atol=1e-5)


def refused(base: Path, folder: Path, reason: str) -> None:
    with pytest.raises(InputError, match=rf"(?s)^adapter=.*{reason}") as caught:
        Recognizer.load(base, "cpu", adapter=folder)
    assert caught.value.way_on


@pytest.mark.parametrize("adapt", [LORA, BOTTLENECK], ids=["lora", "bottleneck"])
def test_another_base_is_refused(adapt: Any, base: Path, write: Write, tmp_path: Path) -> None:
    folder, _ = write(adapt)
    content = torch.load(base, weights_only=True)
    content["state_dict"]["model.backbone.stem.weight"][0, 0, 0, 0] += 1e-3
    torch.save(content, tmp_path / "other.ckpt")
    refused(tmp_path / "other.ckpt", folder, f"another base.*{base}")
    wider = copy.deepcopy(SETTINGS)
    wider["encoder"]["width"] = 16
    for settings, changes in ((wider, {}), (SETTINGS, {"symbols": "abdc"}), (SETTINGS, {"ink": False})):
        torch.manual_seed(0)
        model = build_recognizer(settings, 5)
        described = description(**changes)
        described.model.update(settings)
        if changes:
            model = Recognizer.load(base, "cpu").model
        torch.save(as_checkpoint(described, model.state_dict()), tmp_path / "other.ckpt")
        refused(tmp_path / "other.ckpt", folder, "another base")
    # How far batches are padded is nobody's business.
    torch.save(
        as_checkpoint(description(multiple=32), Recognizer.load(base, "cpu").model.state_dict()),
        tmp_path / "same.ckpt",
    )
    Recognizer.load(tmp_path / "same.ckpt", "cpu", adapter=folder)


CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def changed(folder: Path, **values: Any) -> None:
    """Change the config, as if no digest had been written."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, "pt") as file:
        metadata = file.metadata()
    metadata.pop(DIGEST, None)
    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS, metadata)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))


def test_what_is_no_adapter_is_refused(base: Path, write: Write, tmp_path: Path) -> None:
    refused(base, tmp_path / "nowhere", "does not exist")
    refused(base, base, "is not a folder")
    refused(base, tmp_path, "holds no adapter: no adapter_config.json and no adapter_model.safetensors")
    folder, _ = write(LORA)
    whole = {name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    for name, data in whole.items():
        for cut in (0, 5, len(data) // 2, len(data) - 3):
            (folder / name).write_bytes(data[:cut])
            refused(base, folder, f"is damaged: {name} cannot be read")
        (folder / name).write_bytes(data)
    for text in ("[]", "null", '"LORA"', "{}", '{"peft_type": ["LORA"]}'):
        (folder / CONFIG).write_text(text)
        refused(base, folder, "was not written by ocrtrain")
    (folder / CONFIG).write_bytes(b"\xff\xfe")
    refused(base, folder, "is damaged")
    (folder / CONFIG).write_text("[" * 100_000)
    refused(base, folder, "is damaged")
    (folder / CONFIG).write_bytes(whole[CONFIG])
    for values in ({"peft_type": "IA3"}, {"r": 0}, {"r": True}, {"r": "2"}, {"lora_alpha": None}):
        changed(folder, **values)
        refused(base, folder, f"was not written by ocrtrain.*{next(iter(values.values()))}")
        (folder / CONFIG).write_bytes(whole[CONFIG])
    # Settings that name code are never looked at.
    trap = {"auto_mapping": {"base_model_class": "system", "parent_library": "os"}, "_target_": "os.system"}
    changed(folder, **trap)
    Recognizer.load(base, "cpu", adapter=folder)
    # One that PEFT wrote does not say which base it is for.
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    refused(base, folder, "does not say which base")


def test_tensors_that_do_not_belong_together_are_refused(base: Path, write: Write) -> None:
    from safetensors import safe_open

    folder, _ = write(LORA)
    with safe_open(folder / WEIGHTS, "pt") as file:
        metadata = file.metadata()
    del metadata[DIGEST]
    whole = load_file(folder / WEIGHTS)
    first = next(name for name in whole if ".lora_B." in name)
    for tensors in (
        {name: value for name, value in whole.items() if name != first},
        {**whole, first: torch.zeros(3, 3)},
        {**whole, "base_model.model.nowhere.lora_A.weight": torch.zeros(2, 3)},
    ):
        save_file(tensors, folder / WEIGHTS, metadata)
        refused(base, folder, "do not belong together")
    for name in ("base_model.model.tail.weight", "base_model.model.head.weight"):
        save_file({**whole, name: torch.zeros(3)}, folder / WEIGHTS, metadata)
        refused(base, folder, "another base")


def test_bottlenecks_that_the_settings_deny_are_refused(base: Path, write: Write) -> None:
    folder, _ = write(BOTTLENECK)
    changed(folder, peft_type="LORA")
    refused(base, folder, "does not tell of its bottlenecks")
    changed(folder, peft_type="OCRTRAIN_BOTTLENECK", width=7)
    with pytest.raises(InputError, match="down"):
        Recognizer.load(base, "cpu", adapter=folder)


def test_weights_are_left_as_they_were(base: Path, write: Write) -> None:
    folder, _ = write(MORE)
    recognizer = Recognizer.load(base, "cpu")
    weights = recognizer.model.state_dict()
    before = {name: value.clone() for name, value in weights.items()}
    apply_adapter(weights, recognizer.description, folder)
    assert all(torch.equal(value, before[name]) for name, value in weights.items())


def test_a_changed_bit_is_found(base: Path, write: Write) -> None:
    folder, _ = write(LORA)
    whole = (folder / WEIGHTS).read_bytes()
    for at in (len(whole) - 1, len(whole) * 3 // 4, len(whole) // 2):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (folder / WEIGHTS).write_bytes(damaged)
        refused(base, folder, "is damaged")
    (folder / WEIGHTS).write_bytes(whole)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "lora_alpha": 7}))
    refused(base, folder, "is damaged: its digest")


def test_values_that_no_adapter_has_are_refused(base: Path, write: Write, tmp_path: Path) -> None:
    folder, _ = write(BOTTLENECK)
    changed(folder)
    whole = (folder / CONFIG).read_text()
    mark = tmp_path / "called"
    calls = ({"_target_": "pathlib.Path.touch", "self": str(mark)}, "${oc.env:HOME}", "${now:%Y}")
    for key in ("peft_type", "r", "lora_alpha", "width"):
        for value in (None, True, -1, 0, 10**30, float("inf"), float("nan"), "text", [1], {"a": 1}, *calls):
            (folder / CONFIG).write_text(json.dumps({**json.loads(whole), key: value}))
            refused(base, folder, f"was not written by ocrtrain.*{key}")
    for text in (whole.replace('"lora_alpha": 6', '"lora_alpha": 1e400'), whole.replace("6", "6" * 5000)):
        (folder / CONFIG).write_text(text)
        refused(base, folder, "damaged|was not written")
    assert not mark.exists()


def test_tensors_without_sense_are_refused(base: Path, write: Write) -> None:
    folder, _ = write(LORA)
    changed(folder)
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, "pt") as file:
        metadata = file.metadata()
    whole = load_file(folder / WEIGHTS)
    first = next(name for name in whole if ".lora_A." in name)
    for tensor in (
        torch.tensor(1.0),
        torch.full_like(whole[first], float("nan")),
        whole[first].cfloat(),
        None,
    ):
        tensors = {name: value for name, value in whole.items() if name != first}
        save_file({**tensors, **({} if tensor is None else {first: tensor})}, folder / WEIGHTS, metadata)
        refused(base, folder, "damaged")


def test_an_adapter_knows_the_weights_that_it_holds(base: Path, tmp_path: Path) -> None:
    model = adapted(base, LORA)
    writer = AdapterWriter(tmp_path / "adapter", model, description(LORA), str(base))
    weights = {name: value.clone() for name, value in train(model).state_dict().items()}
    assert not writer.holds(weights)  # there is none yet
    writer.save(weights)
    assert writer.holds(weights)
    assert not writer.holds(train(model, 2).state_dict())
    (tmp_path / "adapter" / WEIGHTS).write_bytes(b"")
    assert not writer.holds(weights)
