"""Adapters in a folder of their own: a few MB beside a base that many of them share.

The folder has PEFT's format, adapter_config.json and adapter_model.safetensors, so `peft.PeftModel` reads
one of low-rank adapters as well. The second file's metadata name the base by a fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ocrtrain.checkpoint.description import Description, symbols
from ocrtrain.checkpoint.torch_file import KINDS, first_not_finite
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError, shown
from ocrtrain.files import atomic_path, write_text_atomically
from ocrtrain.json_text import JsonError, parse_json, parse_json_file
from ocrtrain.model.adapt import Adaptation, bottleneck_settings, fold, is_added
from ocrtrain.model.build import construct
from ocrtrain.settings import checked_path
from ocrtrain.text import Charset

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."  # PEFT's, before every name in its files
BASE = "ocrtrain_base"  # the metadata's key for the fingerprint
DIGEST = "ocrtrain_digest"  # for that of everything that reading takes; earlier versions wrote none
CHARSET = "ocrtrain_charset"  # and for the symbols, in JSON, where they are others than the base's
LORA, BOTTLENECK = "LORA", "OCRTRAIN_BOTTLENECK"


class AdapterWriter:
    """Writes what was trained of an adapted model, without the weights that are its base's.

    model: adapted, with the base's weights under its adapters; description: of the training; base: where
    the base is, for the record; charset: the base's, where training has another one.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        description: Description,
        base: str,
        charset: Charset | None = None,
    ) -> None:
        self.folder, self.base = folder, base
        self.adaptation = construct(description.model["adapt"], Adaptation, "adapt")
        names = whole_modules(model)
        weights = model.state_dict()
        # What has an adapter and is trained in full as well is written in full, the adapter folded into it.
        self.whole = [name for name in names if not any(inside(name, other) for other in names - {name})]
        self.lora = sorted(
            module
            for module in {name.partition(".lora_A.")[0] for name in weights if ".lora_A." in name}
            if not any(inside(module, name) for name in names)
        )
        frozen = {n.replace(".base_layer.", "."): w for n, w in weights.items() if not self._is_ours(n)}
        charset = description.charset if charset is None else charset
        self.fingerprint = fingerprint(frozen, charset, description.preprocess.as_dict())
        self.metadata = {"format": "pt", BASE: self.fingerprint}
        if charset != description.charset:
            self.metadata[CHARSET] = json.dumps(description.charset.symbols)

    def _is_ours(self, name: str) -> bool:
        return is_added(name) or any(inside(name, module) for module in self.whole)

    def save(self, weights: Mapping[str, Tensor]) -> None:
        """Write the adapter that `weights`, the adapted model's, hold; each file appears whole."""
        from safetensors.torch import save

        tensors, config, metadata = self._content(weights)
        write_text_atomically(self.folder / CONFIG, json.dumps(config, indent=2) + "\n")
        with atomic_path(self.folder / WEIGHTS) as temporary:
            # Not its `save_file`, which closes the file to all but its owner.
            temporary.write_bytes(save(tensors, metadata))

    def holds(self, weights: Mapping[str, Tensor]) -> bool:
        """Tell whether the folder has the adapter that `weights` hold, whole."""
        try:
            found = read_tensors(self.folder, read_config(self.folder))
        except InputError:
            return False
        return found.digest is not None and found.digest == self._content(weights)[2][DIGEST]

    def _content(
        self, weights: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
        """Give the tensors, the config and the metadata of the files."""
        adaptation = self.adaptation
        folded = {n: w for n, w in weights.items() if not any(inside(n, module) for module in self.lora)}
        ours = {n: w for n, w in fold(folded, adaptation.alpha / adaptation.rank).items() if self._is_ours(n)}
        low_rank = {n: w for n, w in weights.items() if ".lora_" in n and n not in folded}
        ours |= {name.replace(".default.", "."): value for name, value in low_rank.items()}
        tensors = {PEFT_PREFIX + n: w.detach().cpu().contiguous() for n, w in ours.items()}
        bottlenecks = sorted({n.partition(".bottleneck.")[0] for n in ours if ".bottleneck." in n})
        config: dict[str, Any] = {
            "peft_type": BOTTLENECK if bottlenecks else LORA,
            "base_model_name_or_path": self.base,
            "task_type": None,
            "inference_mode": True,
            "r": adaptation.rank,
            "lora_alpha": adaptation.alpha,
            "lora_dropout": adaptation.dropout,
            "target_modules": self.lora,
            "modules_to_save": sorted(self.whole),
        }
        if bottlenecks:
            config |= {"width": adaptation.width, "bottlenecks": bottlenecks}
        own = digest(tensors, self.metadata, config)
        return tensors, config, {**self.metadata, DIGEST: own}


def whole_modules(model: nn.Module) -> set[str]:
    """Names of the modules that own parameters trained in full."""
    trained = {n for n, p in model.named_parameters() if p.requires_grad and not is_added(n)}
    return {n.rpartition(".")[0].removesuffix(".base_layer") for n in trained}


def inside(name: str, module: str) -> bool:
    """Tell whether `name` is that of `module` or of something in it."""
    return name == module or name.startswith(f"{module}.")


def fingerprint(weights: Mapping[str, Tensor], charset: Charset, preprocess: dict[str, Any]) -> str:
    """Tell bases apart by what an adapter relies on: frozen weights, symbols, how lines are prepared."""
    hashed = hashlib.sha256()
    # How far batches are padded changes no result.
    prepared = {key: value for key, value in preprocess.items() if key != "multiple"}
    hashed.update(json.dumps([charset.symbols, prepared], sort_keys=True).encode())
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        hashed.update(f"{name} {value.dtype} {list(value.shape)} ".encode())
        hashed.update(value.numpy().tobytes())
    return hashed.hexdigest()


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """Tell one adapter from another, and from what is left of it where a bit has changed."""
    read = [float(config[key]) if key in config else None for key in ("r", "lora_alpha", "width")]
    said = [config["peft_type"], read, metadata.get(BASE), metadata.get(CHARSET)]
    hashed = hashlib.sha256(json.dumps(said).encode())
    for name in sorted(tensors):
        value = tensors[name]
        hashed.update(f"{name} {value.dtype} {list(value.shape)} ".encode())
        hashed.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


@dataclass(frozen=True, slots=True)
class Tensors:
    """Content of an adapter's second file: tensors by names in a model, and what it says of itself.

    base: the fingerprint of what it is for; charset: its own, if it has one; digest: None of an earlier
    version's.
    """

    tensors: dict[str, Tensor]
    base: str
    charset: Charset | None
    digest: str | None


def apply_adapter(
    weights: dict[str, Tensor], description: Description, folder: str | Path
) -> tuple[dict[str, Tensor], Description]:
    """Put the adapter in `folder` onto its base's weights.

    weights, description: of the plain base, as `merge_adapters` gives them; so are those that are returned,
    only that a model with bottlenecks has these. Raises InputError if the folder holds no adapter of ours, a
    damaged one, or one for another base.
    """
    folder = checked_path(folder, "adapter")
    config = read_config(folder)
    read = read_tensors(folder, config)
    found, charset = read.tensors, read.charset
    added = {name for name in found if is_added(name)}
    rest = {n: w for n, w in weights.items() if n not in found and not is_added(n)}
    shapes = {name: value.shape for name, value in weights.items()}
    if charset is not None:  # its head has a row for each class
        resized = {n: (len(charset), *shapes[n][1:]) for n in ("head.weight", "head.bias") if n in shapes}
        shapes |= {name: torch.Size(shape) for name, shape in resized.items()}
    strange = [n for n, value in found.items() if n not in added and shapes.get(n) != value.shape]
    own = fingerprint(rest, description.charset, description.preprocess.as_dict())
    if strange or read.base != own:
        raise InputError(
            f"adapter={folder}",
            "was made for another base than this checkpoint",
            f"give the checkpoint that its training started from: {config.base}.",
        )
    try:
        merged = fold({**rest, **found}, config.alpha / config.rank)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise damaged(folder, f"its tensors do not belong together: {reason}") from None
    if (wrong := first_not_finite(merged)) is not None:
        raise damaged(folder, f"with it, the weights are not all finite numbers, as in {shown(wrong)}")
    if config.kind == LORA and any(".bottleneck." in name for name in added):
        raise damaged(folder, f"{CONFIG} does not tell of its bottlenecks")
    adapt = None
    if config.kind == BOTTLENECK:
        places = sorted({n.partition(".bottleneck.")[0] for n in added if ".bottleneck." in n})
        adapt = bottleneck_settings(config.width, places)
    described = replace(description, model={**description.model, "adapt": adapt}, calibration=None)
    return merged, described if charset is None else replace(described, charset=charset)


@dataclass(frozen=True, slots=True)
class Config:
    """The few settings that reading an adapter takes; no other of its file is looked at."""

    kind: str
    rank: int
    alpha: float
    width: int  # of bottlenecks; 0 without any
    base: str  # where it was, for messages

    def as_dict(self) -> dict[str, Any]:
        """Give it by the names of the file."""
        own: dict[str, Any] = {"peft_type": self.kind, "r": self.rank, "lora_alpha": self.alpha}
        return own | ({"width": self.width} if self.width else {})


def read_config(folder: Path) -> Config:
    """Read and check the settings; raises InputError if they are missing, or others."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(
            f"adapter={folder}", what, "give the folder that fit wrote, such as runs/NAME/adapter."
        )
    lacking = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if lacking:
        way_on = "give the folder that fit wrote, such as runs/NAME/adapter."
        raise InputError(f"adapter={folder}", f"holds no adapter: no {' and no '.join(lacking)}", way_on)
    try:
        content = parse_json_file(folder / CONFIG)
    except (OSError, JsonError) as error:
        raise damaged(folder, f"{CONFIG} cannot be read ({str(error).partition(chr(10))[0]})") from None
    try:
        fields = CheckedFields(content)
        kind = fields.text("peft_type", (LORA, BOTTLENECK))
        return Config(
            kind,
            fields.integer("r", 1, 1024),
            fields.number("lora_alpha", 1e-6, 1e6),
            fields.integer("width", 1, 8192) if kind == BOTTLENECK else 0,
            shown(fields.values.get("base_model_name_or_path"), 1000).strip("'"),
        )
    except FieldError as error:
        raise foreign(folder, f"has a {CONFIG} in which {error}") from None


def read_tensors(folder: Path, config: Config) -> Tensors:
    """Read an adapter's tensors; raises InputError if they are not what was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise damaged(folder, f"{WEIGHTS} cannot be read ({str(error).partition(chr(10))[0]})") from None
    if BASE not in metadata:
        raise foreign(folder, "does not say which base it is for")
    if any(value.dtype not in KINDS for value in tensors.values()):
        raise damaged(folder, "a tensor is of a kind that no model of ours has")
    if DIGEST in metadata and metadata[DIGEST] != digest(tensors, metadata, config.as_dict()):
        raise damaged(folder, "its digest does not fit: it is not what was written")
    if (wrong := first_not_finite(tensors)) is not None:
        raise damaged(folder, f"its weights are not all finite numbers, as in {shown(wrong)}")
    named = {name.removeprefix(PEFT_PREFIX): value for name, value in tensors.items()}
    try:
        charset = Charset(symbols(parse_json(metadata[CHARSET]))) if CHARSET in metadata else None
    except (JsonError, FieldError, InputError) as error:
        reason = str(error).partition("\n")[0]
        raise damaged(folder, f"its charset cannot be read ({reason})") from None
    return Tensors(named, metadata[BASE], charset, metadata.get(DIGEST))


def damaged(folder: Path, why: str) -> InputError:
    """Say that an adapter of ours is not whole."""
    return InputError(f"adapter={folder}", f"is damaged: {why}", "copy the folder again, or train it anew.")


def foreign(folder: Path, why: str) -> InputError:
    """Say that an adapter was written by something else."""
    return InputError(
        f"adapter={folder}", f"was not written by ocrtrain: it {why}", "give one that fit wrote."
    )
