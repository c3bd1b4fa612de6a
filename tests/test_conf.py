"""Every preset composes, builds what it names, and has no key that its class does not take."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any, cast

import optuna
import pytest
import torch
from hydra.utils import get_object, instantiate
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ocrtrain.__main__ import COMMANDS
from ocrtrain.command_line.invocation import parse
from ocrtrain.command_line.presets import built_in, choices, compose, settings
from ocrtrain.commands.fit.settings import MODEL_KEYS, read_fit_settings, trainer_settings
from ocrtrain.commands.settings import plain
from ocrtrain.data import LineData
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import Adaptation, is_added
from ocrtrain.model.build import build_recognizer, construct
from ocrtrain.sweep.space import Choices, as_override, read_space
from ocrtrain.text import Charset
from ocrtrain.training import Clock

GROUPS = {
    group: sorted(file.stem for file in (built_in() / group).glob("*.yaml"))
    for group in (
        *("data", "data/augment", "synthesis", "texts", "backbone", "encoder", "adapt"),
        *("optimizer", "schedule", "trainer", "logger"),
    )
}
SEARCH = {
    group: sorted(file.stem for file in (built_in() / group).glob("*.yaml"))
    for group in ("sampler", "pruner", "sweep")
}
DECODERS = sorted(file.stem for file in (built_in() / "decoder").glob("*.yaml"))
EXPERIMENTS = sorted(file.stem for file in (built_in() / "experiment").glob("*.yaml"))
OPTIONS = [f"{group}={option}" for group, names in GROUPS.items() for option in names]
# Nothing may be downloaded, and not every machine has the same fonts.
HERE = ["synthesis.fonts=[bundled]", "synthesis.only_fonts=null"]


def composed(*words: str) -> DictConfig:
    """The configuration of `fit` as its command gets it."""
    config = compose(parse("fit", list(words)), [*words, *HERE])
    config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    if OmegaConf.is_missing(config.data, "train"):
        config.data.train = "lines"
    if "weights" in config.backbone:
        config.backbone.weights = None
    if "pretrained" in config.encoder:
        config.encoder.pretrained = None
    return config


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """All nodes that name a class or a function."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from objects(value)


def build(config: DictConfig, classes: int = 11) -> LineRecognizer:
    """Build what a run consists of, as `fit` does, and give the model."""
    model = build_recognizer({key: plain(config[key]) for key in MODEL_KEYS}, classes)
    optimizer = instantiate(config.optimizer, _convert_="all")(model)
    assert optimizer.param_groups
    assert isinstance(instantiate(config.data, _convert_="all"), LineData)
    settings = trainer_settings({**plain(config.trainer), "accelerator": "cpu", "max_steps": 1})
    clock = Clock(settings.budget(10), instantiate(config.schedule, _convert_="all"))
    assert 0 < clock.schedule(0.01) <= 1
    Trainer(**settings.machine, **settings.lightning, logger=False)
    return model


def test_every_file_belongs_to_a_command_or_a_group() -> None:
    files = {file.relative_to(built_in()).with_suffix("").as_posix() for file in built_in().rglob("*.yaml")}
    known = {f"{group}/{option}" for group, names in GROUPS.items() for option in names}
    known |= {f"experiment/{name}" for name in EXPERIMENTS} | {f"decoder/{name}" for name in DECODERS}
    known |= {command.replace(" ", "_") for command in COMMANDS} | {"common"}
    known |= {f"{group}/{option}" for group, names in SEARCH.items() for option in names}
    assert {file for file in files if not file.startswith("hydra/")} == known
    assert set(choices(compose(parse("fit", []), []))) == {*GROUPS, "experiment"}


@pytest.mark.parametrize(
    "words", [[], *([option] for option in OPTIONS), *([f"experiment={e}"] for e in EXPERIMENTS)]
)
def test_every_key_is_an_argument(words: list[str]) -> None:
    config = plain(composed(*words))
    found = list(objects(config))
    assert len(found) >= 6
    for node in found:
        accepted = inspect.signature(get_object(node["_target_"])).parameters
        assert not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values())
        keys = {key for key in node if key not in ("_target_", "_partial_")}
        assert keys <= accepted.keys(), node["_target_"]
    config["trainer"].setdefault("max_steps", 1)
    read_fit_settings(config)  # every other key is a typed setting, or an argument of Lightning's Trainer


@pytest.mark.parametrize("sampler", SEARCH["sampler"])
@pytest.mark.parametrize("pruner", SEARCH["pruner"])
def test_every_search_is_built(sampler: str, pruner: str) -> None:
    words = [f"sampler={sampler}", f"pruner={pruner}"]
    config = compose(parse("sweep", words), words)
    assert isinstance(instantiate(config.sampler)(seed=1), optuna.samplers.BaseSampler)
    assert isinstance(instantiate(config.pruner), optuna.pruners.BasePruner)


@pytest.mark.parametrize("name", SEARCH["sweep"])
def test_every_space_is_one_of_fit(name: str) -> None:
    space = read_space(built_in() / "sweep" / f"{name}.yaml")
    config = composed()
    groups = {key: p for key, p in space.parameters.items() if key in GROUPS}
    options = [[as_override(key, value) for value in cast(Choices, p).values] for key, p in groups.items()]
    for words in itertools.product(*options):
        known = settings(composed(*words))
        assert space.parameters.keys() - groups <= known.keys()
    # What fit does without a search is among what is searched: the search begins with it.
    chosen = {**settings(config), "encoder": "mamba"}
    assert space.point(chosen) is not None


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_built(option: str) -> None:
    build(composed(option))


@pytest.mark.parametrize("adapt", ["lora", "bottleneck"])
@pytest.mark.parametrize("encoder", GROUPS["encoder"])
def test_adapters_take_part_in_every_encoder(encoder: str, adapt: str) -> None:
    """A layer that reads a weight instead of calling its module passes an adapter by, without a word."""
    config = composed(f"encoder={encoder}", f"adapt={adapt}", "backbone.channels=[8,8]")
    settings = {key: plain(config[key]) for key in MODEL_KEYS}
    torch.manual_seed(0)
    model = build_recognizer(settings, 11).eval()
    adapters = {name: p for name, p in model.named_parameters() if is_added(name)}
    with torch.no_grad():
        for parameter in adapters.values():
            parameter.normal_(std=0.1)
    pixels = torch.randint(256, (1, 1, 40, 32), dtype=torch.uint8)
    log_probs, _ = model(pixels, torch.tensor([32]))
    log_probs[..., 1].sum().backward()
    passed_by = [
        name for name, parameter in adapters.items() if parameter.grad is None or not parameter.grad.any()
    ]
    assert not passed_by
    # Every linear has one, wherever an encoder has linears.
    linears = {n for n, m in model.encoder.named_modules() if isinstance(m, nn.Linear) and ".lora_" not in n}
    assert all(n.endswith(".base_layer") for n in linears), linears
    # And what is read is what the merged weights say.
    weights, remains = construct(settings["adapt"], Adaptation, "adapt").merge(model.state_dict())
    merged = build_recognizer({**settings, "adapt": remains}, 11).eval()
    merged.load_state_dict(weights)
    torch.testing.assert_close(merged(pixels, torch.tensor([32]))[0], log_probs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("adapt", "most"), [("lora", 0.05), ("bottleneck", 0.06)])
def test_adapters_of_the_default_model_are_small(adapt: str, most: float) -> None:
    model = build(composed("experiment=lines", f"adapt={adapt}"), classes=120)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained / sum(p.numel() for p in model.parameters()) <= most
    for part in (model.backbone, model.encoder):
        assert any(p.requires_grad for p in part.parameters())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_built_and_reads(experiment: str) -> None:
    words = [f"experiment={experiment}"]
    config = composed(*words)
    model = build(config).eval()
    data = instantiate(config.data, _convert_="all")
    pixels = torch.zeros(1, data.preprocess.channels, data.preprocess.height, 64, dtype=torch.uint8)
    with torch.inference_mode():
        log_probs, lengths = model(pixels, torch.tensor([64]))
    frames = 64 // config.backbone.get("columns_per_frame", 4)
    assert log_probs.shape == (1, frames, 11) and lengths.tolist() == [frames]


def test_the_original_recipe_is_what_its_paper_says() -> None:
    config = composed("experiment=mamba_ocr")
    data = config.data
    assert (data.height, data.width, data.channels, data.batch_size) == (32, 320, 3, 16)
    assert (config.trainer.max_epochs, config.optimizer.lr, config.adapt.rank) == (5, 1e-4, 64)
    assert (config.backbone.depth, config.backbone.out_channels, config.encoder.width) == (34, 512, 512)
    assert config.backbone.columns_per_frame == 4
    written = compose(parse("fit", []), ["experiment=mamba_ocr"])
    assert written.backbone.weights == "IMAGENET1K_V1" and len(written.synthesis.charset) == 62
    model = build(config)
    for name, parameter in model.named_parameters():
        full = name.startswith(("backbone.layer4", "backbone.reduce", "encoder", "bridge", "head"))
        assert parameter.requires_grad == (full or ".lora_" in name), name
    adapted = {name.split(".")[1] for name, _ in model.named_parameters() if ".lora_A." in name}
    assert adapted == {"layer1", "layer2", "layer3", "layer4"}


def test_the_recipe_with_a_pretrained_encoder_is_what_its_paper_says() -> None:
    config = composed("experiment=mamba_ocr_130m")
    plainer = composed("experiment=mamba_ocr")
    for key in config:
        if key not in ("backbone", "encoder", "adapt", "run"):
            assert config[key] == plainer[key], key
    encoder = config.encoder
    assert (encoder.width, encoder.d_model, encoder.layers, encoder.bidirectional) == (512, 768, 6, False)
    assert (config.backbone.columns_per_frame, config.adapt.rank) == (8, 64)
    written = compose(parse("fit", []), ["experiment=mamba_ocr_130m"])
    assert written.encoder.pretrained == "state-spaces/mamba-130m-hf"
    model = build(config)
    # That model's 129,135,360 parameters are 24 blocks, 768 of a norm and 50,280 x 768 of embeddings. A layer
    # norm, which the blocks have where nothing is downloaded, has a bias beyond that of theirs.
    blocks = [p for n, p in model.encoder.blocks.named_parameters() if ".lora_" not in n]
    of_a_block = (129_135_360 - 768 - 50_280 * 768) // 24
    assert sum(p.numel() for p in blocks) == 6 * (of_a_block + 768) and not any(
        p.requires_grad for p in blocks
    )
    adapted = {n.split(".")[2] for n, _ in model.encoder.blocks.named_parameters() if ".lora_A." in n}
    assert adapted == {"in_proj", "x_proj", "dt_proj"}
    trained = {n.split(".")[0] for n, p in model.encoder.named_parameters() if p.requires_grad}
    assert trained == {"project_in", "blocks", "norm", "project_out"}
    # A bottleneck of 64 after the first convolution of each of ResNet34's 16 blocks.
    downs = [p for n, p in model.backbone.named_parameters() if n.endswith("conv1.bottleneck.down.weight")]
    assert len(downs) == 16 and all(p.shape[0] == 64 and p.requires_grad for p in downs)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_every_decoder_is_built_and_has_all_its_keys(command: str, decoder: str) -> None:
    node = compose(parse(command, []), [f"decoder={decoder}"]).decoder
    charset = Charset("ab")
    (transcript,) = instantiate(node)(charset)(torch.zeros(1, 2, 3).log_softmax(-1), torch.tensor([2]))
    assert len(transcript.text) <= 2
    accepted = inspect.signature(get_object(node["_target_"])).parameters
    assert {key for key in node if not key.startswith("_")} == accepted.keys() - {"charset"}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_run_is_named_after_its_experiment(experiment: str) -> None:
    invocation = parse("fit", [f"experiment={experiment}"])
    assert compose(invocation, invocation.overrides).run.startswith(f"{experiment}-")
