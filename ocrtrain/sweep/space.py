"""Search spaces: settings of `fit`, each with a range or a list of choices."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrtrain.command_line.quoting import quoted
from ocrtrain.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

RANGE_KEYS = {"low", "high", "log", "step"}
GRAMMAR = "Write {low: 0.001, high: 0.1, log: true}, {low: 1, high: 4, step: 1} or [one, two, three]."
# What a search decides for each trial itself.
TAKEN = ("run", "runs", "resume", "overwrite", "debug")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if both are. `log`: drawn by logarithm."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 0))

    def distribution(self) -> BaseDistribution:
        """The same in Optuna's words."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), self.log, int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), self.log, self.step)

    def holds(self, value: Any) -> bool:
        """Whether `value` is one of its numbers."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def stored(self, value: Any) -> Any:
        """How a study writes `value`, one of its numbers."""
        return int(value) if self.whole else float(value)

    def value(self, stored: Any) -> Any:
        """The value of the setting that a study has stored."""
        return stored


@dataclass(frozen=True, slots=True)
class Choices:
    """One of some values. A study stores a list as its JSON text, everything else as it is."""

    values: tuple[Any, ...]

    def distribution(self) -> BaseDistribution:
        """The same in Optuna's words."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([as_stored(value) for value in self.values])

    def holds(self, value: Any) -> bool:
        """Whether `value` is among the choices."""
        return any(same(value, own) for own in self.values)

    def stored(self, value: Any) -> Any:
        """How a study writes `value`, one of the choices."""
        return next(as_stored(own) for own in self.values if same(value, own))

    def value(self, stored: Any) -> Any:
        """The value of the setting that a study has stored."""
        return next(value for value in self.values if as_stored(value) == stored)


Parameter = Range | Choices


@dataclass(frozen=True, slots=True)
class Space:
    """The settings that a search may change, by their keys; `source` is the file that names them."""

    source: str
    parameters: dict[str, Parameter]

    def distributions(self) -> dict[str, BaseDistribution]:
        """The space in Optuna's words."""
        return {key: parameter.distribution() for key, parameter in self.parameters.items()}

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that a study's parameters stand for."""
        return {key: parameter.value(stored[key]) for key, parameter in self.parameters.items()}

    def point(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """The study's parameters for `settings`, by key; None where the space does not hold them."""
        if not all(key in settings and p.holds(settings[key]) for key, p in self.parameters.items()):
            return None
        return {key: parameter.stored(settings[key]) for key, parameter in self.parameters.items()}

    def without(self, keys: Iterable[str]) -> Space:
        """The space without what is fixed; raises InputError if nothing is left to search."""
        fixed = set(keys)
        left = {key: parameter for key, parameter in self.parameters.items() if key not in fixed}
        if not left:
            raise InputError(
                f"space={self.source}",
                f"nothing is left to search: {', '.join(self.parameters)} are given",
                "what is given is not searched for: leave one of them out.",
            )
        return Space(self.source, left)

    def as_json(self) -> str:
        """The space as text, the same for the same space."""
        plain = {
            key: list(p.values) if isinstance(p, Choices) else [p.low, p.high, p.log, p.step]
            for key, p in self.parameters.items()
        }
        return json.dumps(plain, sort_keys=True)


def find_space(wanted: str, folders: Iterable[Path]) -> Path:
    """Find the file that `wanted` names: NAME in a folder of presets, or a file; raises InputError."""
    known: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((folder / "sweep").glob("*.yaml")):
            known.setdefault(file.stem, file)
    if wanted in known:
        return known[wanted]
    file = Path(wanted).expanduser()
    if file.is_file():
        return file
    raise InputError(
        f"space={wanted}", "no such search space", f"Name a YAML file, or one of {', '.join(sorted(known))}."
    )


def read_space(file: Path) -> Space:
    """Read a search space; raises InputError that names the key at fault."""
    try:
        # OmegaConf reads 1e-3 as a number, as it does in presets; plain YAML takes it for a text.
        content = OmegaConf.to_container(OmegaConf.create(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(str(file), f"cannot be read as YAML: {reason}", GRAMMAR) from error
    except OSError as error:
        raise InputError(str(file), f"cannot be read: {error.strerror}", "name another file.") from error
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"space={file}", "names no parameter", f"Write lines such as optimizer.lr: ...  {GRAMMAR}"
        )
    return Space(str(file), {str(key): _parameter(file, str(key), value) for key, value in content.items()})


def _parameter(file: Path, key: str, value: Any) -> Parameter:
    def wrong(why: str) -> InputError:
        return InputError(f"{file}: {key}", why, GRAMMAR)

    if key in TAKEN:
        raise InputError(f"{file}: {key}", "cannot be searched", "the search sets it for each trial.")
    if isinstance(value, list):
        return _choices(value, wrong)
    if not isinstance(value, dict):
        raise wrong("must be a range or a list of choices")
    if unknown := [str(name) for name in value if name not in RANGE_KEYS]:
        hint = ": settings within it are written with dots" if not RANGE_KEYS & value.keys() else ""
        raise wrong(f"a range has no {', '.join(unknown)}{hint}")
    if missing := [name for name in ("low", "high") if name not in value]:
        raise wrong(f"its range lacks {' and '.join(missing)}")
    low, high, log, step = value["low"], value["high"], value.get("log", False), value.get("step")
    for name, number in (("low", low), ("high", high), ("step", step)):
        if number is None and name == "step":
            continue
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise wrong(f"{name}={number} must be a number")
    if not isinstance(log, bool):
        raise wrong(f"log={log} must be true or false")
    if low >= high:
        raise wrong(f"low={low} must be below high={high}")
    if log and low <= 0:
        raise wrong(f"low={low} must be above 0, to have a logarithm")
    if step is not None and log:
        raise wrong("has both log and step")
    if step is not None and (step <= 0 or not math.isclose((high - low) / step, round((high - low) / step))):
        raise wrong(f"step={step} does not lead from {low} to {high}")
    return Range(low, high, log, step)


def _choices(values: list[Any], wrong: Any) -> Choices:
    for value in values:
        inner = value if isinstance(value, list) else [value]
        if not all(item is None or isinstance(item, (bool, int, float, str)) for item in inner):
            raise wrong(f"the choice {value} must be a plain value or a list of them")
    if len(values) < 2:
        raise wrong("leaves no choice: name two values or more")
    if len({json.dumps(value) for value in values}) < len(values):
        raise wrong("names a choice twice")
    return Choices(tuple(values))


def same(one: Any, other: Any) -> bool:
    """Tell whether two settings are the same: 0 is 0.0, but 1 is not true."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def as_stored(value: Any) -> Any:
    """A choice as a study can store it."""
    return json.dumps(value) if isinstance(value, list) else value


def as_override(key: str, value: Any) -> str:
    """`key=value` as it is typed on the command line."""
    return f"{key}={_typed(value)}"


def _typed(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    if isinstance(value, str):
        return value if value.isidentifier() else quoted(value)
    return repr(value)
