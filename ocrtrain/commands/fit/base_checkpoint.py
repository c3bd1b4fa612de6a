"""The checkpoint that a run starts from (`init`) or goes on from (`resume`), and settings that it fixes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from ocrtrain.checkpoint.description import (
    SOURCES,
    Description,
    describe_checkpoint,
    load_weights,
    merge_adapters,
    model_weights,
    read_checkpoint,
    with_own_weights,
)
from ocrtrain.commands.fit.settings import FitSettings
from ocrtrain.data import LineSets
from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.model import LineRecognizer
from ocrtrain.model.adapt import is_added
from ocrtrain.model.build import adapt_recognizer, build_recognizer
from ocrtrain.text import Charset
from ocrtrain.text.charset import describe
from ocrtrain.training.stored_training import StoredTraining

log = logging.getLogger(__name__)

LONGEST_PATH = 4096  # characters
ARCHITECTURE = ("backbone", "encoder", "dropout")


@dataclass(frozen=True, slots=True)
class BaseCheckpoint:
    """A checkpoint to start from, its low-rank adapters merged, or to go on from as it is.

    typed: settings of the command line that are not the checkpoint's; training: what to go on with.
    """

    setting: str
    path: str
    weights: dict[str, Tensor]
    description: Description
    typed: tuple[str, ...] = ()
    training: StoredTraining | None = None

    @property
    def name(self) -> str:
        """What messages call it: the setting, as it was given."""
        return f"{self.setting}={self.path}"

    def check_charset(self, charset: Charset) -> None:
        """Raise InputError unless the checkpoint writes the characters of the run, in their order."""
        if self.description.charset == charset:
            return
        ours, theirs = set(charset.symbols), set(self.description.charset.symbols)
        raise InputError(
            self.name,
            f"its charset differs from the data's: it lacks {''.join(sorted(ours - theirs))!r}"
            f" and has {''.join(sorted(theirs - ours))!r} beyond them",
            "leave data.charset out to train with the checkpoint's, learn more characters with"
            " charset=extend, or train anew.",
        )


def read_base(settings: FitSettings) -> BaseCheckpoint | None:
    """Read the checkpoint that `init` or `resume` names; None if neither does."""
    setting = "init" if settings.resume is None else "resume"
    path = settings.init if settings.resume is None else settings.resume
    if path is None:
        if settings.charset != "keep":
            raise InputError(
                f"charset={settings.charset}", "there is no charset before", "give init=CHECKPOINT."
            )
        return None
    content, name = read_checkpoint(path, setting), f"{setting}={path}"
    weights, description = model_weights(content), describe_checkpoint(content, name)
    if setting == "init":
        weights, description = merge_adapters(content, description, name)
        return BaseCheckpoint(setting, str(path), weights, description)
    if "optimizer_states" not in content:
        raise InputError(
            f"resume={path}",
            "holds a model, but no training to go on with",
            f"start from it: init={path}",
        )
    return BaseCheckpoint(setting, str(path), weights, description, training=StoredTraining(content, name))


def inherit(
    settings: FitSettings, base: BaseCheckpoint | None, given: Mapping[str, str]
) -> tuple[FitSettings, BaseCheckpoint | None]:
    """Give the settings with those that the checkpoint fixes, and it with those typed ones that differ.

    Fixed are the architecture and how lines are prepared, and for `resume` the adaptation too. What is typed
    on the command line (`given`) stays, and is named if the weights then do not fit; raises InputError for
    typed settings that cannot be others.
    """
    if base is None:
        return settings, None
    resumed, description = base.training is not None, base.description
    fixed: dict[str, Any] = {}
    if resumed:  # so that the run still knows what its adapters are for
        fixed["init"] = started_from(description, base.name)
    typed = without_sources(given, None if resumed else description, base.path)
    taken = with_own_weights(description.model)
    different: list[str] = []
    for key in (*ARCHITECTURE, "adapt") if resumed else ARCHITECTURE:
        fixed[key], differing = settle(key, settings.model[key], taken.get(key), typed)
        different += differing
    fixed |= prepared_alike(settings.data, base, typed)
    charset = "" if not resumed and settings.charset == "replace" else " and charset"
    parts = f"architecture, preprocessing{charset}" if charset else "architecture and preprocessing"
    log.info("%s: its %s are used", base.name, parts)
    return settings.replaced(fixed), replace(base, typed=tuple(different))


def started_from(description: Description, name: str) -> str | None:
    """Tell the checkpoint that a training began with; raises InputError for what is not a path.

    Of all that a checkpoint says, this is the only text of any kind that becomes a setting. An interpolation
    in it would be resolved.
    """
    path = description.config.get("init")
    if path is None or (isinstance(path, str) and "${" not in path and len(path) <= LONGEST_PATH):
        return path
    raise InputError(
        name, f"its config.init must be a path, not {shown(path)}", "take another checkpoint of that run."
    )


def typed_settings(words: Sequence[str]) -> dict[str, str]:
    """Settings of the command line, as they were typed, by their keys."""
    pairs = (word.lstrip("+~").partition("=") for word in words)
    return {key.partition("@")[0]: value for key, _, value in pairs}


def without_sources(typed: Mapping[str, str], description: Description | None, path: str) -> dict[str, str]:
    """Leave out where the checkpoint's own training took its weights from: that need not be there any more.

    Raises InputError if an `init` with a description is to have another source as well.
    """
    rest = dict(typed)
    for part, source in SOURCES:
        value = rest.pop(f"{part}.{source}", None)
        if description is not None and value is not None:
            group = description.config.get(part)
            once = group.get(source) if isinstance(group, dict) else None
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


def prepared_alike(data: Mapping[str, Any], base: BaseCheckpoint, typed: Mapping[str, str]) -> dict[str, Any]:
    """Give the settings of `data`, by dotted keys, with which lines are prepared as the model knows them.

    Raises InputError for typed ones that cannot be others.
    """
    description, fixed = base.description, {}
    for name, theirs in {**description.preprocess.as_dict(), **description.charset.writing.as_dict()}.items():
        key, mine = f"data.{name}", data.get(name)
        if name == "ink":
            mine = bool(mine) and description.preprocess.channels == 1  # colours have no ink to find
        if key in typed and mine != theirs:
            if name == "multiple":  # changes no result
                continue
            if name != "direction" or mine != "auto":  # auto is what it came to then
                raise InputError(
                    f"{key}={typed[key]}",
                    f"the model of {base.name} was trained with {'null' if theirs is None else theirs}",
                    "leave it out: a checkpoint brings its preprocessing.",
                )
        fixed[key] = theirs
    return fixed


def open_data(data: LineSets, settings: FitSettings, base: BaseCheckpoint | None) -> None:
    """Open the lines of a run, with the charset that its checkpoint and `charset` call for.

    Raises InputError for characters that the checkpoint lacks, unless it is to learn them.
    """
    columns_per_frame = int(settings.backbone.get("columns_per_frame", 4))
    if base is None:
        data.open(columns_per_frame)
        return
    before = base.description.charset
    if base.training is not None or settings.charset == "keep":
        data.open(columns_per_frame, charset=before)
        base.check_charset(data.charset)
        return
    data.open(columns_per_frame)
    found = data.charset
    new = [symbol for symbol in found.symbols if symbol not in set(before.symbols)]
    if settings.charset == "extend":
        data.extend_charset(Charset([*before.symbols, *new], found.writing))
    dropped = len(before.symbols) + len(new) - len(data.charset.symbols)
    log.info(
        "charset=%s: %d characters as before, %d new%s%s",
        settings.charset,
        len(data.charset.symbols) - len(new),
        len(new),
        f", {dropped} dropped" if dropped else "",
        "".join(f"\n    new: {describe(symbol)}" for symbol in new),
    )


def build_model(
    settings: Mapping[str, Any], classes: int, base: BaseCheckpoint | None, charset: Charset | None = None
) -> LineRecognizer:
    """Build the model of a run, with its checkpoint's weights; adapters are put on top of those of `init`.

    charset: of the run, where it may be another than the checkpoint's. Raises InputError if the weights do
    not fit, and for new characters that would never be learned.
    """
    if base is None:
        return build_recognizer(settings, classes)
    if base.training is not None:
        # Lightning loads them again, with all else; here a misfit is named in our words.
        model = build_recognizer(settings, classes)
        _load(model, base.weights, base)
        return model
    model = build_recognizer({**settings, "adapt": None}, classes)
    weights = {name: value for name, value in base.weights.items() if not is_added(name)}
    before = base.description.charset
    if charset is not None and charset != before:
        check_head(weights, before, base.name)
        weights |= head_rows(weights, before, charset, model.head)
    _load(model, weights, base)
    adapt_recognizer(model, settings["adapt"])
    if charset is not None and charset != before and not model.head.weight.requires_grad:
        raise InputError(
            "adapt.train", "leaves the head as it is, so no new character is ever read", "add head.* to it."
        )
    bottlenecks = {name: value for name, value in base.weights.items() if is_added(name)}
    if bottlenecks:
        _go_on_with(model, bottlenecks, base)
    return model


def check_head(weights: Mapping[str, Tensor], charset: Charset, name: str) -> None:
    """Raise InputError unless the head has a row for each class of `charset`."""
    for key, dimensions in (("head.weight", 2), ("head.bias", 1)):
        value = weights.get(key)
        if not isinstance(value, Tensor) or value.ndim != dimensions or len(value) != len(charset):
            raise InputError(
                name,
                f"its weights do not fit its charset: {key}",
                "copy the file again, or take another one.",
            )


def head_rows(
    weights: Mapping[str, Tensor], before: Charset, after: Charset, fresh: nn.Linear
) -> dict[str, Tensor]:
    """Sort the rows of a head by the characters of another charset: rows follow their characters.

    A new character gets the row that `fresh`, a head of the new size, has for it; the blank keeps its own.
    """
    old = {symbol: row for row, symbol in enumerate(before.symbols, start=1)}
    moved = [(row, old[symbol]) for row, symbol in enumerate(after.symbols, start=1) if symbol in old]
    rows, sources = (list(column) for column in zip((0, 0), *moved, strict=True))
    head = {"head.weight": fresh.weight.detach().clone(), "head.bias": fresh.bias.detach().clone()}
    for name, value in head.items():
        value[rows] = weights[name][sources].to(value.dtype)
    return head


def _load(model: LineRecognizer, weights: dict[str, Tensor], base: BaseCheckpoint) -> None:
    try:
        load_weights(model, weights, base.name)
    except InputError as error:
        if not base.typed:
            raise
        raise InputError(
            ", ".join(base.typed),
            f"does not fit {base.name}: {error.why}",
            "leave it out: a checkpoint brings its architecture. Or train anew, without the checkpoint.",
        ) from error


def _go_on_with(model: LineRecognizer, bottlenecks: Mapping[str, Tensor], base: BaseCheckpoint) -> None:
    """Load the bottlenecks that a checkpoint has into those of the new adaptation: they cannot be merged."""
    own = {name: value for name, value in model.state_dict().items() if ".bottleneck." in name}
    if {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in bottlenecks.items()}:
        width = (base.description.model["adapt"] or {}).get("width")
        raise InputError(
            base.name,
            "has bottlenecks, which cannot be merged into its weights",
            f"go on training them with adapt=bottleneck adapt.width={width} and the patterns that they were"
            " made with, or start from the checkpoint that they were made for.",
        )
    model.load_state_dict(bottlenecks, strict=False)
