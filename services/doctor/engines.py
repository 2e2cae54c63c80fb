"""What can run the network here: torch, its compiler, OpenVINO, Torch-TensorRT."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.doctor.check import Check, ok, problem, warning
from services.doctor.probe import Answer, ask_python

PROBE_TIMEOUT_S = 90.0
TENSORRT_OF = {"2.11": "10.15", "2.12": "10.16", "2.13": "11.0"}
"""TensorRT that each minor of torch and torch-tensorrt is built against."""

FAST_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "i8mm")

TORCH_QUESTION = """
import json, torch
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads(),
                  "level": torch.backends.cpu.get_cpu_capability(), "devices": names}))
"""
TENSORRT_QUESTION = """
import torch_tensorrt, tensorrt
print(f"torch-tensorrt {torch_tensorrt.__version__} with TensorRT {tensorrt.__version__}")
"""


@dataclass(frozen=True, slots=True)
class Torch:
    """What torch says of itself: `cuda` is the version it was built for, None for a CPU build."""

    version: str
    cuda: str | None
    threads: int
    level: str
    devices: Sequence[str]

    @property
    def minor(self) -> str:
        """Major and minor version, as in `2.13`."""
        return ".".join(self.version.split(".")[:2])


def check_engines() -> Iterator[Check]:
    """Yield what torch can use here, then each engine above it."""
    has_gpu = nvidia_gpu_present()
    yield check_cpu()
    answer = ask_python(TORCH_QUESTION, PROBE_TIMEOUT_S)
    if not answer.succeeded:
        mend = "pip install --force-reinstall 'torch>=2.11,<2.14'"
        yield problem("torch", f"cannot be imported: {missing_from(answer.output)}", mend)
        return
    torch = Torch(**json.loads(answer.output))
    yield torch_check(torch, has_gpu=has_gpu)
    yield compile_check(has_gpu=has_gpu)
    yield check_openvino(has_gpu=has_gpu)
    yield tensorrt_check(_ask_tensorrt(), torch, has_gpu=has_gpu)


def check_cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> Check:
    """Name the instructions that make a CPU engine fast."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return ok("cpu", f"{os.cpu_count()} cores")
    flags = next((line.split() for line in lines if line.lower().startswith(("flags", "features"))), [])
    fast = [flag for flag in FAST_CPU_FLAGS if flag in flags]
    return ok("cpu", f"{os.cpu_count()} cores, {' '.join(fast) or 'no vector instructions that matter here'}")


def torch_check(torch: Torch, *, has_gpu: bool) -> Check:
    """Whether torch uses the machine that it runs on."""
    what = f"{torch.version}, {torch.threads} threads, {torch.level}"
    if torch.devices:
        return ok("torch", f"{what}, CUDA {torch.cuda} on {', '.join(torch.devices)}")
    if not has_gpu:
        return ok("torch", f"{what}, no NVIDIA GPU here")
    if torch.cuda is None:
        mend = "pip install --force-reinstall torch from an index that carries its CUDA build (make CONSTRAINTS=)"
        return warning("torch", f"{what}: a CPU build on a machine with an NVIDIA GPU", mend)
    mend = "update the NVIDIA driver to one that carries this CUDA, or install a torch built for an older one"
    return warning("torch", f"{what}: built for CUDA {torch.cuda}, which finds no usable GPU", mend)


def compile_check(*, has_gpu: bool) -> Check:
    """Whether torch.compile can build code here; it calls the system's compiler when it runs."""
    compiler = os.environ.get("CXX") or next((name for name in ("g++", "clang++") if shutil.which(name)), None)
    if compiler:
        return ok("torch.compile", f"possible with {compiler}")
    what = "not possible without a C++ compiler; the eager engine is used"
    return warning("torch.compile", what, "apt-get install g++ python3-dev") if has_gpu else ok("torch.compile", what)


def check_openvino(*, has_gpu: bool) -> Check:
    """Name OpenVINO's version; where there is no GPU, the lack of it makes every frame slower."""
    try:
        return ok("openvino", importlib.metadata.version("openvino"))
    except importlib.metadata.PackageNotFoundError:
        if has_gpu:
            return ok("openvino", "not installed, and of no use beside an NVIDIA GPU")
        what = "not installed; the eager engine is used on the CPU, which takes about twice as long"
        return warning("openvino", what, "pip install 'cellvigil[openvino]'")


def tensorrt_check(answer: Answer | None, torch: Torch, *, has_gpu: bool) -> Check:
    """Judge what Torch-TensorRT answered; None means that it is not installed."""
    name, engine = "torch-tensorrt", "torch.compile or eager is used instead"
    if answer is None:
        if not has_gpu:
            return ok(name, "not installed, and of no use without an NVIDIA GPU")
        return warning(name, f"not installed; {engine}", f"pip install 'cellvigil[gpu]'; {_libraries(torch)}")
    if answer.succeeded:
        return ok(name, answer.output)
    if torch.cuda is None:
        what = f"cannot be loaded by a CPU build of torch; {engine}"
        return warning(name, what, "install torch's CUDA build, or: pip uninstall torch-tensorrt")
    return warning(name, f"cannot be loaded: {missing_from(answer.output)}; {engine}", _libraries(torch))


def missing_from(output: str) -> str:
    """Name the libraries or modules that a failed import missed, or else its last line.

    >>> missing_from("OSError: libnvinfer.so.10: cannot open shared object file: No such file or directory")
    'libnvinfer.so.10 is missing'
    >>> missing_from("ModuleNotFoundError: No module named 'tensorrt'")
    'Python module tensorrt is missing'
    """
    libraries = sorted(set(re.findall(r"\blib\w[\w+-]*\.so(?:\.\d+)*", output)))
    modules = sorted(set(re.findall(r"No module named '([\w.]+)'", output)))
    if libraries:
        return f"{', '.join(libraries)} {'is' if len(libraries) == 1 else 'are'} missing"
    if modules:
        return f"Python module {', '.join(modules)} is missing"
    return output.strip().splitlines()[-1]


def nvidia_gpu_present() -> bool:
    """Whether the NVIDIA driver shows a device, whatever torch can do with it."""
    return Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists()


def _ask_tensorrt() -> Answer | None:
    if importlib.util.find_spec("torch_tensorrt") is None:
        return None
    return ask_python(TENSORRT_QUESTION, PROBE_TIMEOUT_S)


def _libraries(torch: Torch) -> str:
    version = TENSORRT_OF.get(torch.minor)
    wanted = f"TensorRT {version}" if version else "the TensorRT that its release notes name"
    return (
        f"torch {torch.minor} pairs with torch-tensorrt {torch.minor} and {wanted}: libnvinfer, its plugin and its ONNX"
        " parser come from NVIDIA's own package index (pip install tensorrt-cu13 with that index), NVIDIA's system"
        " packages or a TensorRT container image, not from the Python package index"
    )
