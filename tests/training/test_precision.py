"""The number format of a device."""

from __future__ import annotations

import logging
import platform
from pathlib import Path

import pytest
import torch

from ocrtrain.errors import InputError
from ocrtrain.training.precision import choose_precision, cpu_has_bf16


def test_what_is_wanted_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_precision("32-true") == "32-true"
    assert choose_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert choose_precision("16-mixed") == "16-mixed"
    assert "bf16-mixed" in caplog.text


def test_what_is_no_number_format_is_named() -> None:
    with pytest.raises(InputError, match=r"trainer\.precision=fp8: must be one of auto, 32-true"):
        choose_precision("fp8")


def test_a_cpu_computes_in_bf16_only_in_hardware() -> None:
    assert choose_precision("auto", "cpu") == ("bf16-mixed" if cpu_has_bf16() else "32-true")
    # The system's own word, where it gives one; torch is asked everywhere.
    if platform.machine() == "x86_64" and Path("/proc/cpuinfo").is_file():
        words = Path("/proc/cpuinfo").read_text().split()
        assert cpu_has_bf16() == ("avx512_bf16" in words or "amx_bf16" in words)


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({}, False)],
)
def test_either_unit_will_do(
    capabilities: dict[str, bool], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision("auto", "cpu") == ("bf16-mixed" if has else "32-true")


def test_other_accelerators_get_float32() -> None:
    assert choose_precision("auto", "mps") == "32-true"
