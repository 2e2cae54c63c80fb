"""The parts of the GPU benchmark: each times one thing and adds what it found to the report."""

import functools
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING

import hovernet
import numpy as np
import torch
from device_clock import Call, Clock
from gpu_bench import Bench, Run, on
from gpu_frames import camera_frames
from networks import network_of
from numpy.typing import NDArray
from torch import Tensor, nn

from monitor.network.segnet import PLANES
from services.bench.roofline import measured_rates

if TYPE_CHECKING:
    from monitor.frames.frame import Frame
    from monitor.segmentation.device_labels import DeviceInstances

EAGER = "eager"
GRAPH = "eager, one CUDA graph"


def rates(bench: Bench) -> None:
    """Measure matrix product and copy: the two constants of the roofline."""
    for dtype in dict.fromkeys((bench.narrow, torch.bfloat16)):
        found = measured_rates(bench.device, dtype)
        bench.rates[found.dtype] = found
        print(f"  {found.dtype}: {found.flops_per_s / 1e12:.1f} TFLOP/s, copy {found.bytes_per_s / 1e12:.3f} TB/s")
    bench.tables["rates"] = {
        name: {"tflop_per_s": some.flops_per_s / 1e12, "tb_per_s": some.bytes_per_s / 1e12}
        for name, some in bench.rates.items()
    }


def network(bench: Bench) -> None:
    """Time eager with and without a CUDA graph at every batch."""
    graph = bench.graphed(bench.network)
    bench.best = GRAPH, graph
    _at_every_batch(bench, "network", {EAGER: bench.network, GRAPH: graph})


def compiled(bench: Bench) -> None:
    """Time the `compiled` engine, all that it does between tensors on the device included."""
    from monitor.engine.fused import FusedEngine, FusedNetwork, TorchPasses

    if bench.device == "cuda":
        engine = FusedEngine(bench.timed.make())
        bench.best = engine.name, engine.maps_on_device
    else:
        bench.best = "compiled, dry", FusedNetwork(bench.timed.make().eval(), TorchPasses())
    name, run = bench.best
    _at_every_batch(bench, "compiled", {EAGER: bench.network, name: run})


def tensorrt(bench: Bench) -> None:
    """Build the `tensorrt` engine and time it; its libraries have to be there."""
    if missing := [name for name in ("tensorrt", "torch_tensorrt", "pydantic") if not importlib.util.find_spec(name)]:
        raise ImportError(f"{', '.join(missing)} not installed")
    from monitor.engine.store import EngineStore
    from monitor.engine.tensorrt import TensorRtEngine

    with torch.inference_mode(False):
        engine = TensorRtEngine(bench.timed.make(), bench.timed.sha256, store=EngineStore(bench.folder))
    _at_every_batch(bench, "tensorrt", {EAGER: bench.network, engine.name: engine.maps_on_device})


def torch_compile(bench: Bench) -> None:
    """Time torch.compile in its default mode, with a CUDA graph of ours around it, at one batch."""
    quick = torch.compile(bench.network)
    frames, run = bench.frames(bench.batch), bench.graphed(quick)
    times = bench.turns({"compile": lambda: run(frames), EAGER: lambda: bench.network(frames)})
    bench.add("gpu_torch_compile", times["compile"], times[EAGER], _eager(bench))


def bfloat16(bench: Bench) -> None:
    """Time the other narrow dtype once."""
    wide = on(bench.timed.make(), bench.device, torch.bfloat16)
    frames, other = bench.frames(bench.batch), bench.frames(bench.batch, torch.bfloat16)
    ours, peer = bench.graphed(bench.network), bench.graphed(wide)
    times = bench.turns({"ours": lambda: ours(frames), "bf16": lambda: peer(other)})
    bench.add(f"gpu_{bench.dtype_name}_over_bfloat16", times["ours"], times["bf16"], f"bfloat16, batch {bench.batch}")


def layout(bench: Bench) -> None:
    """Time channels last against channels first, and one group against four, as in HoVer-Net's dense units."""
    frames = bench.frames(bench.batch)
    plain = frames.contiguous()
    first, last = on(bench.timed.make(), bench.device, bench.narrow, last=False), bench.network
    times = bench.turns({"last": lambda: last(frames), "first": lambda: first(plain)}, 0.5)
    bench.add("gpu_channels_last", times["last"], times["first"], f"eager, channels first, batch {bench.batch}")
    calls: dict[str, Call] = {}
    for groups in (1, 4):
        for name, order in (("last", torch.channels_last), ("first", torch.contiguous_format)):
            convolution = nn.Conv2d(128, 32, 3, groups=groups, bias=False)
            convolution = on(convolution, bench.device, bench.narrow, last=name == "last")
            given = torch.randn(bench.batch, 128, bench.side // 8, bench.side // 8, device=bench.device)
            given = given.to(bench.narrow).contiguous(memory_format=order)
            calls[f"{groups} {name}"] = functools.partial(convolution, given)
    times = bench.turns(calls, 0.5)
    bench.add("gpu_ungrouped", times["1 last"], times["4 last"], "the same layer in four groups, channels last")
    bench.tables["groups_ms"] = {name: round(1e3 * median(some), 4) for name, some in times.items()}


def over_hovernet(bench: Bench) -> None:
    """Time HoVer-Net on its tiles, in whichever layout it is faster, per megapixel of output."""
    if bench.best is None:
        bench.best = GRAPH, bench.graphed(bench.network)
    name, run = bench.best
    frames = bench.frames(bench.batch)
    tiles = torch.randn(bench.tiles, 3, bench.tile_px, bench.tile_px, device=bench.device).to(bench.narrow)
    calls: dict[str, Call] = {"ours": lambda: run(frames), EAGER: lambda: bench.network(frames)}
    output_px = 0
    for order, memory in (("channels last", torch.channels_last), ("channels first", torch.contiguous_format)):
        theirs = on(hovernet.HoverNet(), bench.device, bench.narrow, last=order == "channels last")
        given = tiles.contiguous(memory_format=memory)
        output_px = theirs(given).shape[2]
        calls[order] = functools.partial(theirs, given)
    times = bench.turns(calls)
    ours_mp, theirs_mp = bench.batch * bench.side**2 / 2**20, bench.tiles * output_px**2 / 2**20
    order = min(("channels last", "channels first"), key=lambda layout: median(times[layout]))
    peer = [took / theirs_mp for took in times[order]]
    against = f"HoVer-Net fast, random weights, eager {bench.dtype_name}, {order}, batch {bench.tiles}, per megapixel"
    bench.add("gpu_over_hovernet", [took / ours_mp for took in times["ours"]], peer, against, engine=name)
    bench.add("gpu_eager_over_hovernet", [took / ours_mp for took in times[EAGER]], peer, against, engine=EAGER)
    bench.tables["hovernet_ms_per_mp"] = {
        layout: round(1e3 * median(times[layout]) / theirs_mp, 3) for layout in ("channels last", "channels first")
    }


def transfer(bench: Bench) -> None:
    """Time frames on their way to the device, from pinned and from pageable memory."""
    table = {}
    for megabytes in (2, 8):
        host = torch.zeros(megabytes * 2**19, dtype=torch.int16)
        pinned = host.pin_memory() if bench.device == "cuda" else host
        target = torch.empty_like(host, device=bench.device)
        times = bench.turns(
            {
                "pinned": functools.partial(target.copy_, pinned, non_blocking=True),
                "pageable": functools.partial(target.copy_, host),
            },
            0.5,
        )
        bench.add(f"gpu_pinned_{megabytes}mb", times["pinned"], times["pageable"], "the same copy, pageable memory")
        table[f"{megabytes} MB"] = {
            name: {"ms": 1e3 * median(some), "gb_per_s": megabytes * 2**20 / median(some) / 1e9}
            for name, some in times.items()
        }
    bench.tables["transfer"] = table


def labels(bench: Bench) -> None:
    """Time normalisation and labels on the device against the network on the same batch."""
    from monitor.segmentation.device_labels import instances_on_device
    from monitor.segmentation.device_planes import normalized
    from monitor.segmentation.labels import instances_of

    shipped = network_of(None)
    assert shipped.card is not None
    card, reader = shipped.card, on(shipped.make(), bench.device, bench.narrow)
    counts = torch.from_numpy(
        np.stack([frame.pixels.astype(np.float32) for frame in camera_frames(bench.side, bench.batch)])
    )
    counts = counts.to(bench.device)
    normal = normalized(counts, card.pixel_size_um)
    maps = reader(normal[:, None].to(bench.narrow)).float()  # of real cells, whatever network is timed
    name, run = bench.best or (GRAPH, bench.graphed(bench.network))
    frames = bench.frames(bench.batch)
    decode = functools.partial(instances_on_device, maps, PLANES, card.decode, card.pixel_size_um)
    cells = int(decode().cells.amax((1, 2)).sum())
    calls: dict[str, Call] = {
        "network": lambda: run(frames),
        "normalise": lambda: normalized(counts, card.pixel_size_um),
        "labels": decode,
    }
    times = bench.turns(calls, 0.5)
    against = f"{name}, batch {bench.batch}"
    both = [one + other for one, other in zip(times["normalise"], times["labels"], strict=True)]
    bench.add_share("gpu_labels_over_network", times["labels"], times["network"], against)
    bench.add_share("gpu_labels_and_normalise_over_network", both, times["network"], against)
    featured = _features_of(decode(), camera_frames(bench.side, bench.batch), bench)
    together = [one + other for one, other in zip(times["labels"], featured, strict=False)]
    bench.add_share("gpu_labels_and_features_over_network", together, times["network"][: len(together)], against)

    def on_cpu() -> None:
        for frame in maps.cpu().numpy():
            instances_of(frame, PLANES, card.decode, card.pixel_size_um)

    once = Clock(bench.device, warm=1, rounds=min(5, bench.clock.rounds), each=1)
    pair = once.in_turns({"labels": decode, "cpu": on_cpu}, at_most_s=0.2 * bench.seconds)
    bench.add("gpu_labels", pair["labels"], pair["cpu"], "maps copied back, one CPU core", cells=cells)
    bench.tables["labels_ms"] = {name: round(1e3 * median(some), 4) for name, some in times.items()} | {"cells": cells}


def _features_of(found: "DeviceInstances", frames: "list[Frame]", bench: Bench) -> list[float]:
    """Return seconds that the features of a batch take on all cores of this machine, one frame a thread."""
    from monitor.features.featurizer import measure

    cells, nuclei = found.cells.cpu().numpy(), found.nuclei.cpu().numpy()
    with ThreadPoolExecutor(os.cpu_count()) as threads:

        def everything() -> None:
            list(threads.map(lambda index: measure(frames[index], cells[index], nuclei[index]), range(len(frames))))

        once = Clock("cpu", warm=2, rounds=max(3, min(10, bench.clock.rounds)), each=1)
        took = once.in_turns({"features": everything}, at_most_s=0.2 * bench.seconds)["features"]
    bench.tables["features_ms"] = {"batch": round(1e3 * median(took), 3), "threads": os.cpu_count()}
    return took


def whole(bench: Bench) -> None:
    """Time the way from camera counts to labels, batch after batch, against the network alone."""
    from monitor.engine.eager import EagerEngine
    from monitor.segmentation.on_device import DevicePath

    shipped = network_of(None)
    assert shipped.card is not None
    engine = _Device(bench) if bench.best is not None else EagerEngine(bench.timed.make(), device=bench.device)
    path = DevicePath(engine, shipped.card)
    group, groups = camera_frames(bench.side, bench.batch), 4
    frames = bench.frames(bench.batch)

    def everything() -> None:
        for _ in path.run([group] * groups):
            pass

    calls: dict[str, Call] = {"whole": everything, "network": lambda: engine.maps_on_device(frames)}
    once = Clock(bench.device, warm=min(2, bench.clock.warm), rounds=bench.clock.rounds, each=1)
    times = once.in_turns(calls, at_most_s=0.4 * bench.seconds)
    batch_s = [took / groups for took in times["whole"]]
    name = bench.best[0] if bench.best else engine.name
    bench.add_share("gpu_whole_over_network", batch_s, times["network"], f"{name}, batch {bench.batch}")
    megapixels = bench.batch * bench.side**2 / 2**20
    bench.tables["whole"] = {"mp_per_s": megapixels / median(batch_s), "frames_per_s": bench.batch / median(batch_s)}
    print(f"  {bench.tables['whole']}")


class _Device:
    """The fastest way that was found, as an engine."""

    def __init__(self, bench: Bench) -> None:
        assert bench.best is not None
        self._bench, (self.name, self._run) = bench, bench.best
        self.device, self.digest, self.batch_size = bench.device, "", bench.batch

    def warm_up(self) -> None:
        """Do nothing."""

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        maps: NDArray[np.float32] = self.maps_on_device(torch.from_numpy(batch).to(self.device)).cpu().numpy()
        return maps

    def maps_on_device(self, frames: Tensor) -> Tensor:
        """Map frames where they are."""
        return self._run(frames.to(self._bench.narrow)).float()


def _at_every_batch(bench: Bench, table: str, runs: dict[str, Run]) -> None:
    """Time the second of two at every batch, the first being eager; the one of the measures comes first."""
    rows = []
    for batch in sorted(bench.batches, key=lambda size: (size != bench.batch, size)):
        frames = bench.frames(batch)
        times = bench.turns(
            {name: functools.partial(run, frames) for name, run in runs.items()}, 1 / len(bench.batches)
        )
        eager, ours = (times[name] for name in runs)
        floor = bench.floor_s(batch)
        row = {"batch": batch} | {f"{name}_ms": round(1e3 * median(some), 4) for name, some in times.items()}
        rows.append(row if floor is None else row | {"of_roofline": round(floor / median(ours), 3)})
        print(f"  {rows[-1]}", flush=True)
        if batch == bench.batch:
            title = "graph" if table == "network" else table
            bench.add(f"gpu_{title}", ours, eager, _eager(bench), engine=list(runs)[1])
            if floor is not None:
                name = "gpu_of_roofline" if table == "compiled" else f"gpu_{title}_of_roofline"
                against = "roofline by layer, rates measured in this run"
                bench.add(name, ours, [floor] * len(ours), against, engine=list(runs)[1])
        bench.tables[table] = rows


def _eager(bench: Bench) -> str:
    return f"PyTorch eager {bench.dtype_name}, channels last, batch {bench.batch}"
