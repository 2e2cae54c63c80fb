"""The operator's page over a month of a full incubator: how soon it opens, how fast it answers, whether it grows.

    python benchmarks/bench_dashboard.py --json benchmarks/results/0.1.0/dashboard.json --soak-minutes 120

24 simulated flasks with a frame every 15 minutes for 30 days (69,120 estimates with 65 features each) are recorded
through the record's own interface; then `cellvigil dashboard` serves them as a process of its own.

Opening: everything that a browser asks for on opening a page, one after the other, over one connection: the page, its
style, scripts and pictures, its data, and the first message of `/live`. Drawing is not in it; the browser tests have
that. Series: parts of random length at random places, 1200 pixels wide, of random flasks, all quantities. Soak: tabs
listen, a predictor stores a frame a second, series are asked for, and the memory of the server's process is looked at
every few seconds; growth is the last fifth of the time against the second one (the first fills caches).
"""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import websockets
from rounds import parser, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cases.page_state import bring_in
from cases.wall_fleet import INTERVAL, record_wall, wall_plans, wall_row

from monitor.culture.settings import CultureSettings
from monitor.features.catalogue import BASE_POPULATION
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.workers.predictor import FlaskFolder

WIDTH_PX = 1200
START_S = 180.0
LOOK_S = 5.0
ASSET = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
IMPORTED = re.compile(rb'from "\./([^"]+)"|import "\./([^"]+)"')
DAY_S = 86_400.0


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--flasks", type=int, default=24)
    made.add_argument("--days", type=float, default=30.0)
    made.add_argument("--tabs", type=int, default=10, help="that listen during the soak")
    made.add_argument("--soak-minutes", type=float, default=1.0)
    made.add_argument("--asked", type=int, default=400, help="series that are asked for")
    args = made.parse_args()
    frames = round(args.days * DAY_S / INTERVAL.total_seconds())
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as place:
        end = datetime.now(UTC).replace(microsecond=0)
        state, took_s = recorded(Path(place) / "state", args.flasks, frames, end)
        with served(state) as (url, process, start_s):
            measures = [
                told("record_s", [took_s], flasks=args.flasks, points=args.flasks * frames),
                told("start_s", [start_s]),
                *opening(url),
                series(url, "series_cold", args.flasks, frames, end),
                series(url, "series", args.asked, frames, end),
                *soak(url, process, state, args, end),
            ]
    write(args.json, [one for part in measures for one in part])


def recorded(place: Path, flasks: int, frames: int, end: datetime) -> tuple[StateFolder, float]:
    """Record the flasks; return the folder and the seconds that it took."""
    started = time.perf_counter()
    state = record_wall(place, wall_plans(flasks), frames, end)
    features = json.dumps({feature.name: 1234.567 for feature in BASE_POPULATION})
    with sqlite3.connect(state.record) as connection:  # rows as large as those of real frames
        connection.execute(
            "UPDATE culture_rows SET fact = json_set(fact, '$.features', json(?)) WHERE kind = 'frame'", (features,)
        )
    connection.close()
    return state, time.perf_counter() - started


@contextmanager
def served(state: StateFolder) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    """Serve a folder; give the address, the process, and the seconds until it was ready."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "services.main", "dashboard", "--state", str(state.root), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        url = "http" + process.stdout.readline().split("http", 1)[1].split()[0].rstrip("/")
        while httpx.get(f"{url}/readyz").status_code != 200:
            if time.perf_counter() - started > START_S:
                raise TimeoutError("the page does not become ready")
            time.sleep(0.02)
        yield url, process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(20)


def opening(url: str) -> Iterator[list[dict[str, Any]]]:
    """Measure how long a browser with an empty cache waits for all that it asks for."""
    flask = httpx.get(f"{url}/api/v1/fleet").json()["flasks"][0]["flask"]
    name = quote(flask, safe="")
    pages = {
        "open_fleet_s": ("/", ["/api/v1/fleet"]),
        "open_flask_s": (f"/flasks/{name}", ["/api/v1/fleet", f"/api/v1/flasks/{name}/series?width={WIDTH_PX}"]),
    }
    both = []
    for measure, (page, asked) in pages.items():
        times = [_opened(url, page, asked) for _ in range(7)]
        both.append(float(np.median(times)))
        yield told(measure, times)
    yield told("open_s", [max(both)])


def _opened(url: str, page: str, asked: list[str]) -> float:
    started = time.perf_counter()
    with httpx.Client(base_url=url) as client:
        found, seen = ASSET.findall(client.get(page).content), set()
        while found:
            path = found.pop().decode()
            if path in seen:
                continue
            seen.add(path)
            body = client.get(path).content
            if path.endswith(".js"):
                folder = path.rsplit("/", 1)[0]
                found += [f"{folder}/{(a or b).decode()}".encode() for a, b in IMPORTED.findall(body)]
        for path in asked:
            assert client.get(path).status_code == 200

    async def first() -> None:
        async with websockets.connect(url.replace("http", "ws", 1) + "/live", origin=url, max_size=None) as socket:
            await socket.recv()

    asyncio.run(first())
    return time.perf_counter() - started


def series(url: str, name: str, count: int, frames: int, end: datetime) -> list[dict[str, Any]]:
    """Measure the time of an answer, milliseconds: of each flask for the first time, or of random ones."""
    rng = np.random.default_rng(11)
    times = []
    with httpx.Client(base_url=url, timeout=60.0) as client:
        flasks = [quote(tile["flask"], safe="") for tile in client.get("/api/v1/fleet").json()["flasks"]]
        for number in range(count):
            flask = flasks[number % len(flasks)]
            length = DAY_S * float(np.exp(rng.uniform(np.log(0.2), np.log(30.0))))
            to = end.timestamp() - float(rng.uniform(0.0, max(frames * INTERVAL.total_seconds() - length, 0.0)))
            wanted = {"width": WIDTH_PX} | ({} if name == "series_cold" else {"from": to - length, "to": to})
            started = time.perf_counter()
            answer = client.get(f"/api/v1/flasks/{flask}/series", params=wanted)
            times.append(1000.0 * (time.perf_counter() - started))
            assert answer.status_code == 200
    return [*told(f"{name}_median_ms", times), *told(f"{name}_p95_ms", [float(np.percentile(times, 95))])]


def soak(url: str, process: subprocess.Popen[str], state: StateFolder, args: Any, end: datetime) -> Iterator[list]:  # noqa: ANN401 (argparse's own)
    """Let tabs listen while frames are stored; measure memory, and how late tabs are told."""
    stop, stored, late, sizes = threading.Event(), {}, [], []
    writer = threading.Thread(target=_write, args=(state, end, stop, stored))
    frames = round(args.days * DAY_S / INTERVAL.total_seconds())
    asker = threading.Thread(target=_ask, args=(url, frames, end, stop))
    minutes = args.soak_minutes

    async def listen() -> None:
        async with websockets.connect(url.replace("http", "ws", 1) + "/live", origin=url, max_size=None) as socket:
            while not stop.is_set():
                message = json.loads(await socket.recv())
                now = time.monotonic()
                late.extend(now - stored[one] for one in message.get("new_frames", ()) if one in stored)

    async def run() -> None:
        tabs = [asyncio.create_task(listen()) for _ in range(args.tabs)]
        await asyncio.sleep(1.0)
        writer.start()
        asker.start()
        until = time.monotonic() + 60.0 * minutes
        while time.monotonic() < until:
            sizes.append(_mebibytes(process.pid))
            await asyncio.sleep(min(LOOK_S, 6.0 * minutes))
        stop.set()
        for tab in tabs:
            tab.cancel()
        await asyncio.gather(*tabs, return_exceptions=True)

    asyncio.run(run())
    writer.join()
    asker.join()
    fifth = max(1, len(sizes) // 5)
    grown = float(np.median(sizes[-fifth:]) - np.median(sizes[fifth : 2 * fifth]))
    yield told("memory_mib", sizes, tabs=args.tabs, minutes=minutes)
    yield told("memory_growth_mib", [grown], frames_stored=len(stored))
    yield told("live_late_p95_s", [float(np.percentile(late, 95))], told=len(late))


def _write(state: StateFolder, end: datetime, stop: threading.Event, stored: dict[str, float]) -> None:
    """Store a frame a second, each flask in turn."""
    folder, number = FlaskFolder(CultureSettings()), 0
    with SqliteRecord(state.record) as record:
        flasks = record.flasks()
        while not stop.wait(1.0):
            at = end + INTERVAL * (1 + number // len(flasks)) + timedelta(seconds=1)
            row = wall_row(flasks[number % len(flasks)], at, 300 + number % 50)
            bring_in(record, folder, row)
            stored[row.frame_id] = time.monotonic()
            number += 1


def _ask(url: str, frames: int, end: datetime, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        series_quietly(url, frames, end)


def series_quietly(url: str, frames: int, end: datetime) -> None:
    """Ask for a part of a flask's course, as somebody who looks around does."""
    rng = np.random.default_rng(time.monotonic_ns() % 2**32)
    with httpx.Client(base_url=url, timeout=60.0) as client:
        flasks = [quote(tile["flask"], safe="") for tile in client.get("/api/v1/fleet").json()["flasks"]]
        first = end.timestamp() - float(rng.uniform(0.0, frames * INTERVAL.total_seconds()))
        client.get(f"/api/v1/flasks/{rng.choice(flasks)}/series", params={"width": WIDTH_PX, "from": first})


def _mebibytes(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024.0


def told(name: str, values: list[float], **more: float) -> list[dict[str, Any]]:
    """Return one measure as a list, and print it: median, 5th and 95th percentile."""
    low, value, high = np.percentile(values, [5, 50, 95]).tolist()
    print(f"{name:24} {value:10.3f}  ({low:.3f} to {high:.3f})", flush=True)
    row = {"name": name, "value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "repeats": len(values)}
    return [row | more]


if __name__ == "__main__":
    main()
