"""The network on a CPU with OpenVINO: the same maps as eager, about twice as fast, and three times that in 8 bits.

In fp32 the last convolutions are our own (`monitor.winograd`): they take half the time that they took there.

The 8-bit network is quantised after training by NNCF on the shipped calibration frames, once per weights, and kept in
the engine store. So is the network as OpenVINO reads it: converting takes ten seconds, which a worker that was killed
would be away longer.

OpenVINO reports its import and every conversion to its makers unless its telemetry package is out of reach; it is put
out of reach here: nothing ever leaves the machine.
"""

import contextlib
import hashlib
import logging
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.engine.hardware import processor
from monitor.engine.store import BuiltFor, EngineStore, kept_digest
from monitor.engine.views import calibration_views, views_digest
from monitor.errors import EngineFailure
from monitor.frames.normalize import normalize
from monitor.frames.resample import pad_to_multiple
from monitor.network import segnet
from monitor.network.segnet import Map, SegmentationNetwork
from monitor.winograd import fine_decoder
from monitor.winograd.fine_decoder import CoarseHalf, FineDecoder

if TYPE_CHECKING:
    import openvino

Precision = Literal["fp32", "bf16", "int8"]
FILE = "network.xml"
KEPT_SHAPES = 4
"""Compiled sizes kept at a time: a laboratory's cameras have one or two."""


class OpenVinoEngine:
    """See `SegmentationEngine`; frames go through one by one, each size compiled once, in a second or two.

    Parameters
    ----------
    precision
        `bf16` only where the processor has it: OpenVINO would silently run fp32 instead, which is refused here.
    file
        Of the network as it was converted or, for `int8`, quantised; without one it is converted now.

    Raises
    ------
    EngineFailure
        `not_installed`, or `precision` when the processor cannot run it.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        *,
        precision: Precision = "fp32",
        threads: int | None = None,
        file: Path | None = None,
    ) -> None:
        self._kept = kept_digest(file.parent) if file is not None and precision == "int8" else ""
        module = _openvino()
        self._version = module.__version__
        self._core = module.Core()
        self._precision = precision
        self._threads = threads
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            message = "this processor has no bf16; choose fp32"
            raise EngineFailure(message, reason="precision")
        self._part = _part_of(network, precision)
        self._fine = FineDecoder(network.decoder, threads=threads) if self._part == "coarse half" else None
        self._model = _converted(network, precision) if file is None else self._core.read_model(file)
        self._compiled: OrderedDict[tuple[int, int], openvino.CompiledModel] = OrderedDict()

    @property
    def name(self) -> str:
        """What really runs."""
        return f"openvino-cpu-{self._precision}"

    @property
    def digest(self) -> str:
        """Digest of engine, precision, versions, of what is our own and, in 8 bits, of the quantised network."""
        return hashlib.sha256(
            f"{self.name}|openvino {self._version}|torch {torch.__version__}|{self._kept}|{self._part}".encode()
        ).hexdigest()

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""
        return 1

    def warm_up(self) -> None:
        """Run once on an empty frame."""
        self(np.zeros((1, 1, 256, 256), np.float32))

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [B, 1, H, W] to [B, K, H, W]."""
        compiled = self._for_size(batch.shape[2], batch.shape[3])
        maps = np.empty((len(batch), len(Map), *batch.shape[2:]), np.float32)
        try:
            for frame, found in zip(batch, maps, strict=True):
                self._run(compiled, np.ascontiguousarray(frame[None]), found)
        except RuntimeError as error:
            raise EngineFailure(f"{self.name} failed on {batch.shape}: {error}", reason="failed") from error
        return maps

    def _run(self, compiled: "openvino.CompiledModel", frame: NDArray[np.float32], maps: NDArray[np.float32]) -> None:
        """Write the maps of one frame."""
        # its own planes, not copies of them: they hold until the next frame, and may be written over
        planes = [plane[0] for plane in compiled(frame, share_outputs=True).values()]
        if self._fine is None:
            maps[:] = planes[0]
        else:
            self._fine(planes[0], planes[1], planes[2], maps)

    def _for_size(self, rows: int, columns: int) -> "openvino.CompiledModel":
        size = rows, columns
        if size in self._compiled:
            self._compiled.move_to_end(size)
            return self._compiled[size]
        model = self._model.clone()
        model.reshape([1, 1, rows, columns])
        options: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if self._precision == "bf16" else "f32",
        }
        if self._threads is not None:
            options["INFERENCE_NUM_THREADS"] = self._threads
        self._compiled[size] = self._core.compile_model(model, "CPU", options)
        if len(self._compiled) > KEPT_SHAPES:
            self._compiled.popitem(last=False)
        return self._compiled[size]


def converted(
    network: SegmentationNetwork,
    weights_sha256: str,
    *,
    precision: Literal["fp32", "bf16"],
    threads: int | None = None,
    store: EngineStore,
) -> OpenVinoEngine:
    """Return the engine from the network that the store keeps, and keep it there when it does not.

    Raises
    ------
    EngineFailure
        As `OpenVinoEngine`. What is damaged in the store is converted anew; where nothing can be kept it is done at
        every start.
    """
    built_for = BuiltFor(
        engine="openvino-cpu",
        weights_sha256=weights_sha256,
        machine=processor(),
        versions={"openvino": _openvino().__version__, "torch": torch.__version__},
        options={"code": _code_digest(), "part": _part_of(network, precision)},
    )
    folder = None
    with contextlib.suppress(EngineFailure):
        folder = store.find(built_for)
    if folder is None:
        with contextlib.suppress(OSError):
            folder = store.build(built_for, lambda part: _save(_converted(network, precision), part / FILE))
    return OpenVinoEngine(network, precision=precision, threads=threads, file=folder / FILE if folder else None)


def quantised(
    network: SegmentationNetwork,
    weights_sha256: str,
    *,
    threads: int | None = None,
    store: EngineStore,
    build: bool = True,
) -> OpenVinoEngine:
    """Return the engine in 8 bits, from the store or made now, which takes a minute or two.

    Raises
    ------
    EngineFailure
        `not_built`; `not_installed`; `damaged` or `foreign` when a kept one is refused.
    """
    openvino = _openvino()
    built_for = BuiltFor(
        engine="openvino-cpu-int8",
        weights_sha256=weights_sha256,
        machine=processor(),
        versions={"openvino": openvino.__version__, "torch": torch.__version__},
        options={"views": views_digest()},
    )
    folder = store.find(built_for)
    if folder is None and not build:
        message = "it was never built from these weights; run `cellvigil engine build openvino-int8`"
        raise EngineFailure(message, reason="not_built")
    if folder is None:
        folder = store.build(built_for, lambda part: _quantise(network, part / FILE))
    return OpenVinoEngine(network, precision="int8", threads=threads, file=folder / FILE)


def _code_digest() -> str:
    """Return a digest of the source that is converted: who changes it must not meet what was converted before."""
    whole = hashlib.sha256()
    for file in (*sorted(Path(segnet.__file__).parent.glob("*.py")), Path(fine_decoder.__file__)):
        whole.update(file.read_bytes())
    return whole.hexdigest()


def _quantise(network: SegmentationNetwork, file: Path) -> None:
    try:
        with _quiet():
            import nncf
    except ImportError as error:
        message = "nncf is not installed; pip install 'cellvigil[openvino]'"
        raise EngineFailure(message, reason="not_installed") from error
    views = [view[None, None] for view in _calibration()]
    with _quiet():
        model = nncf.quantize(
            _converted(network, "int8"),
            nncf.Dataset(views),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(views),
        )
    _save(model, file)


def _save(model: "openvino.Model", file: Path) -> None:
    try:
        _openvino().save_model(model, file, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"{file} cannot be written: {error}") from error


def _calibration() -> list[NDArray[np.float32]]:
    """Return the calibration frames as the network sees them, each with its polarity turned as well."""
    ready = [pad_to_multiple(normalize(frame.pixels, frame.pixel_size_um)) for frame in calibration_views()]
    return ready + [-frame for frame in ready]


def _openvino() -> ModuleType:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # an import of it fails, as meant
    try:
        import openvino
    except ImportError as error:
        message = "openvino is not installed; pip install 'cellvigil[openvino]'"
        raise EngineFailure(message, reason="not_installed") from error
    module: ModuleType = openvino
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what torch and OpenVINO have to say about each other's older calls, tracebacks in it included."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _part_of(network: SegmentationNetwork, precision: Precision) -> Literal["coarse half", "whole"]:
    """Return what is converted: all but the last convolutions in fp32, where their channels fill our vectors."""
    return "coarse half" if precision == "fp32" and FineDecoder.fits(network.decoder) else "whole"


def _converted(network: SegmentationNetwork, precision: Precision) -> "openvino.Model":
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    network = network.float().eval()
    part = CoarseHalf(network).eval() if _part_of(network, precision) == "coarse half" else network
    rows, columns = torch.export.Dim("rows", min=2, max=256), torch.export.Dim("columns", min=2, max=256)
    with torch.inference_mode(), _quiet():
        exported = torch.export.export(
            part, (torch.zeros(1, 1, 96, 64),), dynamic_shapes=({2: 32 * rows, 3: 32 * columns},)
        )
        decoder = TorchFXPythonDecoder.from_exported_program(exported)
        front = FrontEndManager().load_by_framework("pytorch")
        # the front end does not hold the decoder itself, which therefore has to outlive the conversion
        return front.convert(front.load(decoder))
