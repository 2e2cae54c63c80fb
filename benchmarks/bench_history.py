"""What a long history costs: a state folder with a million estimates, looked at by `status`, the live table and `run`.

    python benchmarks/bench_history.py --json benchmarks/results/0.2.0/history.json

24 flasks with two positions, a frame every quarter of an hour, as ledger and record hold them (made by SQL, not by
frames; rows of the flasks' histories and estimates, no label images). `status` is the command in a process of its own;
a refresh is one look of the live table and its drawing; the start of `run` ends when ingester, segmenter and predictor
say that they are ready; memory is that of the largest of these processes ten seconds after. The peer is to read every
estimate, which is what each of these did before.
"""

import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rounds import measure, parser, seconds, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cases.sample_messages import ESTIMATED, NOON, arrived, digest
from cases.wall_fleet import wall_row

from services.chain.run import run
from services.chain.supervisor import Supervisor
from services.settings import load_settings
from services.state_folder import StateFolder
from services.store.fleet import Fleet, fleet_table
from services.store.ledger import Ledger
from services.store.record_flask import sortable
from services.store.record_sqlite import SqliteRecord
from services.store.record_view import viewed_record
from services.transport.redis_streams import RedisBus
from services.transport.server import server_status

FLASKS = 24
POSITIONS = ("p1", "p2")
STAGES = {"ingester", "segmenter", "predictor"}
INTERVAL = timedelta(minutes=15)
ID, FLASK, AT, TIME_POINT = "1" * 64, "flask-name", "2026-03-10T12:00:00Z", "20260310T120000Z"
STARTED_S = 120.0


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--estimates", type=int, default=1_000_000)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--folder", type=Path, help="where to make the state folder, to use it again; else it is removed")
    args = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="cellvigil-history-") as name:
        folder = args.folder or Path(name)
        state = StateFolder(folder / "state")
        if not state.record.exists():
            print(f"{fill(state, args.estimates)} estimates made", flush=True)
        write(args.json, look(folder, state, args.rounds), estimates=args.estimates, flasks=FLASKS)


def look(folder: Path, state: StateFolder, rounds: int) -> list[dict]:
    """Return the measures."""
    with SqliteRecord(state.record, readonly=True) as record:
        every = [seconds(lambda: [None for flask in record.flasks() for _ in record.estimates(flask)])]
    peers = {"against": "reading every estimate", "version": "0.1.0's way"}
    command = [sys.executable, "-m", "services.main", "status", "--state", str(state.root)]
    status = [seconds(lambda: subprocess.run(command, capture_output=True, check=False)) for _ in range(rounds)]
    fleet = Fleet()
    first = [seconds(lambda: refreshed(state, fleet))]
    refreshes = [seconds(lambda: refreshed(state, fleet)) for _ in range(rounds * 4)]
    start(folder, state)  # engines are made and kept the first time
    started, memory = start(folder, state)
    print(f"memory of the largest process of a run: {memory:.0f} MiB", flush=True)
    measures = [
        measure("status", status, every * len(status), **peers),
        measure("live_table_first", first, every, **peers),
        measure("live_table_refresh", refreshes, every * len(refreshes), **peers),
        measure("start_of_run", [started], every, **peers),
    ]
    measures[-1]["largest_process_mib"] = round(memory)
    return measures


def refreshed(state: StateFolder, fleet: Fleet) -> None:
    """Draw the live table once."""
    with viewed_record(state.record) as record:
        assert record is not None
        table = fleet_table(fleet.lines(record), NOON)
    Console(file=io.StringIO(), width=160).print(table)


def start(folder: Path, state: StateFolder) -> tuple[float, float]:
    """Return seconds until a run is ready, and the resident memory of its largest process in MiB."""
    watch = folder / "watch"
    watch.mkdir(exist_ok=True)
    settings = load_settings(None, {"state": state.root, "watch": {"folder": watch}, "notifier": {"terminal": False}})
    stop, ready, begun, largest = threading.Event(), [], time.monotonic(), [0.0]

    def tick(supervisor: Supervisor) -> None:
        server = server_status(state.root)
        if server is None or time.monotonic() - begun > STARTED_S:
            return
        with closing(RedisBus(server.url)) as bus:
            told = bus.statuses()
        stages = {name.partition("/")[0] for name, status in told.items() if status.get("state") != "warming"}
        if stages >= STAGES and not ready:
            ready.append(time.monotonic() - begun)
        if ready and time.monotonic() - begun > ready[0] + 10.0:
            largest[0] = max(resident_mib(pid) for pid in supervisor.process_ids().values())
            stop.set()

    run(settings, stop, until_idle_s=None, tick=tick)
    return ready[0], largest[0]


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fill(state: StateFolder, estimates: int) -> int:
    """Make ledger and record; return how many estimates they hold."""
    state.create()
    Ledger(state.ledger).close()
    SqliteRecord(state.record).close()
    series = [(f"MSC-{number:02}", position) for number in range(FLASKS) for position in POSITIONS]
    times = -(-estimates // len(series))
    estimate, message, row = templates()
    with closing(sqlite3.connect(state.record)) as record, closing(sqlite3.connect(state.ledger)) as ledger:
        for index in range(times):
            at = NOON - (times - index) * INTERVAL
            stored, point = sortable(at), f"{at:%Y%m%dT%H%M%SZ}"
            facts = []
            for flask, position in series:
                frame_id = digest(f"{flask}/{position}/{index}")
                moments = ((AT, f"{at:%Y-%m-%dT%H:%M:%SZ}"), (TIME_POINT, point))
                swaps = ((ID, frame_id), (FLASK, flask), ("p1", position), *moments)
                facts.append((frame_id, flask, position, *(swapped(text, swaps) for text in (estimate, message, row))))
            record.executemany(
                "INSERT INTO estimates VALUES (?, ?, ?, 0, ?)", [(f[0], f[1], stored, f[3]) for f in facts]
            )
            record.executemany(
                "INSERT INTO culture_rows VALUES (?, ?, ?, 'frame', ?)", [(f[0], f[1], stored, f[5]) for f in facts]
            )
            ledger.executemany(
                "INSERT INTO files VALUES (NULL, ?, 1000, 1, ?, 'settled', '', '', ?, ?, 'phase', ?, ?, ?, ?, ?)",
                [(f"{f[1]}/{f[2]}/{point}.tif", f[0], f[1], f[2], point, stored, stored, f[4], stored) for f in facts],
            )
        record.commit()
        ledger.commit()
    return times * len(series)


def templates() -> list[str]:
    """Return estimate, arrival and row of a history as JSON, with names to put others in place of."""
    fact = arrived(flask=FLASK)
    row = wall_row(FLASK, NOON, 300)
    texts = (ESTIMATED.model_dump_json(), fact.model_dump_json(), row.model_dump_json())
    known = json.loads(texts[0])["frame_id"], fact.frame_id, row.row_id
    swaps = [*((one, ID) for one in known), ("A1", FLASK)]
    return [swapped(text, swaps) for text in texts]


def swapped(text: str, swaps: Sequence[tuple[str, str]]) -> str:
    """Return a text with others in place of names."""
    for old, new in swaps:
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    main()
