"""Hydra's and OmegaConf's errors in our words: which setting, what is wrong with it, what to type instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from difflib import SequenceMatcher

import yaml
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.utils import get_object
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from ocrtrain.command_line.help_page import example
from ocrtrain.command_line.invocation import Invocation
from ocrtrain.command_line.presets import choices, compose, groups, options, preset, settings
from ocrtrain.errors import InputError


def similar(key: str, keys: Iterable[str]) -> list[str]:
    """The up to three of `keys` that `key` most likely stands for; a forgotten prefix counts as a slip."""

    def likeness(candidate: str) -> float:
        whole = SequenceMatcher(None, key, candidate).ratio()
        last = SequenceMatcher(None, key.split(".")[-1], candidate.split(".")[-1]).ratio()
        return max(whole, 0.95 * last)

    ranked = sorted(((likeness(candidate), candidate) for candidate in keys), reverse=True)
    return [candidate for ratio, candidate in ranked if ratio >= 0.75][:3]


def in_composition(error: Exception, invocation: Invocation) -> InputError | None:
    """Explain an error that arose before the command began; None if the user has not made it."""
    match error:
        case OverrideParseException():
            return _unreadable(error.override, invocation)
        case MissingConfigException():
            return _missing_preset(error.missing_cfg_file or "", invocation)
        case yaml.MarkedYAMLError():
            mark = error.problem_mark
            place = f"{mark.name}, line {mark.line + 1}" if mark else "a preset"
            return InputError(place, f"is not YAML: {error.problem}", "Mend that line.")
        case ConfigCompositionException():
            return _does_not_fit(error, invocation)
        case OmegaConfBaseException():
            return in_command(error, invocation)
        case HydraException() | ValueError():
            if "Config group override must be" in str(error):
                return _no_preset_name(invocation)
            return InputError("configuration", _one_line(str(error)), f"See {invocation.program} --help")
    return None


def in_command(error: BaseException, invocation: Invocation) -> InputError | None:
    """Explain an error that arose from the settings in a command; None if the user has not made it."""
    match error:
        case MissingMandatoryValue():
            key = error.full_key or str(error.key)
            return InputError(key, "must be given", example(invocation, key))
        case InterpolationResolutionError():
            key = str(error.full_key or error.key)
            return InputError(
                key, _first_line(error), f"Check what it refers to: {invocation.program} --cfg job"
            )
        case InstantiationException():
            return _unknown_target(error) or _unknown_argument(error)
    return None


def _unreadable(override: str, invocation: Invocation) -> InputError:
    name, equals, _ = override.partition("=")
    if equals:
        return InputError(
            override,
            "cannot be read as KEY=VALUE",
            f"Put a text with brackets, commas or quotes between two pairs of quotes: \"{name}='...'\"",
        )
    experiments = options(invocation, "experiment")
    if override in experiments:
        way_on = f"Did you mean experiment={override}?"
    else:
        way_on = f"Settings are written KEY=VALUE; see {invocation.program} --help"
    return InputError(override or "''", "is not a setting", way_on)


def _no_preset_name(invocation: Invocation) -> InputError:
    known = groups(invocation)
    # Hydra does not say which one it is, but it names presets only by a text or a list of texts.
    words = [word for word in invocation.overrides if word.split("=")[0].split("@")[0].lstrip("+") in known]
    word = next((word for word in words if word.endswith("=null")), words[-1] if words else "configuration")
    group = word.split("=")[0]
    return InputError(
        word, "is not the name of a preset", f"Name one of {group}'s presets, or go without them: ~{group}"
    )


def _missing_preset(name: str, invocation: Invocation) -> InputError:
    group, _, option = name.removesuffix(".yaml").rpartition("/")
    known = options(invocation, group)
    if not group:
        return InputError(option, "no such configuration", f"There are: {', '.join(known)}.")
    close = similar(option, known)
    width = max(map(len, known), default=0)
    lines = [f"    {name:<{width}}  {text}".rstrip() for name, text in known.items()]
    meant = f"Did you mean {' or '.join(f'{group}={name}' for name in close)}? " if close else ""
    return InputError(f"{group}={option}", "no such preset", "\n".join([f"{meant}There are:", *lines]))


def _does_not_fit(error: ConfigCompositionException, invocation: Invocation) -> InputError:
    message, cause = str(error), error.__cause__
    if match := re.match(r"Ambiguous value for argument '(.*?)'\n1\. ", message, re.DOTALL):
        key, _, value = match[1].partition("=")
        return InputError(
            match[1],
            "a comma separates the values of a sweep",
            f"For a text: \"{key}='{value}'\"; for a list: '{key}=[{value}]'; for one run each: --multirun",
        )
    if match := re.search(r"Could not (?:override|delete from config\.) '([^']+)'", message):
        return _unknown_key(match[1], invocation)
    if isinstance(cause, OmegaConfBaseException):
        key = message.removeprefix("Error merging override ") or str(cause.full_key or cause.key)
        return InputError(key, f"does not fit: {_first_line(cause)}", f"See {invocation.program} --cfg job")
    return InputError("configuration", _one_line(message), f"See {invocation.program} --help")


def _unknown_key(key: str, invocation: Invocation) -> InputError:
    """Suggest settings for `key`, from the configuration that the other overrides give."""
    others = [word for word in invocation.overrides if word.split("=")[0].lstrip("+~") != key]
    try:
        config = compose(invocation, others)
    except (HydraException, OmegaConfBaseException, ValueError):  # the others have mistakes of their own
        config = compose(invocation, [])
    keys = settings(config)
    parents = {key[:at] for at, letter in enumerate(key) if letter == "."}
    close = similar(key, {*keys, *choices(config)} - parents - {key})
    if close:
        return InputError(key, "no such setting", f"Did you mean {' or '.join(close)}?")
    parent, _, last = key.rpartition(".")
    having = [name for name in options(invocation, parent) if last in _keys_of(invocation, parent, name)]
    if having:
        presets = " or ".join(f"{parent}={name}" for name in having)
        now = choices(config).get(parent)
        return InputError(key, f"is not a setting of {parent}={now}", f"It is of {presets}.")
    below = [name for name in keys if parent and name.startswith(f"{parent}.")]
    below = [name for name in below if name.rpartition(".")[2] not in ("_target_", "_partial_")]
    if below:
        return InputError(key, "no such setting", f"{parent} has {', '.join(below[:20])}.")
    return InputError(key, "no such setting", f"All settings: {invocation.program} --cfg job")


def _keys_of(invocation: Invocation, group: str, name: str) -> list[str]:
    """The settings that a preset's own file names."""
    file = preset(invocation, f"{group}/{name}")
    try:
        content = None if file is None else yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []  # its own mistake, for when it is chosen
    return [str(key) for key in content] if isinstance(content, dict) else []


def _unknown_target(error: InstantiationException) -> InputError | None:
    """Name a class that a setting asks for and that is nowhere."""
    match = re.search(r"Error locating target '([^']+)'", str(error))
    if match is None:
        return None
    node = re.search(r"full_key: (\S+)", str(error))
    key = f"{node[1]}._target_" if node else "_target_"
    return InputError(
        f"{key}={match[1]}",
        "this class does not exist, or its module cannot be imported",
        "Write MODULE.CLASS, such as ocrtrain.synthesis.effects.Blur; PYTHONPATH names folders of yours.",
    )


def _unknown_argument(error: InstantiationException) -> InputError | None:
    """Name the setting that a class's constructor does not know."""
    pattern = (
        r"call to target '([^']+)':\nTypeError\([\"']([\w.]+)\(\) got an unexpected keyword argument '(\w+)'"
    )
    match = re.search(pattern, str(error))
    if match is None or match[1].split(".")[-1] not in match[2].split("."):
        return None  # something that the constructor itself called: not the user's to mend
    target, name = match[1], match[3]
    node = re.search(r"full_key: (\S+)", str(error))
    key = f"{node[1]}.{name}" if node else name
    known = [argument for argument in inspect.signature(get_object(target)).parameters if argument != "self"]
    close = similar(name, known)
    way_on = f"Did you mean {' or '.join(close)}?" if close else f"It has {', '.join(known)}."
    return InputError(key, f"{target.split('.')[-1]} has no such setting", way_on)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _one_line(message: str) -> str:
    return " ".join(message.split("Config search path:")[0].split())
