from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import instantiate
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from ocrtrain import __version__
from ocrtrain.__main__ import COMMANDS, main
from ocrtrain.command_line import documentation
from ocrtrain.command_line.added_keys import refuse_added_keys
from ocrtrain.command_line.failures import report
from ocrtrain.command_line.invocation import parse
from ocrtrain.command_line.presets import built_in, compose
from ocrtrain.command_line.quoting import command_to_type, quoted, taken_literally
from ocrtrain.errors import InputError

PROBE = """\
# What a command says about itself.
#
# Examples
#   python -m ocrtrain clean place=HERE
defaults:
  - common
  - reader: mamba
  - _self_
  - experiment: null

what: cache
runs: runs
"yes": false
run: mine
place: here  # where to look:
             # not there
# how long
trainer:
  max_time: null
thing:
  _target_: fractions.Fraction
  numerator: 3
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags that run `clean` with a configuration that has groups, an experiment and an object."""
    monkeypatch.setenv("OCRTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ocrtrain"])
    conf = tmp_path / "my conf"
    for folder in ("reader", "experiment"):
        (conf / folder).mkdir(parents=True)
    (conf / "probe.yaml").write_text(PROBE)
    (conf / "reader" / "mamba.yaml").write_text("# Reads in linear time.\nlayers: 2  # how many\n")
    (conf / "reader" / "bilstm.yaml").write_text("layers: 1\nhidden: 8\n")
    (conf / "experiment" / "quick.yaml").write_text("# @package _global_\n# Soon done.\nplace: there\n")
    return ["--config-dir", "my conf", "--config-name", "probe"]


@pytest.fixture
def message(probe: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the probe with some settings, which must be refused with exit code 2, and give the message."""

    def refused(*words: str) -> str:
        assert main(["clean", *words, *probe]) == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert printed.err.startswith("error: ") and printed.out == ""
        return printed.err

    return refused


def ocrtrain(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ocrtrain", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def test_several_checkpoints_are_typed_with_commas(tmp_path: Path) -> None:
    assert parse("evaluate", ["checkpoint=a.ckpt,b/c.ckpt"]).overrides == ["checkpoint='a.ckpt,b/c.ckpt'"]
    assert parse("evaluate", ["checkpoint=[a.ckpt,b.ckpt]"]).overrides == ["checkpoint=[a.ckpt,b.ckpt]"]
    # A multirun takes them one by one, and so does any other setting's comma.
    assert parse("evaluate", ["-m", "checkpoint=a.ckpt,b.ckpt"]).overrides == ["checkpoint=a.ckpt,b.ckpt"]
    assert parse("fit", ["seed=1,2"]).overrides == ["seed=1,2"]


def test_the_page_of_commands_loads_nothing_heavy() -> None:
    check = "import sys; print(sorted({'torch', 'hydra', 'numpy', 'omegaconf', 'yaml'} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", f"from ocrtrain.__main__ import main; main([]); {check}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.endswith("[]\n")
    for command in COMMANDS:
        assert f"\n  {command} " in shown


def test_a_process_ends_with_the_exit_code(tmp_path: Path) -> None:
    environment = {**os.environ, "OCRTRAIN_CACHE": str(tmp_path / "cache")}
    ended = ocrtrain("clean", cwd=tmp_path, env=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Nothing to remove.\n", "")
    ended = ocrtrain("clean", "wat=data", cwd=tmp_path, env=environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: wat: no such setting\n  Did you mean what?\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]])
def test_help_is_the_page_of_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "Usage: python -m ocrtrain COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--version"], ["clean", "--version"]])
def test_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"ocrtrain {__version__}\n"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("evalute", "Did you mean evaluate?"),
        ("trian", "Did you mean fit?"),
        ("experiment=lines", "a command comes first"),
        ("--multirun", "a command comes first"),
        ("zzz", "The commands are: fit, evaluate"),
        ("lm", "Say which: lm build, lm tune, lm convert."),
    ],
)
def test_unknown_command(word: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_leave_nothing_of_hydra_behind(command: str) -> None:
    config = compose(parse(command, []), [])
    assert config.debug is False
    assert config.hydra.run.dir == "." and config.hydra.output_subdir is None
    assert "file" not in config.hydra.job_logging.handlers
    assert config.hydra.sweep.dir.startswith("runs/")
    assert documentation.read(built_in() / f"{parse(command, []).module}.yaml").head


def test_help_of_a_command_shows_what_its_files_say(
    probe: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", "--help", "experiment=quick", *probe]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert page.startswith("What a command says about itself.")
    assert "place=there where to look: not there" in page
    assert "trainer how long" in page
    assert "reader.layers=2 how many" in page
    assert "reader=bilstm reader=mamba Reads in linear time" in page
    assert "experiment=quick Soon done" in page
    assert "--multirun" in page


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("plaec=x", "plaec: no such setting\n  Did you mean place?"),
        ("trainer.max_tmie=3", "Did you mean trainer.max_time?"),
        ("max_time=3", "Did you mean trainer.max_time?"),
        ("readr=bilstm", "Did you mean reader?"),
        ("experimnt=quick", "Did you mean experiment?"),
        ("trainer.zzz=3", "trainer has trainer.max_time"),
        ("reader.hidden=3", "is not a setting of reader=mamba\n  It is of reader=bilstm."),
        ("reader.deep=3", "reader has reader.layers"),
        ("~plaec", "plaec: no such setting"),
        ("reader=mambo", "reader=mambo: no such preset\n  Did you mean reader=mamba?"),
        ("experiment=zzz", "  Soon done"),
        ("experiment=null", "experiment=null: is not the name of a preset"),
        ("quick", "quick: is not a setting\n  Did you mean experiment=quick?"),
        ("place", "place: is not a setting"),
        ("place=[1,2", "cannot be read as KEY=VALUE"),
        ("place=1,2", "For a text: \"place='1,2'\"; for a list: 'place=[1,2]'"),
        ("place='${'", "does not fit"),
        ("+place=3", "already at 'place'"),
        ("hydra.run=3", "hydra.run=3: does not fit"),
        ("place=???", "place: must be given\n  For example: python -m ocrtrain clean place=HERE"),
        ("what=???", "what: must be given\n  Write what=VALUE"),
        ("what=${nowhere}", "what: Interpolation key 'nowhere' not found"),
        ("what=dta", "what=dta: must be one of all, data, runs, cache"),
        ("reader.layers=two", "reader.layers=two: must be a number\n  It is 2 by default."),
        ("--hlep", "Did you mean --help? A setting is written without dashes"),
        ("--cfg=jobs", "invalid choice: 'jobs'"),
    ],
)
def test_mistakes_are_named_with_the_way_on(message: Callable[..., str], setting: str, expected: str) -> None:
    assert expected in message(setting)


def test_a_misspelt_key_in_an_experiment_is_refused(message: Callable[..., str], tmp_path: Path) -> None:
    preset = tmp_path / "my conf" / "experiment" / "quick.yaml"
    preset.write_text(
        "# @package _global_\ndefaults:\n  - override /reader: bilstm\n"
        "reader: {hidden: 9}\nthing: {denominator: 2}\ntrainer: {max_tmie: 3}\n"
    )
    printed = message("experiment=quick")
    assert printed == f"error: trainer.max_tmie: no such setting; named in {preset}\n" + (
        "  Did you mean trainer.max_time?\n"
    )


@pytest.mark.parametrize(
    "experiment", sorted(file.stem for file in (built_in() / "experiment").glob("*.yaml"))
)
def test_built_in_experiments_set_only_what_exists(experiment: str) -> None:
    words = [f"experiment={experiment}"]
    with hydra.initialize_config_dir(str(built_in()), version_base="1.3"):
        config = hydra.compose("fit", words, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        refuse_added_keys(parse("fit", words), masked_without_hydra(config))


def masked_without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])


def test_a_preset_that_is_not_yaml_is_named(message: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "my conf" / "experiment" / "quick.yaml").write_text("place: [\n")
    assert "quick.yaml, line 2: is not YAML" in message("experiment=quick")


def test_a_preset_that_a_built_in_one_would_hide_is_refused(
    message: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "my conf" / "clean.yaml").write_text("what: all\n")
    assert "a built-in preset has this name" in message()


def test_a_folder_of_presets_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "--config-dir", "nowhere"]) == 2
    assert "--config-dir nowhere: no such folder" in capsys.readouterr().err


def test_debug_shows_the_traceback(probe: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "what=dta", "debug=true", *probe]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback") and "\nerror: what=dta" in printed


def test_cfg_prints_the_settings(probe: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "place=ä.png", "--cfg", "job", "reader=bilstm", *probe]) == 0
    shown = capsys.readouterr().out
    assert "place: ä.png\n" in shown and "hidden: 8\n" in shown and "hydra" not in shown


def test_a_multirun_goes_on_after_a_failure(
    probe: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", "-m", "what=dta,runs", *probe]) == 2
    printed = capsys.readouterr()
    assert (
        "what=dta: must be one of all, data, runs, cache" in printed.err
        and "nothing was removed" in printed.out
    )
    assert {path.name for path in tmp_path.iterdir()} == {"my conf", "runs"}
    assert [path.name for path in tmp_path.glob("runs/multirun/*/*")] == ["multirun.yaml"]


def test_jobs_of_a_multirun_have_names_of_their_own(
    probe: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # A choice that does not exist is named in the message, and with it the run's name.
    main(["clean", "-m", "what=${run}", "place=a,b", *probe])
    printed = capsys.readouterr().err
    assert "what=mine-0: must be one of" in printed and "what=mine-1: must be one of" in printed
    main(["clean", "-m", "what=${run}", "run=yours,theirs", *probe])
    printed = capsys.readouterr().err
    assert "what=yours: must be one of" in printed and "what=theirs: must be one of" in printed


def test_the_command_sees_the_words_that_were_typed(tmp_path: Path) -> None:
    # Lightning starts the other processes of a distributed run with them, in the same folder.
    words = ["clean", "what=data", "-m"]
    look = "print(sys.argv[1:], os.getcwd())"
    code = (
        "import os, sys; from ocrtrain.__main__ import main; import ocrtrain.commands.clean as clean\n"
        f"clean.run = lambda config: {look}\nmain()"
    )
    command = [sys.executable, "-c", code, *words]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert shown == f"{words} {tmp_path}\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise elsewhere")
def test_a_reader_that_leaves_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ocrtrain", "clean", "--help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def reported(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = report(error, parse("clean", []), composed=True)
    return code, capsys.readouterr().err


def test_a_bug_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = reported(KeyError("nowhere"), capsys)
    assert code == 1
    assert "KeyError: 'nowhere'" in printed and f"bug in ocrtrain {__version__}" in printed


def test_the_cause_counts(capsys: pytest.CaptureFixture[str]) -> None:
    wrapped = RuntimeError("in between")
    wrapped.__cause__ = InputError("a.png", "is cut short", "Copy it again.")
    assert reported(wrapped, capsys) == (2, "error: a.png: is cut short\n  Copy it again.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_a_full_disk_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        with open("/dev/full", "w") as file:
            file.write("x" * 100_000)
    except OSError as error:
        code, printed = reported(error, capsys)
    assert code == 2
    assert printed.startswith("error: /dev/full: cannot be written: No space left on device\n  ")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_place_that_refuses_is_named(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = reported(OSError(number, os.strerror(number), "/some/file"), capsys)
    assert code == 2 and printed.startswith("error: /some/file: cannot be written: ")


def test_a_missing_file_that_nobody_foresaw_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(FileNotFoundError(errno.ENOENT, "No such file", "/some/file"), capsys)[0] == 1


def test_a_worker_process_passes_its_message_on(capsys: pytest.CaptureFixture[str]) -> None:
    from torch.utils.data import DataLoader

    loader = DataLoader(Broken(), num_workers=1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError) as caught:
        list(loader)
    assert reported(caught.value, capsys) == (2, "error: x/a.png: is cut short\n  Copy it again.\n")


class Broken:
    """A data set whose line cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise InputError("x/a.png", "is cut short", "Copy it again.")


def test_an_argument_that_a_class_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    config = OmegaConf.create({"thing": {"_target_": "fractions.Fraction", "denominatr": 2}})
    with pytest.raises(Exception, match="unexpected keyword") as caught:
        instantiate(config.thing)
    code, printed = reported(caught.value, capsys)
    assert code == 2
    assert printed == "error: thing.denominatr: Fraction has no such setting\n  Did you mean denominator?\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("data.charset=äöüſ", "äöüſ"),
        ("data.charset=0123456789", "0123456789"),
        ("input=Zeile (1).png", "Zeile (1).png"),
        ("input=dir/[ab]*.png", "dir/[ab]*.png"),
        ("input=it's", "it's"),
        ("input=a=b", "a=b"),
        ("trainer.max_steps=5", 5),
        ("trainer.max_steps=null", None),
        ("betas=[0.9,0.99]", [0.9, 0.99]),
        ("there,1.png=x", None),
    ],
)
def test_texts_need_no_quotes(typed: str, meant: object) -> None:
    assert value(taken_literally(typed)) == meant


def test_a_file_that_is_there_is_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("scan,1.png", "[1]", "5"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", "/home/me")
    assert value(taken_literally("input=scan,1.png")) == "scan,1.png"
    assert value(taken_literally("input=[1]")) == "[1]"
    assert value(taken_literally("count=5")) == 5
    assert value(taken_literally("input=~/lines")) == "/home/me/lines"
    assert taken_literally("lr=1,2") == "lr=1,2"


@settings(max_examples=100, deadline=None)
@given(st.text("ab~-5\\'\"$`!*?#&;|<>,[](){}=: \n\tä", min_size=1, max_size=12))
@example("my run")
@example("it's $5, [a] (b)")
@example("${seed}")
@example("\\${seed}")
@example("null")
@example("True")
@example("007")
@example("-dash")
@example("~/home")
@example("ä/ö.png")
def test_a_command_to_type_can_be_pasted(text: str) -> None:
    words = shlex.split(
        command_to_type("fit", {"run": text, "data.val": [text, "b"], "seed": 3, "init": None})
    )
    assert words[:4] == ["python", "-m", "ocrtrain", "fit"]
    read = OmegaConf.create(
        {
            key: value(taken_literally(f"{key}={rest}"))
            for key, _, rest in (w.partition("=") for w in words[4:])
        }
    )
    assert OmegaConf.to_container(read, resolve=True) == {
        "run": text,
        "data.val": [text, "b"],
        "seed": 3,
        "init": None,
    }


@settings(max_examples=50, deadline=None)
@given(st.text("ab\\'\"$,[](){}= \n\tä", min_size=1, max_size=12))
@example("\\\n")  # the end of the text, not that of its last line
def test_quoted_text_is_read_back(text: str) -> None:
    assert value(f"key={quoted(text)}") == text


def value(override: str) -> object:
    """What Hydra's own parser makes of the value of an override; None if it cannot read it."""
    try:
        return OverridesParser.create().parse_override(override).value()
    except HydraException:
        return None
