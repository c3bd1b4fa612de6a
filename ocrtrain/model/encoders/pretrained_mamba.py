"""The first blocks of a pretrained Mamba language model, as the start of an encoder."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from ocrtrain.errors import InputError
from ocrtrain.model.encoders.mamba_sizes import MambaSizes
from ocrtrain.model.stored_model import StoredModel

log = logging.getLogger(__name__)

SETTING = "encoder.pretrained"
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
        config = self.stored.config()
        try:
            _only_s6(config, self.called)
            self.blocks = int(_first(config, "num_hidden_layers", "n_layer"))
            self.sizes = _sizes(config)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(self.called, f"its config.json lacks or mistakes {error}", WAY_ON) from None

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
        return self.sizes

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
            raise InputError(
                called,
                f"{name} is {list(found.shape)}, not {list(target.shape)} as its config.json says",
                "copy the whole folder again, with the config.json that belongs to its weights.",
            )
        with torch.no_grad():
            target.copy_(found)


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


def _first(config: dict[str, Any], *names: str) -> Any:
    """Take the first of these keys that the configuration has."""
    for name in names:
        if config.get(name) is not None:
            return config[name]
    raise KeyError(" or ".join(names))


def _sizes(config: dict[str, Any]) -> MambaSizes:
    """Read the sizes under the names of `transformers`, else those of mamba-ssm with its defaults."""
    layer = config.get("ssm_cfg") or {}
    width = int(_first(config, "hidden_size", "d_model"))
    inner = config.get("intermediate_size", 2 * width)
    rank = config.get("time_step_rank", layer.get("dt_rank", "auto"))
    return MambaSizes(
        d_state=int(config.get("state_size", layer.get("d_state", 16))),
        d_conv=int(config.get("conv_kernel", layer.get("d_conv", 4))),
        expand=float(config.get("expand", layer.get("expand", inner / width))),
        dt_rank=rank if rank == "auto" else int(rank),
        bias=bool(config.get("use_bias", layer.get("bias", False))),
        conv_bias=bool(config.get("use_conv_bias", layer.get("conv_bias", True))),
        d_model=width,
        norm="rms" if config.get("rms_norm", True) else "layer",
        norm_eps=float(config.get("layer_norm_epsilon", 1e-5)),
        residual_in_fp32=bool(config.get("residual_in_fp32", True)),
    )


def _only_s6(config: dict[str, Any], called: str) -> None:
    """Refuse what shares some of Mamba's names but computes something else."""
    layer = config.get("ssm_cfg") or {}
    for key, value, ours in (
        ("model_type", config.get("model_type", "mamba"), "mamba"),
        ("ssm_cfg.layer", layer.get("layer", "Mamba1"), "Mamba1"),
        ("hidden_act", config.get("hidden_act", "silu"), "silu"),
    ):
        if value != ours:
            raise InputError(called, f"its config.json has {key}={value}, not {ours}", WAY_ON)
