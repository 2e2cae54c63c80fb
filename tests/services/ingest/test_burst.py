"""Many frames at once: all found, each once, whether the ingester runs meanwhile or not."""

from collections import Counter
from pathlib import Path

import pytest
from alarm_receiver import wait_for
from cases.ingest_run import Chain, Stamp, name_of, place

from services.ingest.watcher import HINTS_MOST

pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")  # of watchdog, in its own thread
RUNNING, DOWN = 5000, 1000


def burst(root: Path, first: int, count: int) -> list[str]:
    """Write so many frames into new folders, ten to a position and two positions to a flask."""
    stamp = Stamp()
    names = []
    for number in range(first, first + count):
        flask, position, time_point = f"F{number // 20:04d}", f"p{number // 10 % 2}", number % 10
        names.append(name_of(flask, time_point, position))
        place(root / names[-1], stamp(number))
    return names


@pytest.mark.slow
@pytest.mark.alone
def test_burst_into_new_folders_and_one_while_nobody_looked(tmp_path: Path) -> None:
    # too rare a scan to help: the events and the looks into new folders have to find everything
    chain = Chain(tmp_path, rescan_s=600.0)
    with chain.running():
        wait_for(lambda: chain.ingester.idle())
        names = burst(chain.root, 0, RUNNING)
        wait_for(lambda: chain.count() >= RUNNING, 120.0)
        wait_for(lambda: chain.ingester.idle(), 30.0)
    assert Counter(chain.sources()) == Counter(names)
    assert "events_lost" not in chain.log.events()

    names += burst(chain.root, RUNNING, DOWN)
    chain.finish(idle_s=1.0)

    assert Counter(chain.sources()) == Counter(names)
    assert {tuple(states) for states in chain.states().values()} == {("queued",)}
    assert len({frame.frame_id for frame in chain.queued()}) == RUNNING + DOWN
    moments = [frame.acquired_at for frame in chain.queued()[RUNNING:]]
    assert moments == sorted(moments)


def test_more_files_than_events_are_kept_for_are_found_by_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.finder.Watcher.__init__.__kwdefaults__", {"hints_most": 5})
    assert HINTS_MOST > 5
    chain = Chain(tmp_path, rescan_s=600.0)
    with chain.running():
        wait_for(lambda: chain.ingester.idle())
        names = burst(chain.root, 0, 300)
        wait_for(lambda: chain.count() >= 300, 60.0)

    assert Counter(chain.sources()) == Counter(names)
    assert "events_lost" in chain.log.events()
