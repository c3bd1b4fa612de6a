"""What a run takes over from the checkpoint that it starts from (`init`) or goes on from (`resume`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from ocrtrain.checkpoint import (
    SOURCES,
    Description,
    describe_checkpoint,
    load_weights,
    merge_adapters,
    model_weights,
    read_checkpoint,
    with_own_weights,
)
from ocrtrain.errors import InputError
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.model.build import adapt_recognizer, build_recognizer
from ocrtrain.text import Charset

log = logging.getLogger(__name__)

ARCHITECTURE = ("backbone", "encoder", "dropout")


@dataclass(frozen=True, slots=True)
class Origin:
    """A checkpoint to start from, its low-rank adapters merged, or to go on from as it is.

    typed: settings of the command line that are not the checkpoint's.
    """

    setting: str
    path: str
    weights: dict[str, Tensor]
    description: Description
    typed: tuple[str, ...]

    def check_charset(self, charset: Charset) -> None:
        """Raise InputError unless the checkpoint writes the characters of the run, in their order."""
        if self.description.charset == charset:
            return
        ours, theirs = set(charset.symbols), set(self.description.charset.symbols)
        raise InputError(
            f"checkpoint={self.path}",
            f"its charset differs from the data's: it lacks {''.join(sorted(ours - theirs))!r}"
            f" and has {''.join(sorted(theirs - ours))!r} beyond them",
            "leave data.charset out to train with the checkpoint's, or train anew.",
        )


def take_over(config: DictConfig) -> Origin | None:
    """Read the checkpoint that `config` names, and put into `config` the settings that are fixed by it.

    These are the architecture and how lines are prepared, and for `resume` the adaptation too. What is typed
    on the command line stays, and is named if the weights then do not fit; raises InputError for typed
    settings that cannot be others.
    """
    setting = "init" if config.resume is None else "resume"
    path = config[setting]
    if path is None:
        return None
    content = read_checkpoint(path)
    description = describe_checkpoint(content, path)
    if setting == "init":
        weights, description = merge_adapters(content, description, path)
    else:
        if "optimizer_states" not in content:
            raise InputError(
                f"resume={path}",
                "holds a model, but no training to go on with",
                f"start from it: init={path}",
            )
        weights = model_weights(content)
        with open_dict(config):  # so that the run still knows what its adapters are for
            config.init = description.config.get("init")
    typed = without_sources(typed_settings(), None if config.resume else description, path)
    taken = with_own_weights(description.model)
    different: list[str] = []
    for key in (*ARCHITECTURE, "adapt") if setting == "resume" else ARCHITECTURE:
        mine = OmegaConf.to_container(config, resolve=True)[key]  # type: ignore[index, call-overload]
        theirs, differing = settle(key, mine, taken.get(key), typed)
        different += differing
        OmegaConf.update(config, key, theirs, merge=False, force_add=True)
    _take_preprocessing(config, description, f"{setting}={path}", typed)
    log.info("%s=%s: its architecture, preprocessing and charset are used", setting, path)
    return Origin(setting, str(path), weights, description, tuple(different))


def typed_settings() -> dict[str, str]:
    """Settings of the command line, as they were typed."""
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    pairs = (word.lstrip("+~").partition("=") for word in given)
    return {key.partition("@")[0]: value for key, _, value in pairs}


def without_sources(typed: dict[str, str], description: Description | None, path: str) -> dict[str, str]:
    """Leave out where the checkpoint's own training took its weights from: that need not be there any more.

    Raises InputError if an `init` with a description is to have another source as well.
    """
    rest = dict(typed)
    for part, source in SOURCES:
        value = rest.pop(f"{part}.{source}", None)
        if description is not None and value is not None:
            once = (description.config.get(part) or {}).get(source)
            if value not in (str(once), "null"):
                raise InputError(
                    f"{part}.{source}={value}", f"init={path} has weights itself", "leave it out."
                )
    return rest


def settle(key: str, mine: Any, theirs: Any, typed: Mapping[str, str]) -> tuple[Any, list[str]]:
    """Choose between the run's settings of a part and the checkpoint's: these, except for what is typed.

    Returns the settings and the typed ones that differ.
    """
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        same = mine == theirs
        return (mine, [] if same else [f"{key}={typed[key]}"]) if key in typed else (theirs, [])
    if key in typed and mine.get("_target_") != theirs.get("_target_"):
        return mine, [f"{key}={typed[key]}"]
    given = {name: value for name, value in mine.items() if f"{key}.{name}" in typed}
    differing = [f"{key}.{n}={typed[f'{key}.{n}']}" for n, value in given.items() if theirs.get(n) != value]
    return {**theirs, **given}, differing


def _take_preprocessing(
    config: DictConfig, description: Description, origin: str, typed: Mapping[str, str]
) -> None:
    for name, theirs in {**description.preprocess.as_dict(), **description.charset.writing.as_dict()}.items():
        key = f"data.{name}"
        mine = OmegaConf.select(config, key)
        if name == "ink":
            mine = bool(mine) and description.preprocess.channels == 1  # colours have no ink to find
        if key in typed and mine != theirs:
            if name == "multiple":  # changes no result
                continue
            if name == "direction" and mine == "auto":  # what it came to then
                OmegaConf.update(config, key, theirs)
                continue
            raise InputError(
                f"{key}={typed[key]}",
                f"the model of {origin} was trained with {'null' if theirs is None else theirs}",
                "leave it out: a checkpoint brings its preprocessing.",
            )
        OmegaConf.update(config, key, theirs, force_add=True)


def build_model(settings: Mapping[str, Any], classes: int, origin: Origin | None) -> LineRecognizer:
    """Build the model of a run, with its origin's weights; adapters are put on top of those of `init`.

    Raises InputError if the weights do not fit.
    """
    if origin is None:
        return build_recognizer(settings, classes)
    if origin.setting == "resume":
        # Lightning loads them again, with all else; here a misfit is named in our words.
        model = build_recognizer(settings, classes)
        _load(model, origin.weights, origin)
        return model
    model = build_recognizer({**settings, "adapt": None}, classes)
    _load(model, {name: value for name, value in origin.weights.items() if not is_added(name)}, origin)
    adapt_recognizer(model, settings["adapt"])
    bottlenecks = {name: value for name, value in origin.weights.items() if is_added(name)}
    if bottlenecks:
        _go_on_with(model, bottlenecks, origin)
    return model


def _load(model: LineRecognizer, weights: dict[str, Tensor], origin: Origin) -> None:
    try:
        load_weights(model, weights, origin.path)
    except InputError as error:
        if not origin.typed:
            raise
        raise InputError(
            ", ".join(origin.typed),
            f"does not fit {origin.setting}={origin.path}: {error.why}",
            "leave it out: a checkpoint brings its architecture. Or train anew, without the checkpoint.",
        ) from error


def _go_on_with(model: LineRecognizer, bottlenecks: Mapping[str, Tensor], origin: Origin) -> None:
    """Load the bottlenecks that a checkpoint has into those of the new adaptation: they cannot be merged."""
    own = {name: value for name, value in model.state_dict().items() if ".bottleneck." in name}
    if {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in bottlenecks.items()}:
        width = (origin.description.model["adapt"] or {}).get("width")
        raise InputError(
            f"init={origin.path}",
            "has bottlenecks, which cannot be merged into its weights",
            f"go on training them with adapt=bottleneck adapt.width={width} and the patterns that they were"
            " made with, or start from the checkpoint that they were made for.",
        )
    model.load_state_dict(bottlenecks, strict=False)
