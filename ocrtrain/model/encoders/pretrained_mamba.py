"""The first blocks of a pretrained Mamba language model, as the start of an encoder."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from dataclasses import fields

import torch
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError, shown
from ocrtrain.model.encoders.mamba_sizes import MambaSizes
from ocrtrain.model.stored_model import StoredModel

log = logging.getLogger(__name__)

SETTING = "encoder.pretrained"
MOST_FEATURES = 65_536
WAY_ON = "give a Mamba (S6) model, such as state-spaces/mamba-130m-hf, or encoder.pretrained=null."
BLOCK = re.compile(r"layers\.(\d+)\.(.+)")


class PretrainedMamba:
    """A Mamba language model in the layout of `transformers` or of mamba-ssm: what it is, and its weights.

    source: a folder or a name on the Hugging Face hub. Raises InputError if there is no such model, or one
    of another kind.

    Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, section 4.2.
    """

    def __init__(self, source: str) -> None:
        self.stored = StoredModel(source, SETTING)
        self.called = f"{SETTING}={source}"
        try:
            config = CheckedFields(self.stored.config())
            layer = config.fields("ssm_cfg", default=None) or CheckedFields({})
            _only_s6(config, layer, self.called)
            self.blocks = config.integer(_first(config, "num_hidden_layers", "n_layer"), 1, 10_000)
            self.sizes = _sizes(config, layer)
        except FieldError as error:
            raise InputError(self.called, f"in its config.json, {error}", WAY_ON) from None

    def sizes_instead_of(self, given: MambaSizes) -> MambaSizes:
        """Give this model's sizes; raises InputError for a `given` one that is neither its nor a default."""
        default = MambaSizes()
        for name in (field.name for field in fields(MambaSizes)):
            wanted, found = getattr(given, name), getattr(self.sizes, name)
            if wanted not in (getattr(default, name), found):
                raise InputError(
                    f"encoder.{name}={wanted}",
                    f"{self.called} has {found}",
                    f"leave encoder.{name} out: with {SETTING}, sizes are those of that model.",
                )
        self._check_sizes()
        return self.sizes

    def _check_sizes(self) -> None:
        """Raise InputError unless the first block has the sizes: no model is built that is larger than it."""
        sizes, width = self.sizes, self.sizes.d_model or 0
        inner = int(sizes.expand * width)
        rank = math.ceil(width / 16) if sizes.dt_rank == "auto" else int(sizes.dt_rank)
        shapes = {
            "in_proj.weight": [2 * inner, width],
            "conv1d.weight": [inner, 1, sizes.d_conv],
            "x_proj.weight": [rank + 2 * sizes.d_state, inner],
        }
        places = {f"layers.0.mixer.{name}": shape for name, shape in shapes.items()}
        stored = {name.removeprefix("backbone."): name for name in self.stored.names()}
        tensors = self.stored.read(stored[name] for name in places if name in stored)
        for name, shape in places.items():
            if name in stored and list(tensors[stored[name]].shape) != shape:
                raise _misfit(tensors[stored[name]], shape, name, self.called)
            if name not in stored:
                raise InputError(self.called, f"lacks {name}", WAY_ON)

    def load_into(self, blocks: nn.ModuleList, norm: nn.Module) -> None:
        """Copy the first blocks and the final norm, as float32; layers against time get what the others get.

        The final norm was fitted to the last block; taking it after an earlier one is what cutting the model
        short means, and training moves it on. Logs what was taken and what was left. Raises InputError if
        there are fewer blocks than `blocks`, or tensors lack, are too many or of other sizes.
        """
        if len(blocks) > self.blocks:
            raise InputError(
                f"encoder.layers={len(blocks)}",
                f"{self.called} has {self.blocks} blocks",
                f"choose at most {self.blocks}, or another model.",
            )
        stored = {name.removeprefix("backbone."): name for name in self.stored.names()}
        targets = _targets(blocks, norm)
        taken = [name for name in stored if name in targets or _block_of(name) in range(len(blocks))]
        unlike = [
            *(name for name in targets if name not in stored),
            *(name for name in taken if name not in targets),
        ]
        if unlike:
            what = "lacks" if unlike[0] in targets else "has, beyond what a block of Mamba has,"
            raise InputError(self.called, f"{what} {unlike[0]} ({len(unlike)} tensors differ)", WAY_ON)
        tensors = self.stored.read(stored[name] for name in taken)
        for name in taken:
            _copy(tensors[stored[name]], targets[name], name, self.called)
        left = [name for name in stored if name not in targets]
        log.info(
            "encoder: took %d of %d blocks, %d wide with %d states, and the final norm from %s"
            " (%d tensors, %s parameters)%s",
            len(blocks),
            self.blocks,
            self.sizes.d_model,
            self.sizes.d_state,
            self.stored.source,
            len(taken),
            f"{sum(t.numel() for t in tensors.values()):,}",
            "; layers against time start from the same" if any(b.back is not None for b in blocks) else "",
        )
        log.info("encoder: left %s", _summary(left) or "nothing")


def _targets(blocks: nn.ModuleList, norm: nn.Module) -> dict[str, list[Tensor]]:
    """Name the parameters as a language model does, each with all that start from it."""
    targets: dict[str, list[Tensor]] = {f"norm_f.{name}": [p] for name, p in norm.named_parameters()}
    for i, block in enumerate(blocks):
        for name, parameter in block.named_parameters():
            part, _, rest = name.partition(".")
            theirs = {"forth": "mixer", "back": "mixer", "norm": "norm"}[part]
            targets.setdefault(f"layers.{i}.{theirs}.{rest}", []).append(parameter)
    return targets


def _copy(found: Tensor, targets: list[Tensor], name: str, called: str) -> None:
    for target in targets:
        if found.shape != target.shape:
            raise _misfit(found, list(target.shape), name, called)
        with torch.no_grad():
            target.copy_(found)


def _misfit(found: Tensor, wanted: list[int], name: str, called: str) -> InputError:
    return InputError(
        called,
        f"{name} is {list(found.shape)}, not {wanted} as its config.json says",
        "copy the whole folder again, with the config.json that belongs to its weights.",
    )


def _block_of(name: str) -> int:
    match = BLOCK.fullmatch(name)
    return int(match[1]) if match else -1


def _summary(names: Iterable[str]) -> str:
    """Say in a few words what tensors these are: "embeddings.weight, 18 further blocks (180 tensors)"."""
    names = list(names)
    others = [name for name in names if _block_of(name) < 0]
    further = [name for name in names if _block_of(name) >= 0]
    if further:
        count = len({_block_of(name) for name in further})
        others.append(f"{count} further block{'s' * (count > 1)} ({len(further)} tensors)")
    return ", ".join(others)


def _first(config: CheckedFields, *names: str) -> str:
    """Choose the first of these names that the configuration has; raises FieldError if it has none."""
    for name in names:
        if name in config:
            return name
    raise FieldError(f"{' or '.join(names)} is missing")


def _sizes(config: CheckedFields, layer: CheckedFields) -> MambaSizes:
    """Read the sizes under the names of `transformers`, else those of mamba-ssm with its defaults.

    The ranges are those of the settings of the same names (`model.parts`).
    """
    width = config.integer(_first(config, "hidden_size", "d_model"), 1, MOST_FEATURES)
    inner = config.integer("intermediate_size", 1, 64 * MOST_FEATURES, default=2 * width)
    expand = layer.number("expand", 1 / 64, 64, default=inner / width)
    steps = (config, "time_step_rank") if "time_step_rank" in config else (layer, "dt_rank")
    return MambaSizes(
        d_state=config.integer("state_size", 1, 4096, default=layer.integer("d_state", 1, 4096, default=16)),
        d_conv=config.integer("conv_kernel", 1, 64, default=layer.integer("d_conv", 1, 64, default=4)),
        expand=config.number("expand", 1 / 64, 64, default=expand),
        dt_rank=_rank(*steps),
        bias=config.boolean("use_bias", default=layer.boolean("bias", default=False)),
        conv_bias=config.boolean("use_conv_bias", default=layer.boolean("conv_bias", default=True)),
        d_model=width,
        norm="rms" if config.boolean("rms_norm", default=True) else "layer",
        norm_eps=config.number("layer_norm_epsilon", 0, 1, default=1e-5),
        residual_in_fp32=config.boolean("residual_in_fp32", default=True),
    )


def _rank(fields: CheckedFields, name: str) -> int | str:
    if fields.values.get(name, "auto") == "auto":
        return "auto"
    return fields.integer(name, 1, MOST_FEATURES)


def _only_s6(config: CheckedFields, layer: CheckedFields, called: str) -> None:
    """Refuse what shares some of Mamba's names but computes something else."""
    for key, value, ours in (
        ("model_type", config.text("model_type", default="mamba"), "mamba"),
        ("ssm_cfg.layer", layer.text("layer", default="Mamba1"), "Mamba1"),
        ("hidden_act", config.text("hidden_act", default="silu"), "silu"),
    ):
        if value != ours:
            raise InputError(called, f"its config.json has {key}={shown(value)[1:-1]}, not {ours}", WAY_ON)
