"""`cellvigil features`: what stands in the tables, against the library and against known cultures of discs."""

import csv
import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cases.command_line import command_line
from cases.phantoms import phantom
from cases.plain_engine import PIXEL_SIZE_UM, disc_grid, disc_pixels, plain_segmenter
from cases.small_frames import START
from click.testing import Result
from typer.testing import CliRunner

import monitor.segmentation.segmenter
from monitor.features.catalogue import CELL, FAMILIES, POPULATION
from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from services.main import app
from services.segmentation.files import write_labels
from services.tables.columns import TABLES

SAMPLES = "flask,donor,passage,lot,medium,stimulation,seeded_at\nA1,D7,3,L2,MEM,IFN,2026-03-09T08:00Z\n"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["features", *map(str, words)], catch_exceptions=False)


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def name_of(flask: str, hours: float, position: str = "p1") -> str:
    return f"{flask}/{position}/{START + timedelta(hours=hours):%Y%m%dT%H%M%SZ}"


def save(
    root: Path,
    name: str,
    pixels: np.ndarray,
    cells: np.ndarray,
    nuclei: np.ndarray | None = None,
    size: float = PIXEL_SIZE_UM,
) -> Path:
    """Write an image with its scale, and its label images in the folder beside."""
    image = root / "frames" / f"{name}.tif"
    image.parent.mkdir(parents=True, exist_ok=True)
    per_cm = 1e4 / size
    tifffile.imwrite(image, pixels, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", metadata=None)
    labels = root / "labels" / f"{name}_cells.tif"
    labels.parent.mkdir(parents=True, exist_ok=True)
    write_labels(labels, cells, size)
    if nuclei is not None:
        write_labels(labels.with_name(f"{image.stem}_nuclei.tif"), nuclei, size)
    return image


def labelled(places: list[tuple[float, float]], radius: float = 8.0) -> np.ndarray:
    y, x = np.mgrid[:160, :192]
    labels = np.zeros((160, 192), np.int32)
    for number, (row, column) in enumerate(places, start=1):
        labels[np.hypot(y - row, x - column) <= radius] = number
    return labels


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(1000.0, 20.0, (160, 192)).astype(np.uint16)


def growing(root: Path, flask: str, numbers: list[int], hours: float) -> None:
    """Write a flask whose cells stand still, one disc after another being added."""
    for step, number in enumerate(numbers):
        save(root, name_of(flask, step * hours), noise(), labelled(disc_grid(number)))


def test_tables_hold_what_the_library_measures_to_the_last_digit(tmp_path: Path) -> None:
    truth = phantom(4)
    names = 10 * truth.cells  # ids of a label image need not be without gaps
    save(tmp_path, "a", truth.pixels, names, truth.nuclei, truth.pixel_size_um)
    result = run(tmp_path / "frames" / "a.tif", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    assert result.exit_code == 0, result.output
    image = tifffile.TiffFile(tmp_path / "frames" / "a.tif")
    size = 1e4 / (image.pages[0].tags["XResolution"].value[0] / image.pages[0].tags["XResolution"].value[1])
    image.close()
    cells, frames = rows_of(tmp_path / "t" / "cells.csv"), rows_of(tmp_path / "t" / "frames.csv")
    expected = measure(Frame(truth.pixels, size), truth.cells, truth.nuclei, families=tuple(FAMILIES))
    assert len(cells) == len(expected.whole) > 10
    for feature in CELL:
        column = [float(row[feature.name]) if row[feature.name] else math.nan for row in cells]
        np.testing.assert_array_equal(column, expected.cells[feature.name], err_msg=feature.name)
    assert [int(row["cell"]) for row in cells] == [10 * number for number in range(1, len(cells) + 1)]
    assert [row["touches_border"] == "true" for row in cells] == (~expected.whole).tolist()
    assert float(cells[0]["centroid_y_um"]) == expected.centroids_um[0, 0]
    (frame,) = frames
    for feature in POPULATION:
        assert float(frame[feature.name]) == expected.population[feature.name], feature.name
    assert (int(frame["n_cells"]), frame["state"]) == (len(cells), "ok")
    assert (frame["focus"], frame["doubt"]) == ("", "")  # only the network can say
    assert frame["flask"] == frame["series_hours"] == ""  # the name says nothing
    assert not (tmp_path / "t" / "flasks.csv").exists()
    assert "no flasks.csv: no name says flask, position and time" in result.output


def test_columns_are_plain_names_and_described(tmp_path: Path) -> None:
    growing(tmp_path, "A1", [6, 9], 2.0)
    run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    described = rows_of(tmp_path / "t" / "columns.csv")
    for table, columns in TABLES.items():
        with (tmp_path / "t" / f"{table}.csv").open() as stream:
            header = next(csv.reader(stream))
        assert header == [column.name for column in columns]
        assert header == [row["name"] for row in described if row["table"] == table]
        assert len(set(header)) == len(header)
        assert all(name.isidentifier() for name in header)
    numbers = [row for row in described if row["name"] not in {c.name for c in TABLES["frames"] if c.kind == "text"}]
    assert all(row["definition"] and row["source"] for row in described)
    assert all(row["unit"] for row in numbers if row["name"] not in ("first_at", "last_at", "touches_border"))


def test_keys_and_samples_stand_in_the_rows(tmp_path: Path) -> None:
    growing(tmp_path, "A1", [6, 9], 2.0)
    growing(tmp_path, "B1", [5], 2.0)
    (tmp_path / "samples.csv").write_text(SAMPLES)
    places = ("--labels", tmp_path / "labels", "--out", tmp_path / "t", "--samples", tmp_path / "samples.csv")
    assert run(tmp_path / "frames", *places).exit_code == 0
    first, second, other = rows_of(tmp_path / "t" / "frames.csv")
    assert (first["flask"], first["position"], first["time_point"]) == ("A1", "p1", "20260310T080000Z")
    assert first["acquired_at"] == "2026-03-10T08:00:00+00:00"
    assert (float(first["series_hours"]), float(second["series_hours"])) == (0.0, 2.0)
    assert [second[name] for name in ("donor", "passage", "lot", "stimulation", "medium")] == [
        "D7",
        "3",
        "L2",
        "IFN",
        "MEM",
    ]
    assert float(second["hours_since_seeding"]) == 26.0
    assert (other["flask"], other["donor"], other["hours_since_seeding"]) == ("B1", "", "")
    flask, single = rows_of(tmp_path / "t" / "flasks.csv")
    assert (flask["flask"], flask["lot"], flask["frames"], float(flask["series_hours"])) == ("A1", "L2", "2", 2.0)
    assert (single["flask"], single["frames"], single["growth_rate"], single["speed"]) == ("B1", "1", "", "")
    for feature in POPULATION:
        assert single[feature.name] == other[feature.name], feature.name
        both = [float(row[feature.name]) for row in (first, second) if row[feature.name]]
        assert not both or float(flask[feature.name]) == pytest.approx(np.median(both)), feature.name


def test_a_flask_has_its_doubling_time(tmp_path: Path) -> None:
    growing(tmp_path, "A1", [3, 6, 12, 24], 20.0)
    run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    (flask,) = rows_of(tmp_path / "t" / "flasks.csv")
    assert float(flask["doubling_time"]) == pytest.approx(20.0)
    assert float(flask["speed"]) == 0.0
    cells = rows_of(tmp_path / "t" / "cells.csv")
    assert [int(row["track"]) for row in cells if row["time_point"] == "20260311T040000Z"] == [1, 2, 3, 4, 5, 6]


def test_moving_cells_have_their_speed_and_tracks(tmp_path: Path) -> None:
    for step in range(6):
        places = [(30 + 60 * row, 20 + 6 * step + 60 * column) for row in range(2) for column in range(2)]
        save(tmp_path, name_of("A1", 0.5 * step), noise(), labelled(places))
        save(tmp_path, name_of("A1", 0.5 * step, "p2"), noise(), labelled(places[:3]))
    run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    (flask,) = rows_of(tmp_path / "t" / "flasks.csv")
    assert float(flask["speed"]) == pytest.approx(12.0, rel=1e-3)
    assert float(flask["persistence"]) == pytest.approx(1.0)
    assert (flask["positions"], flask["frames"], float(flask["tracks"])) == ("2", "12", 7.0)
    cells = rows_of(tmp_path / "t" / "cells.csv")
    assert {int(row["track"]) for row in cells if row["position"] == "p1"} == {1, 2, 3, 4}
    assert {int(row["track"]) for row in cells if row["position"] == "p2"} == {5, 6, 7}
    assert all(row["speed"] == "" for row in cells if float(row["series_hours"]) == 0.0)


def test_names_that_only_count_need_an_interval(tmp_path: Path) -> None:
    for step in range(2):
        save(tmp_path, f"A1/run_t{step:04d}_p0000_c00_z000", noise(), labelled(disc_grid(4)))
    words = (tmp_path / "frames", "--labels", tmp_path / "labels", "--layout", "pymmcore-plus")
    assert run(*words, "--out", tmp_path / "without").exit_code == 0
    (flask,) = rows_of(tmp_path / "without" / "flasks.csv")
    assert (flask["frames"], flask["series_hours"], flask["growth_rate"]) == ("2", "", "")
    assert run(*words, "--interval", "1800", "--out", tmp_path / "with").exit_code == 0
    (flask,) = rows_of(tmp_path / "with" / "flasks.csv")
    assert float(flask["series_hours"]) == 0.5


def test_bad_files_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = save(tmp_path, "good", noise(), labelled(disc_grid(4)))
    torn = save(tmp_path, "torn", noise(), labelled(disc_grid(4)))
    torn.write_bytes(torn.read_bytes()[:4000])
    other = save(tmp_path, "other", noise()[:100], labelled(disc_grid(4)))
    bare = save(tmp_path, "bare", noise(), labelled(disc_grid(4)))
    (tmp_path / "labels" / "bare_cells.tif").unlink()
    gone = tmp_path / "frames" / "gone.tif"
    result = run(good, torn, other, bare, gone, "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    assert result.exit_code == 1
    assert [row["source"] for row in rows_of(tmp_path / "t" / "frames.csv")] == [str(good)]
    lines = result.output.replace("\n", " ")
    assert f"{gone}: there is no such file" in lines
    assert "torn.tif" in lines
    assert "segment the image anew" in lines
    assert "bare_cells.tif; make it with `cellvigil segment`" in lines


def test_a_name_that_does_not_fit_the_layout_asked_for_is_told(tmp_path: Path) -> None:
    image = save(tmp_path, "a", noise(), labelled(disc_grid(4)))
    words = (image, "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    assert run(*words).exit_code == 0
    result = run(*words, "--layout", "incucyte-export")
    assert result.exit_code == 1
    assert "does not fit the layout" in result.output


def test_two_images_of_one_place_and_time_are_told(tmp_path: Path) -> None:
    first = save(tmp_path, name_of("A1", 0.0), noise(), labelled(disc_grid(4)))
    again = first.with_suffix(".tiff")
    again.write_bytes(first.read_bytes())
    result = run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    assert result.exit_code == 1
    assert "leave one of them out" in result.output
    assert len(rows_of(tmp_path / "t" / "frames.csv")) == 1


def test_label_images_of_equal_names_must_lie_as_the_images_do(tmp_path: Path) -> None:
    for flask in ("A1", "B1"):
        save(tmp_path, name_of(flask, 0.0), noise(), labelled(disc_grid(4)))
    found = list((tmp_path / "labels").rglob("*_cells.tif"))
    found[0].rename(tmp_path / "labels" / found[0].name)
    found[1].unlink()
    result = run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    assert result.exit_code == 1
    assert "several images have the name" in result.output


def test_nuclei_are_cut_at_the_outlines_of_cells(tmp_path: Path) -> None:
    cells = np.zeros((160, 192), np.int32)
    cells[40:80, 20:60], cells[40:80, 60:100] = 5, 9
    nuclei = np.zeros_like(cells)
    nuclei[50:60, 55:65], nuclei[10:20, 10:20] = 1, 2  # across the border of two cells, and outside of all
    save(tmp_path, "a", noise(), cells, nuclei)
    assert run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t").exit_code == 0
    rows = rows_of(tmp_path / "t" / "cells.csv")
    assert [(row["cell"], float(row["nucleus_area"]), float(row["nucleus_count"])) for row in rows] == [
        ("5", pytest.approx(50.0, rel=1e-3), 1.0),
        ("9", pytest.approx(50.0, rel=1e-3), 1.0),
    ]


def test_without_labels_frames_are_segmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor.segmentation.segmenter, "load_segmenter", lambda weights, engine: plain_segmenter())
    image = save(tmp_path, "a", disc_pixels(disc_grid(7)), labelled([]))
    (tmp_path / "frames" / "a_cells.tif").write_bytes(image.read_bytes())  # what `segment` writes is no frame
    result = run(tmp_path / "frames", "--out", tmp_path / "t")
    assert result.exit_code == 0, result.output
    (frame,) = rows_of(tmp_path / "t" / "frames.csv")
    assert (frame["n_cells"], frame["n_nuclei"], frame["state"]) == ("7", "7", "ok")
    assert float(frame["focus"]) > 0.3
    assert frame["masks"] == "000000000000 plain"


def test_a_frame_that_should_not_be_relied_on_says_so_and_does_not_grow(tmp_path: Path) -> None:
    growing(tmp_path, "A1", [4, 8, 16], 10.0)
    white = noise()
    white[:, 60:] = 65535
    save(tmp_path, name_of("A1", 30.0), white, labelled(disc_grid(2)))
    result = run(tmp_path / "frames", "--labels", tmp_path / "labels", "--out", tmp_path / "t")
    assert "NOT TO BE RELIED ON: saturated" in result.output
    assert rows_of(tmp_path / "t" / "frames.csv")[-1]["state"] == "saturated"
    (flask,) = rows_of(tmp_path / "t" / "flasks.csv")
    assert (flask["frames"], flask["frames_used"]) == ("4", "3")
    confluency = [float(row["confluency"]) for row in rows_of(tmp_path / "t" / "frames.csv")[:3]]
    assert float(flask["confluency"]) == pytest.approx(np.median(confluency))
    assert float(flask["doubling_time"]) == pytest.approx(10.0)


def test_a_folder_may_be_named_by_a_link(tmp_path: Path) -> None:
    growing(tmp_path, "A1", [4], 1.0)
    (tmp_path / "link").symlink_to(tmp_path / "frames")
    assert run(tmp_path / "link", "--labels", tmp_path / "labels", "--out", tmp_path / "t").exit_code == 0
    (frame,) = rows_of(tmp_path / "t" / "frames.csv")
    assert (frame["flask"], frame["n_cells"]) == ("A1", "4")


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    result = run(tmp_path / "frames", "--labels", tmp_path, "--out", tmp_path / "t")
    assert result.exit_code == 1
    assert "no TIFF or PNG images" in result.output


@pytest.mark.parametrize("size", ["0", "-1", "nan", "1e9"])
def test_sizes_that_no_pixel_has_are_told(tmp_path: Path, size: str) -> None:
    growing(tmp_path, "A1", [4], 1.0)
    words = ("--labels", tmp_path / "labels", "--out", tmp_path / "t", "--pixel-size", size)
    result = run(tmp_path / "frames", *words)
    assert result.exit_code == 2 and "--pixel-size" in result.output
    assert not (tmp_path / "t").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    growing(tmp_path, "A1", [4], 1.0)
    (tmp_path / "file").write_text("mine")
    code, said = command_line("features", tmp_path / "frames", "--out", tmp_path / "file" / "t")
    assert code == 2 and "cannot be written (Not a directory); choose another --out" in said
