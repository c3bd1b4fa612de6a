"""Rules for settings that have changed when a run is resumed, one for each.

A checkpoint's record of its run's settings is only compared with, as plain values: nothing of it is put into
effect, resolved or built.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from ocrtrain.errors import InputError

log = logging.getLogger(__name__)


class Consequence(Enum):
    """What becomes of a setting that is not the run's own any more."""

    NOW = "takes effect from here on"
    REFUSED = "cannot change within a run"
    MODEL = "is the checkpoint's, unless typed and fitting"  # `origin` sees to it
    BEGINNING = "matters only where a run begins: ignored"
    COMMAND = "is the command's own and changes no training"


# The first pattern that matches a setting's name is its rule; with it, why it is refused or ignored.
RULES: tuple[tuple[str, Consequence, str], ...] = (
    ("seed", Consequence.REFUSED, "what is drawn, and in which order lines come, follows from it"),
    ("overfit", Consequence.REFUSED, "learning a few lines by heart is a training of its own"),
    ("optimizer._target_", Consequence.REFUSED, "what one optimizer has gathered is of no use to another"),
    ("optimizer.*", Consequence.NOW, ""),
    ("schedule.*", Consequence.NOW, ""),
    ("finetune.layer_decay", Consequence.REFUSED, "the optimizer's state is sorted by it"),
    ("finetune.rates", Consequence.REFUSED, "the optimizer's state is sorted by them"),
    ("finetune.*", Consequence.NOW, ""),
    ("trainer.*", Consequence.NOW, ""),
    ("checkpoint.*", Consequence.NOW, ""),
    ("early_stopping.*", Consequence.NOW, ""),
    ("ema.*", Consequence.NOW, ""),
    ("logger.*", Consequence.NOW, ""),
    ("callbacks", Consequence.NOW, ""),
    ("data.seed", Consequence.REFUSED, "what is drawn, and in which order lines come, follows from it"),
    ("data.train.seed", Consequence.REFUSED, "the lines that are drawn follow from it"),
    ("data.holdout", Consequence.REFUSED, "lines that were trained on would be used to validate"),
    ("data.workers", Consequence.COMMAND, ""),
    ("data.timeout", Consequence.COMMAND, ""),
    *(
        (f"data.{name}", Consequence.MODEL, "")
        for name in ("height", "channels", "width", "ink", "multiple", "normalization", "direction")
    ),
    ("data.charset", Consequence.MODEL, ""),
    ("data.*", Consequence.NOW, ""),  # `Continuation` compares the lines themselves with those of before
    ("synthesis.*", Consequence.NOW, ""),
    ("backbone.*", Consequence.MODEL, ""),
    ("encoder.*", Consequence.MODEL, ""),
    ("adapt.*", Consequence.MODEL, ""),
    ("dropout", Consequence.MODEL, ""),
    ("init", Consequence.BEGINNING, "the weights are those of the run"),
    (
        "charset",
        Consequence.BEGINNING,
        "the characters are those of the run; start from it with init to learn more",
    ),
    *((name, Consequence.COMMAND, "") for name in ("run", "runs", "resume", "overwrite", "find", "debug")),
)
ABSENT = object()
LONGEST = 60  # characters of a value that is shown


@dataclass(frozen=True, slots=True)
class ChangedSetting:
    """A setting by its dotted name, its value now and that of the run; ABSENT where there is none."""

    key: str
    now: Any
    before: Any


def rule(key: str) -> tuple[str, Consequence, str] | None:
    """Find the rule of a setting; None for one that no configuration of ours has."""
    return next((entry for entry in RULES if fnmatchcase(key, entry[0])), None)


def compare_settings(now: Mapping[str, Any], record: object, typed: Mapping[str, str], path: str) -> None:
    """Say what differs from the resumed run's settings, and what becomes of it.

    now: the settings as plain values, before the checkpoint's are taken over; record: what the checkpoint at
    `path` says that they were; typed: settings of the command line. Raises InputError for one that cannot
    change within a run.
    """
    found: dict[Consequence, list[ChangedSetting]] = {effect: [] for effect in Consequence}
    for difference in sorted(differences(now, record), key=lambda d: _place(d.key)):
        entry = rule(difference.key)
        effect = Consequence.NOW if entry is None else entry[1]
        if effect is Consequence.REFUSED and ABSENT not in (difference.now, difference.before):
            raise _refusal(difference, "" if entry is None else entry[2], typed, path)
        if effect is Consequence.MODEL and _typed(difference.key, typed):
            effect = Consequence.NOW
        found[effect].append(difference)
    if found[Consequence.NOW]:
        rows = [f"    {_named(d)}, before {shown(d.before)}" for d in found[Consequence.NOW]]
        log.info("%s", "\n".join(["settings that are others from here on:", *rows]))
    kept = [
        d.key for d in found[Consequence.MODEL] if d.now not in (ABSENT, "auto") and d.before is not ABSENT
    ]
    if kept:
        log.info("settings that stay those of the checkpoint: %s", ", ".join(kept))
    for difference in found[Consequence.BEGINNING]:
        if _typed(difference.key, typed):
            entry = rule(difference.key)
            log.warning("%s is ignored: %s", _named(difference), "" if entry is None else entry[2])


def differences(now: object, before: object, key: str = "") -> Iterator[ChangedSetting]:
    """Give the settings whose values differ; only `now` is walked through, however deep the other is."""
    if not isinstance(now, Mapping):
        if not same(now, before):
            yield ChangedSetting(key, now, before)
        return
    theirs = before if isinstance(before, Mapping) else {}
    if not isinstance(before, Mapping) and before is not ABSENT:
        yield ChangedSetting(key, ABSENT, before)
    for name, value in now.items():
        yield from differences(value, theirs.get(name, ABSENT), f"{key}.{name}" if key else str(name))
    for name in theirs:
        if isinstance(name, str) and name not in now and key:  # a record may have parts of other versions
            yield ChangedSetting(f"{key}.{name}", ABSENT, theirs[name])


def same(now: object, before: object) -> bool:
    """Compare two plain values; a list and a tuple of the same items are the same."""
    if isinstance(now, Mapping):
        return (
            isinstance(before, Mapping)
            and now.keys() == before.keys()
            and all(same(value, before[name]) for name, value in now.items())
        )
    if isinstance(now, (list, tuple)):
        if not isinstance(before, (list, tuple)) or len(now) != len(before):
            return False
        return all(same(mine, theirs) for mine, theirs in zip(now, before, strict=True))
    plain = (bool, int, float, str)
    if not isinstance(before, plain) or not isinstance(now, plain):
        return now is before
    return isinstance(now, bool) == isinstance(before, bool) and now == before


def shown(value: object) -> str:
    """Write down a value that may come from a file, in one short line of characters that can be printed."""
    if value is ABSENT:
        return "not set"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        items = ",".join(
            shown(item) if not isinstance(item, (list, tuple, Mapping)) else "..." for item in value
        )
        text = f"[{items}]"
    elif isinstance(value, (int, float, str)):
        text = str(value)
    else:
        text = "other settings"
    text = "".join(c if c.isprintable() else "?" for c in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _place(key: str) -> int:
    return next((i for i, entry in enumerate(RULES) if fnmatchcase(key, entry[0])), len(RULES))


def _named(difference: ChangedSetting) -> str:
    return f"{difference.key}={shown(difference.now)}"


def _typed(key: str, typed: Mapping[str, str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in _dotted(typed))


def _dotted(typed: Mapping[str, str]) -> Sequence[str]:
    return [name.replace("/", ".") for name in typed]


def _refusal(difference: ChangedSetting, why: str, typed: Mapping[str, str], path: str) -> InputError:
    part, _, last = difference.key.rpartition(".")
    now, before, key = shown(difference.now), shown(difference.before), difference.key
    if last == "_target_":  # chosen by its preset's name
        now, before, key = typed.get(part, now.rpartition(".")[2]), before.rpartition(".")[2], part
    return InputError(
        f"{key}={now}",
        f"this run has {key}={before}, and {why}",
        f"go on with {key}={before}, or start a new run from its weights: init={path} in place of resume.",
    )
