"""Search spaces: what can be written, what is refused, and what a study makes of it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ocrtrain.command_line.presets import built_in
from ocrtrain.errors import InputError
from ocrtrain.sweep.space import Choices, Range, Space, as_override, find_space, read_space


def written(folder: Path, text: str) -> Path:
    file = folder / "space.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_ranges_and_choices(tmp_path: Path) -> None:
    text = (
        "# where to look\n"
        "optimizer.lr: {low: 1e-4, high: 1e-2, log: true}\n"
        "encoder.layers: {low: 1, high: 4}\n"
        "data.batch_size: {low: 8, high: 32, step: 8}\n"
        "dropout: {low: 0, high: 0.3, step: 0.1}\n"
        "encoder: [mamba, bilstm]\n"
        "backbone.channels: [[8, 8], [8, 8, 16]]\n"
        "data.width: [null, 320]\n"
    )
    space = read_space(written(tmp_path, text))
    assert space.parameters == {
        "optimizer.lr": Range(0.0001, 0.01, log=True),
        "encoder.layers": Range(1, 4),
        "data.batch_size": Range(8, 32, step=8),
        "dropout": Range(0, 0.3, step=0.1),
        "encoder": Choices(("mamba", "bilstm")),
        "backbone.channels": Choices(([8, 8], [8, 8, 16])),
        "data.width": Choices((None, 320)),
    }
    assert {key for key, p in space.parameters.items() if isinstance(p, Range) and p.whole} == {
        "encoder.layers",
        "data.batch_size",
    }


def test_what_a_study_draws_lies_in_the_space_and_can_be_typed(tmp_path: Path) -> None:
    text = (
        "a: {low: 1e-5, high: 1.0, log: true}\nb: {low: 8, high: 32, step: 8}\nc: [[1, x], null, 'y z', true]"
    )
    space = read_space(written(tmp_path, text))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = []
    for _ in range(40):
        trial = study.ask(space.distributions())
        values = space.values(trial.params)
        assert space.point(values) == trial.params
        for key, value in values.items():
            # Hydra reads it as the same value.
            parsed = OverridesParser.create().parse_override(as_override(key, value))
            assert (parsed.get_key_element(), parsed.value()) == (key, value) or parsed.value() == str(value)
        seen.append(values)
        study.tell(trial, 0.0)
    assert {values["b"] for values in seen} == {8, 16, 24, 32}
    assert {str(values["c"]) for values in seen} == {"[1, 'x']", "None", "y z", "True"}
    # As many between 0.00001 and 0.003 as above, as it is with logarithms.
    assert 10 <= sum(values["a"] < 10**-2.5 for values in seen) <= 30


@pytest.mark.parametrize(
    ("settings", "held"),
    [
        ({"a": 0.5, "b": 16, "c": "x"}, True),
        ({"a": 1, "b": 16.0, "c": "x"}, True),
        ({"a": 2.0, "b": 16, "c": "x"}, False),  # beyond the range
        ({"a": 0.5, "b": 12, "c": "x"}, False),  # between two steps
        ({"a": 0.5, "b": 16, "c": "y"}, False),
        ({"a": True, "b": 16, "c": "x"}, False),
        ({"a": 0.5, "b": 16}, False),
    ],
)
def test_settings_that_a_space_holds(settings: dict[str, object], held: bool) -> None:
    space = Space("s", {"a": Range(0.1, 1.0), "b": Range(8, 32, step=8), "c": Choices(("x", None))})
    assert (space.point(settings) is not None) == held


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no parameter"),
        ("# nothing\n", "names no parameter"),
        ("- a\n- b\n", "names no parameter"),
        ("a: {low: 1", "cannot be read as YAML"),
        ("a: [1, 2]\na: [3, 4]\n", "cannot be read as YAML: .*duplicate key a"),
        ("a: 3\n", "a: must be a range or a list"),
        ("a: {low: 1}\n", "a: its range lacks high"),
        ("a: {low: 1, high: 2, min: 3}\n", "a: a range has no min"),
        ("a: {lr: {low: 1, high: 2}}\n", "a: a range has no lr: settings within it are written with dots"),
        ("a: {low: 2, high: 1}\n", "a: low=2 must be below high=1"),
        ("a: {low: 0.0, high: 1.0, log: true}\n", "a: low=0.0 must be above 0"),
        ("a: {low: 1, high: 8, log: true, step: 2}\n", "a: has both log and step"),
        ("a: {low: 8, high: 60, step: 8}\n", "a: step=8 does not lead from 8 to 60"),
        ("a: {low: x, high: 2}\n", "a: low=x must be a number"),
        ("a: {low: 1, high: .inf}\n", "a: high=inf must be a number"),
        ("a: {low: 1, high: 2, log: 3}\n", "a: log=3 must be true or false"),
        ("a: [1]\n", "a: leaves no choice"),
        ("a: [1, 2, 1]\n", "a: names a choice twice"),
        ("a: [{b: 1}, 2]\n", "a: the choice .* must be a plain value or a list"),
        ("run: [a, b]\n", "run: cannot be searched"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_space(written(tmp_path, text))


def test_what_is_given_is_not_searched_for() -> None:
    space = Space("s", {"a": Range(1, 2), "b": Range(1, 2)})
    assert list(space.without(["a", "c"]).parameters) == ["b"]
    with pytest.raises(InputError, match="nothing is left to search: a, b are given"):
        space.without(["a", "b"])


def test_spaces_are_found_by_name_or_as_files(tmp_path: Path) -> None:
    assert find_space("training", [built_in()]) == built_in() / "sweep/training.yaml"
    (tmp_path / "sweep").mkdir()
    own = tmp_path / "sweep/mine.yaml"
    own.write_text("a: [1, 2]")
    assert find_space("mine", [built_in(), tmp_path]) == own == find_space(str(own), [built_in()])
    with pytest.raises(InputError, match=r"space=trainig: no such search space(.|\n)*training"):
        find_space("trainig", [built_in()])
