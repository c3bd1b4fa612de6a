"""A pretrained model where others keep it: a folder, or a repository on the Hugging Face hub."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrtrain.errors import InputError
from ocrtrain.json_text import JsonError, parse_json_file

# In the order in which they are looked for; each may be split into shards that NAME.index.json lists.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class StoredModel:
    """The configuration and the tensors of a model as `transformers` saves it; only they are read, no code.

    source: a folder, or a name such as state-spaces/mamba-130m-hf, of which just the files that are needed
    are downloaded, once; setting: what to call it in messages. Every method raises InputError if files lack,
    cannot be downloaded or are damaged.
    """

    def __init__(self, source: str, setting: str) -> None:
        self.source = str(source)
        self.called = f"{setting}={source}"
        self._folder = Path(source).expanduser()
        self._unreachable = ""
        self._places: dict[str, str] = {}
        if not self._folder.is_dir() and (
            self._folder.exists() or HUB_NAME.fullmatch(self.source) is None or self.source.startswith(".")
        ):
            raise InputError(
                self.called,
                "is neither a folder nor a name on the Hugging Face hub",
                "give the folder that holds config.json and the weights, or OWNER/NAME.",
            )

    def config(self) -> dict[str, Any]:
        """Read config.json."""
        return self._json("config.json", self._need("config.json"))

    def names(self) -> list[str]:
        """Name all tensors."""
        for file in WEIGHTS:
            if (path := self._find(file)) is not None:
                self._places = dict.fromkeys(self._open(path), file)
                break
            if (path := self._find(f"{file}.index.json")) is not None:
                shards = self._json(path.name, path).get("weight_map")
                if not isinstance(shards, dict):
                    raise self._damaged(path.name, "it has no weight_map")
                # Shards lie beside their index: a path that leads elsewhere is not followed.
                self._places = {str(name): Path(str(shard)).name for name, shard in shards.items()}
                break
        else:
            raise self._missing(" or ".join(WEIGHTS))
        return list(self._places)

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read the named tensors, and open no file that holds none of them."""
        if not self._places:
            self.names()
        wanted: dict[str, list[str]] = {}
        for name in names:
            wanted.setdefault(self._places[name], []).append(name)
        found: dict[str, Tensor] = {}
        for file, inside in wanted.items():
            found |= self._open(self._need(file), inside)
        return found

    def _open(self, path: Path, names: list[str] | None = None) -> dict[str, Any]:
        """Read some tensors of a file, or all of its names alone."""
        try:
            if path.suffix == ".safetensors":
                from safetensors import safe_open

                with safe_open(path, "pt") as file:
                    return (
                        dict.fromkeys(file.keys())
                        if names is None
                        else {n: file.get_tensor(n) for n in names}
                    )
            # Only files of torch 1.6 and later can be mapped, so that what is not asked for is not read.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
            tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
            return tensors if names is None else {name: tensors[name] for name in names}
        except Exception as error:  # whatever a truncated or foreign file makes of its reader
            raise self._damaged(path.name, str(error).partition("\n")[0] or type(error).__name__) from None

    def _json(self, name: str, path: Path) -> dict[str, Any]:
        try:
            content = parse_json_file(path)
        except (OSError, JsonError) as error:
            raise self._damaged(name, str(error).partition("\n")[0]) from None
        if not isinstance(content, dict):
            raise self._damaged(name, "it is no JSON object")
        return content

    def _need(self, name: str) -> Path:
        path = self._find(name)
        if path is None:
            raise self._missing(name)
        return path

    def _find(self, name: str) -> Path | None:
        """Find one of the model's files, downloading it if need be; None if there is none."""
        if self._folder.is_dir():
            path = self._folder / name
            return path if path.is_file() else None
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            return Path(hf_hub_download(self.source, name))
        except LocalEntryNotFoundError as error:  # out of reach, and not in the cache
            self._unreachable = str(error.__cause__ or error).partition("\n")[0]
        except EntryNotFoundError:
            pass
        except Exception as error:  # no such repository, no permission, a broken connection, a full disk
            self._unreachable = str(error).strip().partition("\n")[0] or type(error).__name__
        return None

    def _missing(self, name: str) -> InputError:
        if self._unreachable:
            return InputError(
                self.called,
                f"{name} cannot be downloaded from the Hugging Face hub: {self._unreachable}",
                "check the name and the network, or download the model elsewhere (hf download"
                f" {self.source} --local-dir DIR) and give the folder: {self.called.partition('=')[0]}=DIR.",
            )
        return InputError(self.called, f"has no {name}", "give the folder or repository of a whole model.")

    def _damaged(self, name: str, reason: str) -> InputError:
        return InputError(
            self.called, f"its {name} cannot be read: {reason}", "copy or download that file again."
        )
