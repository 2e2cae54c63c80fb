"""Everything except the network: time per stage, and from file closed to estimate published at an offered rate.

    python benchmarks/overhead.py --json benchmarks/results/0.1.0/overhead.json

Part one runs the stages on the same frames in one process, in turns, and compares their sum with the network's own
time. Part two runs the real processes, writes small frames at a stated rate and takes the time from the close of each
file (its mtime) to the entry in the estimates stream (the server's clock, the same machine's).
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import redis
from machine import machine

import monitor
from monitor.culture.settings import CultureSettings
from monitor.culture.state import FlaskState
from monitor.frames.layout import Layout
from monitor.frames.normalize import normalize
from monitor.frames.reader import ReadLimits, read_frame
from monitor.frames.resample import pad_to_multiple, resample
from monitor.messages import PotencyEstimated, SegmentedBy
from monitor.network.checkpoint import load_network
from monitor.pipeline import Masks, measure_frame
from monitor.potency.model import load_model
from monitor.segmentation.quality import QualitySettings, assess
from monitor.segmentation.segmenter import Segmentation, decode, load_segmenter
from monitor.synthetic.culture import Culture, demo_fleet
from services.chain.run import run
from services.chain.simulated_file import write_frame
from services.ingest.admission import Admission
from services.settings import load_settings
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels
from services.transport.server import server_status

SETTLE_S = 0.3


class Timed:
    """Collects the times of named stages in milliseconds."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 (hands through any result)
        """Return what `call` returns; note how long it took under `name`."""
        started = time.perf_counter()
        result = call()
        self.times.setdefault(name, []).append(1000.0 * (time.perf_counter() - started))
        return result


def stages(folder: Path, frames: int) -> Timed:
    """Time every stage on `frames` simulated frames of 448 x 448; the first two are warm-up and not counted."""
    import torch

    culture = Culture(demo_fleet()[0])
    segmenter = load_segmenter()
    network, card = load_network()
    model = load_model()
    labels = FileLabels(folder / "masks")
    state = FlaskState("A-healthy", CultureSettings())
    timed = Timed()
    admission = Admission(
        root=folder,
        layout=Layout("flask-position-time"),
        samples={},
        pixel_size_um=None,
        limits=ReadLimits(),
        now=lambda: datetime.now(UTC),
    )
    place = folder / "A-healthy" / "p1"
    with SqliteRecord(folder / "record.sqlite3") as record:
        for index in range(frames + 2):
            path = place / f"{culture.acquired_at(index):%Y%m%dT%H%M%SZ}.tif"
            write_frame(culture.frame("p1", index % 48), path)
            clock = timed if index >= 2 else Timed()
            admitted = clock("ingest: judge", lambda p=path: admission.admit(p, p.lstat()))
            arrived, digest = admitted.arrived, admitted.frame_id
            frame = clock(
                "segment: read", lambda p=path: read_frame(p, root=folder, pixel_size_um=1.1, limits=ReadLimits())
            )
            scaled = clock("segment: resample", lambda f=frame: resample(f, card.pixel_size_um))
            ready = clock("segment: normalise", lambda s=scaled: normalize(s, card.pixel_size_um))
            batch = torch.from_numpy(pad_to_multiple(ready)[None, None]).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                maps = clock("network", lambda b=batch: network(b).numpy())[0, :, : ready.shape[0], : ready.shape[1]]
            decoded = clock("segment: decode", lambda m=maps: decode(m, card.decode, card.pixel_size_um))
            clock(
                "segment: quality",
                lambda f=frame, r=ready, d=decoded: assess(f, r, d, card.pixel_size_um, QualitySettings()),
            )
            (found,) = clock("segment: all, network included", lambda f=frame: segmenter.segment([f]))
            assert isinstance(found, Segmentation)
            clock(
                "segment: write masks",
                lambda d=digest, s=found: (
                    labels.put(d, "cells", s.cells, 1.1),
                    labels.put(d, "nuclei", s.nuclei, 1.1),
                ),
            )
            masks = Masks(
                found.cells,
                found.nuclei,
                found.quality,
                SegmentedBy(engine="bench", engine_digest="bench", weights_digest=card.sha256),
            )
            row = clock(
                "predict: measure and estimate",
                lambda a=arrived, f=frame, m=masks: measure_frame(a, f, m, model, min_cells=8, configuration="bench"),
            )
            clock("predict: fold", lambda r=row: state.step(r))
            clock("predict: record", lambda r=row: _store(record, r))
    return timed


def _store(record: SqliteRecord, row: Any) -> None:  # noqa: ANN401  # a row of any table
    with record.flask("A-healthy") as transaction:
        transaction.add(row)


def live(folder: Path, rate: float, seconds: float) -> list[float]:
    """Run the processes under `rate` frames a second; return seconds from file closed to estimate published."""
    watch = folder / "frames"
    watch.mkdir()
    settings = load_settings(
        None,
        {
            "state": folder / "state",
            "watch": {"folder": watch, "settle_s": SETTLE_S, "expected_interval_s": 86_400.0},
            "delivery": {"block_s": 0.2},
            "notifier": {"terminal": False},
        },
    )
    closed: dict[str, float] = {}
    published: dict[str, float] = {}
    stop = threading.Event()
    threads = [
        threading.Thread(target=run, args=(settings, stop)),
        threading.Thread(target=_write, args=(watch, rate, seconds, closed)),
        threading.Thread(target=_collect, args=(folder / "state", published, stop)),
    ]
    threads[0].start()
    time.sleep(20.0)  # workers warm up
    for thread in threads[1:]:
        thread.start()
    threads[1].join()
    deadline = time.monotonic() + 60.0
    while len(published) < len(closed) and time.monotonic() < deadline:
        time.sleep(0.2)
    stop.set()
    threads[2].join()
    threads[0].join()
    return [published[name] - closed[name] for name in closed if name in published]


def _write(watch: Path, rate: float, seconds: float, closed: dict[str, float]) -> None:
    culture = Culture(demo_fleet()[0])
    phantoms = [culture.frame("p1", index) for index in range(6)]
    started = time.monotonic()
    for index in range(round(rate * seconds)):
        time.sleep(max(0.0, started + index / rate - time.monotonic()))
        phantom = phantoms[index % 6]
        pixels = phantom.pixels.copy()
        pixels[0, 0] = index
        name = f"F{index % 4}/p1/{culture.acquired_at(index):%Y%m%dT%H%M%SZ}.tif"
        part = watch / name.replace("/p1/", "/p1/.")
        write_frame(type(phantom)(pixels, phantom.pixel_size_um, phantom.cells, phantom.nuclei, phantom.spec), part)
        closed[name] = time.time()
        part.rename(watch / name)


def _collect(state: Path, published: dict[str, float], stop: threading.Event) -> None:
    server = server_status(state)
    assert server is not None
    client = redis.Redis.from_url(server.url, protocol=2)
    last = "0"
    while not stop.is_set():
        answer: Any = client.xread({"cellvigil:estimates": last}, block=200)
        for _, entries in answer or []:
            for entry_id, fields in entries:
                last = entry_id.decode()
                estimate = PotencyEstimated.model_validate_json(fields[b"payload"])
                published.setdefault(estimate.source, int(last.split("-")[0]) / 1000.0)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1.0, help="frames per second offered in part two")
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    report: dict[str, Any] = {"version": monitor.__version__, "machine": machine()}
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as place:
        timed = stages(Path(place), args.frames)
    medians = {name: statistics.median(values) for name, values in timed.times.items()}
    for name, values in timed.times.items():
        low, high = np.percentile(values, [5, 95])
        print(f"{name:34} {medians[name]:8.2f} ms   (5-95 %: {low:.2f}-{high:.2f})")
    overhead = sum(v for n, v in medians.items() if n not in ("network", "segment: all, network included"))
    print(f"{'everything except the network':34} {overhead:8.2f} ms = {overhead / medians['network']:.2f} x network")
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as place:
        latencies = live(Path(place), args.rate, args.seconds)
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    print(f"file closed -> estimate published at {args.rate} frames/s, settle {SETTLE_S} s, {len(latencies)} frames:")
    print(f"  p50 {p50:.2f} s   p95 {p95:.2f} s   p99 {p99:.2f} s")
    report["measures"] = [
        {
            "name": "overhead_over_network", "ratio": overhead / medians["network"], "low": None, "high": None,
            "peer": "the segmentation network itself (PyTorch eager, same run)",
            "peer_version": report["machine"]["packages"]["torch"], "repeats": args.frames,
        }
    ]  # fmt: skip
    report["stages_ms"] = {
        n: {"median": medians[n], "p5_p95": np.percentile(v, [5, 95]).tolist()} for n, v in timed.times.items()
    }
    report["live"] = {
        "rate_per_s": args.rate,
        "settle_s": SETTLE_S,
        "frames": len(latencies),
        "p50_s": p50,
        "p95_s": p95,
        "p99_s": p99,
    }
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
