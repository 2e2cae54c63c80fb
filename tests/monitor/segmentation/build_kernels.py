"""Build every kernel for a GPU that need not be there, and print as JSON what came out; `test_kernels_built` runs it.

    python build_kernels.py 90        # for compute capability 9.0

Kernels are launched as always, on tensors of the CPU; but instead of running them Triton is told to build them only,
for a GPU that is made up. So they are built with the very arguments that the program gives them.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

import monitor.segmentation.device_kernels as kernels
import monitor.segmentation.filter_kernels as filters
from monitor.engine import fused_kernels
from monitor.engine.fused_kernels import KernelPasses

PARTS = {"_root", "_larger", "_parts"}
"""What other kernels call."""


class _MadeUp:
    """What Triton asks a driver when it builds without running."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device


def launch_all() -> None:
    """Launch every kernel in all its forms: sides that are multiples of 16 and sides that are not."""
    for side in (1024, 1000):
        level = torch.zeros((2, side, side), dtype=torch.int32)
        planes = level.float()
        kernels.without_holes(level == 0, 40.0)
        for within in (None, level):
            kernels.basins(level, within)
            kernels.meetings(level, level, within, 7)
        kernels.tallies(level, level, 7)
        kernels.sums(level, planes, planes, planes, 7)
        kernels.named(level, torch.zeros(9, dtype=torch.int32))
        for mirror in (True, False):
            filters.smoothed(planes, [0.4, 0.2, 0.1], mirror=mirror)
        filters.window_mean(planes, 31)
        filters.highest(level, planes, 9)
        x = torch.zeros((2, 48, side // 4, side // 4), dtype=torch.float16).to(memory_format=torch.channels_last)
        affine = torch.zeros(48), torch.zeros(48)
        for added in (None, x):
            for keep in (True, False):
                for affines in ([affine], [affine, affine]):
                    KernelPasses().activated(x, added, affines, keep=keep)
        KernelPasses().raised(x[:, :, ::2, ::2], x)


def told(kernel: Any) -> dict[str, Any]:
    """Return bytes that registers did not hold, and fences, atomics and wide accesses in the machine's own code."""
    tools = Path(triton.__file__).parent / "backends/nvidia/bin"

    def said(*command: str | Path) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage = said(tools / "cuobjdump", "--dump-resource-usage", file.name)
        code = said(tools / "nvdisasm", "--print-code", file.name)
    return {
        "spilled": sum(int(number) for number in re.findall(r"(?:STACK|LOCAL):(\d+)", usage)),
        "fences": len(re.findall(r"\bMEMBAR\b", code)),
        "atomics": len(re.findall(r"\b(?:ATOMG?|REDG?)\b", code)),
        "wide": len(re.findall(r"\b(?:LDG|STG)\.E\.128\b", code)),
        "registers": int(re.findall(r"REG:(\d+)", usage)[0]),
    }


def main() -> None:
    capability = int(sys.argv[1])
    driver.set_active(_MadeUp(capability))
    built: dict[str, list[Any]] = {}
    run = JITFunction.run

    def build(self: Any, *args: Any, warmup: bool, **options: Any) -> Any:
        kernel = run(self, *args, warmup=True, **options)
        built.setdefault(self.fn.__name__, []).append(kernel)
        return kernel

    JITFunction.run = build
    launch_all()
    forms = {name: {form.hash: form for form in forms}.values() for name, forms in built.items()}
    written = [vars(module).items() for module in (kernels, filters, fused_kernels)]
    missing = (
        {name for names in written for name, value in names if isinstance(value, JITFunction)} - PARTS - set(forms)
    )
    if missing:
        raise SystemExit(f"never launched: {missing}")
    print(json.dumps({name: [told(form) for form in some] for name, some in forms.items()}))


if __name__ == "__main__":
    main()
