"""Compile every Triton kernel for a GPU, without one: python scripts/check_kernels.py [--capability 90]

One line for each kernel, type and set of options: the registers of a thread, the bytes of its stack (what did
not fit into registers) and the shared memory of a program. With --quick, small tiles and few options: whether
the kernels compile at all. Exits with 1 if one does not, or if its stack exceeds --stack.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ocrtrain.model.ssm.convolution import triton as convolution_triton
from ocrtrain.model.ssm.scan import triton as scan_triton

TYPES = ("fp32", "bf16", "fp16")
SINGLE = {
    "A",
    "D",
    "delta_bias",
    "states",
    "scratch",
    "dA",
    "dB",
    "dC",
    "dD",
    "dbias",
    "weight",
    "bias",
    "dweight",
}
UNKNOWN = {"A_d", "A_s", "states_d", "frames", "tasks", "weight_d", "weight_tap"}  # divisible by nothing
# What is 1 at a launch is a constant of the kernel; all of these are, for one channel and one state.
ONES = dict.fromkeys(("channels", "u_t", "delta_t", "B_t", "C_t", "z_t", "dy_t", "x_t"), 1)
OPTIONAL = {"D", "z", "delta_bias", "lengths", "dD", "dz", "dbias", "bias"}
BINARIES = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


def compile_kernel(kernel: Any, type_: str, constants: dict[str, Any], capability: int, warps: int) -> bytes:
    """Compile as a launch would: which arguments are pointers follows from their names."""
    signature: dict[str, str] = {}
    values: dict[str, Any] = {}
    attributes = {}
    for i, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name], values[name] = "constexpr", constants[name]
        elif name == "one":
            signature[name] = "fp32"
        elif ("_" in name and name != "delta_bias") or name in ("partial", "tasks", "frames", "channels"):
            signature[name] = "i32"
        else:
            signature[name] = "*i64" if name == "lengths" else "*fp32" if name in SINGLE else f"*{type_}"
        if signature[name] not in ("constexpr", "fp32") and name not in UNKNOWN:
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, values, attributes)
    target = GPUTarget("cuda", capability, 32)
    return triton.compile(source, target=target, options={"num_warps": warps}).asm["cubin"]


def resources(cubin: bytes) -> tuple[int, int, int]:
    """Read registers per thread, stack per thread and shared memory per program from the compiled code."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [BINARIES / "cuobjdump", "-res-usage", file.name]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", printed)
    assert found, printed
    return int(found[1]), int(found[2]), int(found[3])


def cases(quick: bool) -> Any:
    """Yield kernel, type, a description and the constants and warps of a launch."""
    conv = convolution_triton
    absent = dict.fromkeys(OPTIONAL)
    types, sizes = (("bf16",), (16,)) if quick else (TYPES, (16, 5, 64))
    for type_ in types:
        for states, said in [*itertools.product(sizes, ("", "bare")), (1, "ones")]:
            bare = said != ""
            options = {"STATES": states, "SOFTPLUS": not bare, "REVERSE": not bare}
            options |= {"BLOCK_S": triton.next_power_of_2(states), "CHUNK": scan_triton.CHUNK}
            options |= (
                absent if said == "bare" else {"delta_bias": None, "dbias": None} if states == 16 else {}
            )
            options |= ONES if said == "ones" else {}
            for backward in (False, True):
                kernel = scan_triton.scan_backward if backward else scan_triton.scan_forward
                names = {k: v for k, v in options.items() if k in kernel.arg_names}
                if bare and not backward:
                    names["states"] = None
                tilings = {scan_triton.choose_tiling(n, 1024, states, backward) for n in (1, 4096)}
                for tiling in {scan_triton.Tiling(8, 2)} if quick else tilings:
                    names |= {"BLOCK_D": tiling.channels, "GROUP": tiling.frames}
                    text = f"S={states} tile={tiling.channels}x{tiling.frames} {said}"
                    yield kernel, type_, text, dict(names), tiling.warps
        for said in ("", "bare", "ones"):
            options = {"TAPS": 4, "REVERSE": not said, "BLOCK_T": conv.FRAMES, "BLOCK_D": conv.CHANNELS}
            options |= absent if said == "bare" else ONES if said == "ones" else {}
            for kernel in (conv.convolve_forward, conv.convolve_backward):
                names = {k: v for k, v in options.items() if k in kernel.arg_names}
                yield kernel, type_, f"tile={conv.FRAMES}x{conv.CHANNELS} {said}", names, conv.WARPS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--capability", type=int, default=90, help="of the GPU, as 90 for 9.0")
    parser.add_argument("--quick", action="store_true", help="whether they compile at all")
    parser.add_argument("--stack", type=int, default=320, help="most bytes of stack per thread")
    options = parser.parse_args()
    if not (BINARIES / "cuobjdump").exists():
        print("this triton brings no tools for NVIDIA's GPUs", file=sys.stderr)
        return 2
    failed = 0
    print(f"{'kernel':18} {'type':5} {'options':26} {'registers':>9} {'stack':>6} {'shared':>7}  ok")
    for kernel, type_, said, constants, warps in cases(options.quick):
        name = kernel.__name__
        try:
            cubin = compile_kernel(kernel, type_, constants, options.capability, warps)
        except Exception as error:  # the next one may still say something
            failed += 1
            print(f"{name:18} {type_:5} {said:26} {str(error).strip().splitlines()[-1]}  NO", flush=True)
            continue
        registers, stack, shared = resources(cubin)
        fits = stack <= options.stack
        failed += not fits
        figures = f"{registers:9} {stack:6} {shared:7}  {'yes' if fits else 'NO'}"
        print(f"{name:18} {type_:5} {said:26} {figures}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
