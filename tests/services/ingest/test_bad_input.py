"""Everything that may lie in a folder beside good frames: each refused for its own reason, and nothing harmed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cases.bad_files import (
    BAD_FILES,
    HOSTILE_NAME,
    good_bytes,
    good_frame,
    png_20000_squared,
    truncated_png,
    without_size,
)
from cases.ingest_run import name_of, place

GOOD = [name_of(flask, number) for flask in ("A", "B", HOSTILE_NAME) for number in range(4)]
FILE = Path(name_of("x", 0)).name
ROOM_MB = 150

CHILD = """
import json, re, sys
from pathlib import Path
from cases.ingest_run import Chain

chain = Chain(Path(sys.argv[1]))
chain.finish(idle_s=1.0)
# of this program alone; getrusage would count what its parent used before it
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
keys = [frame.key.flask for frame in chain.queued()]
rows = [(row.source, row.state, row.reason, row.detail) for row in chain.rows()]
print(json.dumps({"peak_mb": int(peak[1]) / 1024, "sources": chain.sources(), "flasks": keys, "rows": rows}))
"""


@dataclass(frozen=True)
class Outcome:
    peak_mb: float
    sources: list[str]
    flasks: list[str]
    reasons: dict[str, str]
    details: dict[str, str]
    states: dict[str, str]


def ingested(home: Path) -> Outcome:
    """Run an ingester over a folder in a process of its own until it has decided everything."""
    tests = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tests), str(tests.parent)))}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(home)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Outcome(
        peak_mb=found["peak_mb"],
        sources=found["sources"],
        flasks=found["flasks"],
        reasons={source: reason for source, state, reason, _ in found["rows"] if state == "quarantined"},
        details={source: detail for source, state, _, detail in found["rows"] if state == "quarantined"},
        states={source: state for source, state, _, _ in found["rows"]},
    )


def put_good_frames(home: Path) -> None:
    for seed, name in enumerate(GOOD):
        place(home / "watched" / name, good_bytes(seed))


def put_everything_else(home: Path) -> dict[str, str]:
    """Write one file of every bad kind; return the reason that each has to be refused for, by source."""
    expected: dict[str, str] = {}
    root = home / "watched"
    for kind, (write, reason) in BAD_FILES.items():
        path = root / f"bad {kind}" / "p1" / FILE
        path.parent.mkdir(parents=True)
        write(path)
        # some say no size of their own, and are to be refused for what they do
        path.with_name("cellvigil.json").write_text('{"pixel_size_um": 0.87}')
        expected[path.relative_to(root).as_posix()] = reason
    for name, write, reason in (
        ("png/p1/20260310T120000Z.png", png_20000_squared, "too_large"),
        ("png/p1/20260310T121500Z.png", truncated_png, "truncated"),
        ("png/p1/20260310T123000Z.png", good_frame, "wrong_extension"),
        ("A/p1/20260310T120000Z.jpg", good_frame, "unsupported_format"),
        (f"C/p1/{FILE}", without_size, "no_pixel_size"),
        ("A/p1/movie.nd2", good_frame, "unsupported_format"),
        ("A/p1/20260310T120000.tif", good_frame, "layout"),
        ("20260310T120000Z.tif", good_frame, "layout"),
        (f"{HOSTILE_NAME}\n/p1/{FILE}", good_frame, "bad_name"),
        (f"\u202egnp.{HOSTILE_NAME}/p1/{FILE}", good_frame, "bad_name"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write(root / name)
        expected[name] = reason
    undecodable = os.fsencode(root) + b"/\xff\xfe/p1/"
    place(Path(os.fsdecode(undecodable + FILE.encode())), good_bytes(70))
    expected[f"\\xff\\xfe/p1/{FILE}"] = "bad_name"
    away = home / "away"
    away.mkdir()
    good_frame(away / "outside.tif", seed=991)
    (root / "linked folder").symlink_to(away)
    expected["linked folder"] = "symlink"
    return expected


def put_what_is_left_alone(home: Path) -> None:
    root = home / "watched"
    for name in (".hidden/p1/a.tif", "A/p1/.20260310T120000Z.tif", "A/p1/x.tif.part", "notes.txt", "A/metadata.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("not a frame")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outcome, Outcome, dict[str, str]]]:
    good, both = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("both")
    for home in (good, both):
        (home / "watched").mkdir()
        put_good_frames(home)
    expected = put_everything_else(both)
    put_what_is_left_alone(both)
    yield ingested(good), ingested(both), expected


def test_every_good_frame_is_delivered_and_nothing_else(matrix: tuple[Outcome, Outcome, dict[str, str]]) -> None:
    good, both, _ = matrix

    assert sorted(good.sources) == sorted(GOOD)
    assert sorted(both.sources) == sorted(GOOD)
    assert set(good.flasks) == {"A", "B", HOSTILE_NAME}


def test_every_bad_file_is_refused_for_its_own_reason(matrix: tuple[Outcome, Outcome, dict[str, str]]) -> None:
    _, both, expected = matrix

    assert both.reasons == expected
    assert len(set(both.reasons.values())) >= 20


def test_nothing_else_was_looked_at(matrix: tuple[Outcome, Outcome, dict[str, str]]) -> None:
    _, both, expected = matrix

    assert set(both.states) == set(expected) | set(GOOD)


def test_every_refusal_names_the_file_on_one_harmless_line(matrix: tuple[Outcome, Outcome, dict[str, str]]) -> None:
    _, both, _ = matrix

    for source, detail in both.details.items():
        assert detail.isprintable()
        assert Path(source).name in detail or repr(source)[1:-1] in detail or ascii(source)[1:-1] in detail, source


def test_bombs_cost_no_memory(matrix: tuple[Outcome, Outcome, dict[str, str]]) -> None:
    good, both, _ = matrix

    assert good.peak_mb > 30.0
    assert both.peak_mb < good.peak_mb + ROOM_MB
