import importlib.metadata
from pathlib import Path

import pytest

from services.doctor.check import Level
from services.doctor.engines import (
    Torch,
    check_cpu,
    check_openvino,
    compile_check,
    missing_from,
    tensorrt_check,
    torch_check,
)
from services.doctor.probe import Answer

CPU = Torch("2.13.0+cpu", None, 2, "AVX512", ())
CUDA = Torch("2.11.0+cu130", "13.0", 16, "AVX512", ("NVIDIA H100",))
LIBNVINFER = "Traceback (most recent call last):\nOSError: libnvinfer.so.10: cannot open shared object file"


def test_cpu_flags_are_named(tmp_path: Path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : fpu avx2 avx512f avx512_bf16\n\nprocessor : 1\nflags : fpu\n")

    assert check_cpu(cpuinfo).what.endswith("cores, avx2 avx512f avx512_bf16")


def test_cpu_build_beside_a_gpu_is_a_warning():
    assert torch_check(CPU, has_gpu=False).level is Level.OK
    assert torch_check(CPU, has_gpu=True).level is Level.WARNING
    assert "NVIDIA H100" in torch_check(CUDA, has_gpu=True).what


def test_cuda_build_that_finds_no_gpu_names_the_driver():
    blind = Torch("2.11.0+cu130", "13.0", 16, "AVX512", ())

    assert "driver" in torch_check(blind, has_gpu=True).mend


def test_missing_openvino_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    def none(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", none)

    assert check_openvino(has_gpu=True).level is Level.OK
    missing = check_openvino(has_gpu=False)
    assert (missing.level, missing.mend) == (Level.WARNING, "pip install 'cellvigil[openvino]'")


def test_missing_compiler_matters_on_a_gpu_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)

    assert compile_check(has_gpu=False).level is Level.OK
    assert compile_check(has_gpu=True).mend == "apt-get install g++ python3-dev"


@pytest.mark.parametrize(
    ("answer", "torch", "has_gpu", "level", "words"),
    [
        (None, CPU, False, Level.OK, "not installed"),
        (None, CUDA, True, Level.WARNING, "TensorRT 10.15"),
        (Answer(True, "torch-tensorrt 2.11.0 with TensorRT 10.15.1"), CUDA, True, Level.OK, "10.15.1"),
        (Answer(False, LIBNVINFER), CUDA, True, Level.WARNING, "libnvinfer.so.10 is missing"),
        (Answer(False, "no answer within 90 s"), CUDA, True, Level.WARNING, "no answer within 90 s"),
        (Answer(False, LIBNVINFER), CPU, False, Level.WARNING, "pip uninstall torch-tensorrt"),
    ],
)
def test_torch_tensorrt(answer: Answer | None, torch: Torch, has_gpu: bool, level: Level, words: str):
    check = tensorrt_check(answer, torch, has_gpu=has_gpu)

    assert check.level is level
    assert words in check.what + check.mend


def test_several_missing_libraries_are_all_named():
    output = "libnvinfer.so.10: cannot open\nlibnvinfer_plugin.so.10: cannot open\nlibnvinfer.so.10: cannot open"

    assert missing_from(output) == "libnvinfer.so.10, libnvinfer_plugin.so.10 are missing"


def test_a_torch_tensorrt_that_raises_and_prints_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tensorrt.py").write_text("__version__ = '10'")
    (tmp_path / "torch_tensorrt.py").write_text("print('noise')\nraise Exception('Could not find libnvinfer.so.11')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    from services.doctor.engines import _ask_tensorrt

    check = tensorrt_check(_ask_tensorrt(), CUDA, has_gpu=True)

    assert check.level is Level.WARNING
    assert "libnvinfer.so.11 is missing" in check.what
