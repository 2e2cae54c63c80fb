import time
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.errors import SettingsError
from services.chain import replay
from services.chain.replay import SLICES, natural, replay_folder, write_slowly


def series(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"content of {name}".encode())
    return folder


def played(into: Path) -> dict[str, str]:
    return {
        file.relative_to(into).as_posix(): file.read_text().removeprefix("content of ")
        for file in sorted(into.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the names in the order in which they are written."""
    names: list[str] = []
    write = replay.write_slowly

    def noted(target: Path, content: bytes, *, pause_s: float) -> None:
        names.append("/".join(target.parts[-3:]))
        write(target, content, pause_s=0.0)

    monkeypatch.setattr(replay, "write_slowly", noted)
    return names


def watched(target: Path, seen: list[tuple[int, bool]]) -> Callable[[float], None]:
    """Look at every pause how large the temporary file is, and whether the real one is there."""

    def look(pause_s: float) -> None:
        seen.append((target.with_name(f".{target.name}.part").stat().st_size, target.exists()))

    return look


def test_a_file_grows_under_a_temporary_name_and_is_renamed_when_it_is_whole(tmp_path: Path) -> None:
    target, seen = tmp_path / "deep" / "frame.tif", list[tuple[int, bool]]()
    content = bytes(range(250)) * 4
    write_slowly(target, content, pause_s=1.0, pause=watched(target, seen))
    assert target.read_bytes() == content
    assert seen == [(250 * piece, False) for piece in range(1, SLICES + 1)]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("size", [0, 1, 3, 5, 1001])
def test_files_of_any_size_arrive_whole(tmp_path: Path, size: int) -> None:
    target = tmp_path / "frame.tif"
    content = bytes(number % 251 for number in range(size))
    pauses: list[float] = []
    write_slowly(target, content, pause_s=0.5, pause=pauses.append)
    assert target.read_bytes() == content
    assert len(pauses) <= SLICES
    assert set(pauses) <= {0.5}


def test_what_an_interrupted_write_left_does_no_harm(tmp_path: Path) -> None:
    target = tmp_path / "frame.tif"
    target.with_name(".frame.tif.part").write_bytes(b"a longer piece of something else")
    write_slowly(target, b"short", pause_s=0.0)
    assert target.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [target]


def test_names_that_fit_the_layout_are_kept(tmp_path: Path) -> None:
    names = ("A1/p1/20260310T120000Z.tif", "A1/p2/20260310T120000Z.tif", "B/p1/20260310T121500Z.png")
    assert replay_folder(series(tmp_path / "in", *names), tmp_path / "out", rate=1e6) == 3
    assert played(tmp_path / "out") == {name: name for name in names}


def test_other_names_become_time_points_in_natural_order(tmp_path: Path, writes: list[str]) -> None:
    series(tmp_path / "T98G", "t10.tif", "t2.png", "t1.tif")
    assert replay_folder(tmp_path / "T98G", tmp_path / "out", rate=1e6) == 3
    assert writes == [
        "T98G/p1/20260310T080000Z.tif",
        "T98G/p1/20260310T081500Z.png",
        "T98G/p1/20260310T083000Z.tif",
    ]
    assert list(played(tmp_path / "out").values()) == ["t1.tif", "t2.png", "t10.tif"]


def test_flask_position_and_interval_are_given(tmp_path: Path) -> None:
    series(tmp_path / "in", "a.TIF", "A1/p1/20260310T120000Z.tif")
    replay_folder(tmp_path / "in", tmp_path / "out", rate=1e6, flask="X", position="q", interval_s=60.0)
    assert played(tmp_path / "out") == {
        "X/q/20260310T080000Z.tif": "A1/p1/20260310T120000Z.tif",
        "X/q/20260310T080100Z.tif": "a.TIF",
    }


def test_only_images_that_fit_the_pattern_are_played(tmp_path: Path) -> None:
    series(tmp_path / "in", "t1.tif", "t2.tif", "notes.txt", "mask.png")
    (tmp_path / "in" / "folder.tif").mkdir()
    assert replay_folder(tmp_path / "in", tmp_path / "out", rate=1e6, pattern="t*") == 2
    assert list(played(tmp_path / "out").values()) == ["t1.tif", "t2.tif"]


def test_a_folder_without_images_is_an_error_that_names_it(tmp_path: Path) -> None:
    series(tmp_path / "in", "notes.txt")
    with pytest.raises(SettingsError, match="in holds no TIFF or PNG") as wrong:
        replay_folder(tmp_path / "in", tmp_path / "out", rate=1.0)
    assert wrong.value.reason == "no_frames"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_no_rate_is_an_error(tmp_path: Path, rate: float) -> None:
    series(tmp_path / "in", "t1.tif")
    with pytest.raises(SettingsError, match="--rate") as wrong:
        replay_folder(tmp_path / "in", tmp_path / "out", rate=rate)
    assert wrong.value.reason == "rate"


def test_frames_come_at_the_rate_that_was_asked(tmp_path: Path) -> None:
    series(tmp_path / "in", *(f"t{number}.tif" for number in range(7)))
    started = time.monotonic()
    replay_folder(tmp_path / "in", tmp_path / "out", rate=20.0)
    # six intervals of 50 ms; writing counts as part of them
    assert 0.3 <= time.monotonic() - started < 1.5


def test_the_source_is_left_as_it_was(tmp_path: Path) -> None:
    series(tmp_path / "in", "t1.tif", "t2.tif")
    replay_folder(tmp_path / "in", tmp_path / "out", rate=1e6)
    assert list(played(tmp_path / "in")) == ["t1.tif", "t2.tif"]


@pytest.mark.parametrize(
    "names",
    [["t2", "t10"], ["a9b2", "a9b11", "a10b1"], ["1", "a"], ["p1/t9", "p2/t1", "p10/t1"], ["t1", "t1²2", "t2"]],
)
def test_numbers_in_names_sort_as_numbers(names: list[str]) -> None:
    paths = [Path(name) for name in names]
    assert sorted(set(paths), key=natural) == paths
