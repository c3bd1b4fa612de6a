"""The number format that a device computes best in."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from ocrtrain.settings import checked

log = logging.getLogger(__name__)

Precision = Literal[
    "auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "32", "bf16", "16", "64"
]
BF16_UNITS = ("avx512_bf16", "amx_bf16")  # of a CPU, as torch names them


def choose_precision(wanted: str | int, accelerator: str = "auto") -> str:
    """Resolve "auto" to Lightning's "bf16-mixed" where the device computes in bf16, else to "32-true".

    Raises InputError for what is not a precision of Lightning's.
    """
    wanted = str(checked(str(wanted), Precision, "trainer.precision"))  # 32 is written as a number, too
    if wanted != "auto":
        if wanted == "16-mixed":
            log.warning("16-mixed has a narrow range: if losses turn infinite, use bf16-mixed or 32-true")
        return wanted
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and cpu_has_bf16() else "32-true"


def cpu_has_bf16() -> bool:
    """Tell whether this CPU multiplies bf16 in hardware; one that emulates it is slower than in float32."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an earlier torch knows of AVX-512 alone
        return bool(torch.cpu._is_avx512_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(unit, False) for unit in BF16_UNITS)
