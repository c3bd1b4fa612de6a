"""The settings of `sweep` itself; all others of conf/sweep.yaml are those of `fit`, for its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ocrtrain.commands.settings import Part
from ocrtrain.settings import Count, Limits, OneOrMore, PathName, PositiveInt, Seconds


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Settings of the search; conf/sweep.yaml says what each is for."""

    space: PathName
    trials: PositiveInt
    finalists: Count
    repeats: Count
    parallel: PositiveInt
    gpus: Annotated[list[int | str], OneOrMore()] | None
    max_time: Seconds | None
    storage: PathName | None
    run: PathName | None
    runs: PathName
    seed: Annotated[int, Limits(0, 2**32 - 1)]
    resume: PathName | None
    sampler: Part
    pruner: Part
