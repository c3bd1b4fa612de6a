"""Where Triton's kernels run in tests: interpreted, on machines without a GPU."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "interpreted: runs Triton's kernels in its interpreter, on the CPU")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("interpreted") is None:
        return
    if find_spec("triton") is None:
        pytest.skip("needs triton")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("needs Triton's interpreter; with a GPU, kernels are compiled for that")
