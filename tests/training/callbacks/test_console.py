"""What a run tells, on a terminal and in a log file."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ocrtrain.training.callbacks import console
from ocrtrain.training.callbacks.console import clock_time


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.0, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (725, "12:05"), (3600, "1:00:00"), (11045.0, "3:04:05")],
)
def test_clock_time(seconds: float, written: str) -> None:
    assert clock_time(seconds) == written


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_renews_itself(
    fit: Callable[..., CompletedProcess[str]],
    draw_lines: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw_lines(tmp_path / "lines", count=8)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(console, "REFRESH", 0.0)
    words = ["data.train=lines", "data.val=lines", "trainer.max_steps=4", "trainer.validate_every_steps=4"]
    fit(*words)
    shown = terminal.getvalue()

    renewed = [part for part in shown.split("\r\x1b[K") if " lines/s" in part]
    assert len(renewed) == 4 and not any("\n" in part for part in renewed)
    number = r"[\d,.]+"
    pattern = (
        rf"step {number}  epoch {number} +\d+%  loss {number}  {number} lines/s  data-wait \d+%  .+ left"
    )
    assert all(re.fullmatch(pattern, part) for part in renewed)
    assert re.findall(r"epoch (\S+) +(\d+)%", "".join(renewed)) == [
        ("0.50", "25"),
        ("1.00", "50"),
        ("1.50", "75"),
        ("2.00", "100"),
    ]
    assert "\r\x1b[Kstep 4  reading the validation lines ..." in shown

    verdict, *samples = shown[shown.index("\r\x1b[Kstep 4  after") :].split("\n")[:11]
    rate = r"\d+\.\d+%"
    assert re.match(
        rf"\r\x1b\[Kstep 4  after .+  CER {rate}  WER {rate}  exact lines {rate}  loss {number}  \(8 lines\)",
        verdict,
    )
    assert len(samples) == 10
    labels = [line.removeprefix("\r\x1b[K")[:11].split()[0] for line in samples]
    assert labels[::2] == ["truth"] * 5 and set(labels[1::2]) <= {"read", "="}
