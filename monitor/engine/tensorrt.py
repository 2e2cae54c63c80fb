"""The network as a TensorRT engine: exported, converted by Torch-TensorRT, run by TensorRT's own runtime.

The whole graph becomes one engine or the conversion fails: nothing runs in PyTorch unseen. The precision is that of
the exported network (float16), which TensorRT 10 calls strong typing and TensorRT 11 no longer lets one choose;
options that name precisions are therefore never passed. The engine file is TensorRT's own format, kept in the engine
store beside what it was built for; serving needs TensorRT alone.

Its libraries are not on the Python package index: `cellvigil doctor` says what is missing and where it comes from.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from monitor.engine.buckets import BUCKETS, BucketedEngine
from monitor.engine.hardware import fingerprint
from monitor.engine.store import BuiltFor, EngineStore, kept_digest
from monitor.errors import EngineFailure
from monitor.network.segnet import Map, SegmentationNetwork

NAME = "tensorrt-cuda-fp16"
ENGINE = "engine.plan"
OPTIONS: Final[dict[str, Any]] = {
    "require_full_compilation": True,
    "optimization_level": 5,
    "tiling_optimization_level": "full",
    "immutable_weights": True,
    "workspace_size": 0,
    "cache_built_engines": False,
    "reuse_cached_engines": False,
}
"""What is passed to Torch-TensorRT; a test holds the names against its own list in every version that we support."""
LEAST, TYPICAL, MOST = (1, 1, 64, 64), (8, 1, 1024, 1024), (BUCKETS[-1], 1, 2048, 2048)
"""Shapes of the one profile: frames beyond 2048 pixels come in tiles."""


class TensorRtEngine(BucketedEngine):
    """See `SegmentationEngine`; float16 in buckets with CUDA graphs.

    Raises
    ------
    EngineFailure
        `no_gpu`; `not_installed` with the missing library; `not_built`; `conversion`; `damaged` or `foreign`.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights_sha256: str,
        *,
        store: EngineStore,
        build: bool = True,
    ) -> None:
        if not torch.cuda.is_available():
            raise EngineFailure("TensorRT needs an NVIDIA GPU, and there is none here", reason="no_gpu")
        try:
            import tensorrt
        except (ImportError, OSError) as error:
            message = f"TensorRT cannot be loaded ({error}); `cellvigil doctor` says how to install it"
            raise EngineFailure(message, reason="not_installed") from error
        built_for = built_for_here(weights_sha256, tensorrt.__version__)
        folder = _folder(built_for, network, store, build=build)
        self._digest = kept_digest(folder)
        super().__init__(_Runtime(tensorrt, (folder / ENGINE).read_bytes()))

    name = NAME

    @property
    def digest(self) -> str:
        """Digest of engine, versions, driver, GPU, weights and the built engine: another build may choose otherwise."""
        return hashlib.sha256(f"{self.name}|{self._digest}".encode()).hexdigest()


class _Runtime:
    """Runs a serialised engine on torch's current stream; the caller keeps the input alive until it has run."""

    def __init__(self, tensorrt: Any, plan: bytes) -> None:  # noqa: ANN401  # the module, which has no types
        self._runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineFailure("TensorRT refuses the engine file; build it again", reason="foreign")
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
        (self._input,) = inputs
        (self._output,) = (name for name in names if name not in inputs)

    def __call__(self, frames: Tensor) -> Tensor:
        given = frames.contiguous()
        maps = torch.empty((len(given), len(Map), *given.shape[2:]), dtype=given.dtype, device=given.device)
        if not self._context.set_input_shape(self._input, tuple(given.shape)):
            raise EngineFailure(f"TensorRT refuses frames of {tuple(given.shape)}", reason="shape")
        self._context.set_tensor_address(self._input, given.data_ptr())
        self._context.set_tensor_address(self._output, maps.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineFailure("TensorRT failed to run the engine", reason="failed")
        return maps


def built_for_here(weights_sha256: str, tensorrt_version: str) -> BuiltFor:
    """Return what an engine that is built now depends on: GPU model, driver, versions, weights and options."""
    try:
        torch_tensorrt = importlib.metadata.version("torch-tensorrt")
    except importlib.metadata.PackageNotFoundError:
        torch_tensorrt = "not installed"
    return BuiltFor(
        engine=NAME,
        weights_sha256=weights_sha256,
        machine=fingerprint(),
        versions={"torch": torch.__version__, "torch_tensorrt": torch_tensorrt, "tensorrt": tensorrt_version},
        options={name: str(value) for name, value in OPTIONS.items()}
        | {"least": str(LEAST), "typical": str(TYPICAL), "most": str(MOST)},
    )


def exported_program(network: SegmentationNetwork, device: str, dtype: torch.dtype) -> torch.export.ExportedProgram:
    """Return the program that is converted, with free batch and frame size."""
    rows, columns = (torch.export.Dim(name, min=LEAST[2] // 32, max=MOST[2] // 32) for name in ("rows", "columns"))
    batch = torch.export.Dim("batch", min=LEAST[0], max=MOST[0])
    example = torch.zeros((2, 1, 96, 64), dtype=dtype, device=device)
    with torch.no_grad():
        return torch.export.export(
            network.eval().to(device, dtype), (example,), dynamic_shapes=({0: batch, 2: 32 * rows, 3: 32 * columns},)
        )


def _folder(built_for: BuiltFor, network: SegmentationNetwork, store: EngineStore, *, build: bool) -> Path:
    folder = store.find(built_for)
    if folder is None and not build:
        message = "it was never built for this GPU, driver and weights; run `cellvigil engine build tensorrt`"
        raise EngineFailure(message, reason="not_built")
    return folder or store.build(built_for, lambda part: _convert(network, part / ENGINE))


def _convert(network: SegmentationNetwork, file: Path) -> None:
    try:
        import torch_tensorrt
    except (ImportError, OSError) as error:
        message = f"Torch-TensorRT cannot be loaded ({error}); `cellvigil doctor` says how to install it"
        raise EngineFailure(message, reason="not_installed") from error
    program = exported_program(network, "cuda", torch.float16)
    shapes = torch_tensorrt.Input(min_shape=LEAST, opt_shape=TYPICAL, max_shape=MOST, dtype=torch.float16)
    try:
        plan = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
            program, arg_inputs=[shapes], **OPTIONS
        )
    except Exception as error:  # whatever a converter throws
        message = f"Torch-TensorRT cannot convert the network: {str(error).strip().splitlines()[-1]}"
        raise EngineFailure(message, reason="conversion") from error
    file.write_bytes(plan)
