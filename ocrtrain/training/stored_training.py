"""State of a training in its checkpoint, checked before a run goes on from it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from ocrtrain.checkpoint.description import KEY, OTHER
from ocrtrain.checkpoint.torch_file import first_not_finite
from ocrtrain.errors import InputError
from ocrtrain.fields import CheckedFields, FieldError, shown
from ocrtrain.training.callbacks.averaging import TRAINED

LIGHTNING = re.compile(r"[2-9]\.\d{1,4}\.\d{1,4}[\w.+-]{0,40}")


class StoredTraining:
    """Everything of a checkpoint's content but its weights; `name` is what messages call it.

    Its checks raise InputError for what the training could not go on with. They change nothing but the state
    of callbacks, which they load, and are made before anything is written.
    """

    def __init__(self, content: Mapping[str, Any], name: str) -> None:
        self.content = {key: value for key, value in content.items() if key not in (KEY, "state_dict")}
        self.name = name
        try:
            self._check_parts()
        except FieldError as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, why: str) -> InputError:
        return InputError(self.name, f"its training cannot be gone on with: {why}", OTHER)

    def _check_parts(self) -> None:
        fields = CheckedFields(self.content)
        fields.integer("epoch", 0)
        fields.integer("global_step", 0)
        if not LIGHTNING.fullmatch(version := fields.text("pytorch-lightning_version")):
            raise FieldError(f"pytorch-lightning_version must be a version from 2 on, not {shown(version)}")
        for state in fields.items("optimizer_states", lambda value: CheckedFields(value, "optimizer_states")):
            if not isinstance(state.values.get("state"), Mapping):
                raise FieldError(
                    f"optimizer_states.state must be a mapping, not {shown(state.values.get('state'))}"
                )
            state.items("param_groups", lambda value: CheckedFields(value, "optimizer_states.param_groups"))
        fields.items("lr_schedulers", lambda value: CheckedFields(value, "lr_schedulers"), default=[])
        fields.fields("loops").fields("fit_loop")
        for callback in (callbacks := fields.fields("callbacks")).values:
            callbacks.fields(callback)
        guard = fields.fields("guard", default=None)
        if guard is not None:
            guard.integer("skipped_steps", 0, default=0)
            guard.integer("in_a_row", 0, default=0)
        random = fields.fields("random", default=None)
        if random is not None:
            for state in (
                random,
                *random.items("others", lambda value: CheckedFields(value, "random"), default=[]),
            ):
                _check_random(state)

    def check_weights(self, model: nn.Module) -> None:
        """Check the weights that training goes on with beside averages, if there are any."""
        kept = self.content.get(TRAINED, {})
        parameters = {f"model.{n}": p for n, p in model.named_parameters() if p.requires_grad}
        if not isinstance(kept, Mapping):
            raise self._damaged(f"{TRAINED} must be a mapping, not {shown(kept)}")
        for name, value in kept.items():
            shape = parameters[name].shape if name in parameters else None
            if not isinstance(value, Tensor) or not value.is_floating_point() or value.shape != shape:
                raise self._damaged(f"{TRAINED} has no {shown(name)} of the model's shape")
        if (wrong := first_not_finite(kept)) is not None:
            raise self._damaged(f"{TRAINED} are not all finite numbers, as in {shown(wrong)}")

    def check_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Check the state of `optimizer`, which is left as it is, by taking a step without a gradient."""
        states = self.content["optimizer_states"]
        groups = optimizer.param_groups
        if len(states) != 1 or len(states[0]["param_groups"]) != len(groups):
            raise self._damaged(f"its optimizer has other groups of parameters than the {len(groups)} here")
        rates = self.content["callbacks"].get("Clock", {}).get("rates", [])
        if not isinstance(rates, list | tuple) or len(rates) not in (0, len(groups)):
            raise self._damaged(f"callbacks.Clock.rates must be {len(groups)} numbers, not {shown(rates)}")
        for group in states[0]["param_groups"]:
            for key, value in group.items():
                numbers = value if isinstance(value, list | tuple) else [value]
                if any(type(n) in (int, float) and not _is_small(n) for n in numbers):
                    raise self._damaged(f"param_groups.{shown(key)} is {shown(value)}")
        scratch = copy.deepcopy(optimizer)
        try:
            scratch.load_state_dict(copy.copy(states[0]))
            smallest = [min(group["params"], key=lambda p: p.numel()) for group in scratch.param_groups]
            for parameter in smallest:
                parameter.grad = torch.zeros_like(parameter)
            scratch.step()
        except Exception as error:  # whatever an optimizer makes of another's state
            reason = str(error).partition("\n")[0] or type(error).__name__
            kind = type(optimizer).__name__
            raise self._damaged(f"its optimizer's state is not that of {kind} ({reason})") from None
        for group, one in zip(scratch.param_groups, smallest, strict=True):
            for parameter in group["params"]:
                state = scratch.state.get(parameter)
                if state and not _alike(state, parameter, scratch.state[one], one):
                    raise self._damaged("its optimizer's state is of other parameters, or not finite")

    def check_progress(self, trainer: Trainer, callbacks: Iterable[Callback]) -> None:
        """Check the state of Lightning's loop and precision, and load that of the callbacks."""
        own = trainer.fit_loop.state_dict()
        stored = self.content["loops"]["fit_loop"]
        plugin = trainer.precision_plugin
        scaling = type(plugin).__qualname__
        try:
            for key, value in stored.items():
                if key in own:
                    _check_like(value, own[key], f"loops.fit_loop.{key}")
            if scaling in self.content:
                _check_like(self.content[scaling], plugin.state_dict(), scaling)
            for callback in callbacks:
                if (state := self.content["callbacks"].get(callback.state_key)) is not None:
                    callback.load_state_dict(state)
        except FieldError as error:
            raise self._damaged(str(error)) from None


def _check_random(state: CheckedFields) -> None:
    """Check the states of torch's random numbers in one process."""
    found = state.values.get("cpu")
    cuda = state.items("cuda", lambda value: value, default=[])
    if not all(isinstance(s, Tensor) and s.dtype == torch.uint8 and s.ndim == 1 for s in (found, *cuda)):
        raise FieldError("random must hold states of random numbers")
    try:
        torch.Generator().set_state(cast(Tensor, found))
    except (RuntimeError, TypeError):
        raise FieldError("random must hold a state of torch's random numbers") from None


def _check_like(found: object, own: object, path: str) -> None:
    """Raise FieldError unless `found` is built as `own` is, of counts and such."""
    if isinstance(own, Mapping):
        fields = CheckedFields(found, path)
        for key, value in own.items():
            if key not in fields.values:
                raise FieldError(f"{path}.{key} is missing")
            _check_like(fields.values[key], value, f"{path}.{key}")
        if strange := [key for key in fields.values if key not in own]:
            raise FieldError(f"{path}.{shown(strange[0])[1:-1]} is not known to this version")
    elif type(own) is bool:
        CheckedFields({path: found}).boolean(path)
    elif type(own) is int:
        CheckedFields({path: found}).integer(path, 0)
    elif type(own) is float:
        CheckedFields({path: found}).number(path)


def _alike(state: Mapping[str, Any], parameter: Tensor, other: Mapping[str, Any], of: Tensor) -> bool:
    """Tell whether the state of one parameter is built as that of another, and finite."""
    if state.keys() != other.keys() or first_not_finite(state) is not None:
        return False
    for key, value in state.items():
        like = other[key]
        if isinstance(like, Tensor) != isinstance(value, Tensor):
            return False
        if isinstance(value, Tensor):
            wanted = parameter.shape if like.shape == of.shape and like.ndim else like.shape
            if value.shape != wanted or value.dtype != like.dtype:
                return False
        elif type(value) is not type(like) or (type(value) in (int, float) and not _is_small(value)):
            return False
    return True


def _is_small(value: float) -> bool:
    return abs(value) < 1e300 and math.isfinite(value)
