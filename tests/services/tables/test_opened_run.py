"""What a run kept, read from Python: the same numbers as the record, typed, with units, beside a writer."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cases.finished_run import FAILED, record_run

from monitor.errors import FrameRejected, SettingsError
from monitor.features.catalogue import CELL, POPULATION
from services import open_state
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.tables.opened_run import OpenedRun

TABLES = ("results", "frames", "estimates", "alarms", "drifts", "failures")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> StateFolder:
    return record_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run(state: StateFolder) -> Iterator[OpenedRun]:
    with open_state(state.root) as opened:
        yield opened


def test_estimates_are_those_of_the_record(run: OpenedRun, state: StateFolder):
    estimates = run.estimates()

    with SqliteRecord(state.record, readonly=True) as record:
        stored = record.estimates()
    assert estimates["frame_id"].tolist() == [fact.frame_id for fact in stored]
    assert estimates["acquired_at"].tolist() == [fact.acquired_at for fact in stored]
    assert estimates["n_cells"].tolist() == [fact.n_cells for fact in stored]
    potencies = np.array([np.nan if fact.estimate.potency is None else fact.estimate.potency for fact in stored])
    np.testing.assert_array_equal(estimates["potency"].to_numpy(), potencies)
    assert estimates["reason"].iloc[2] == "out_of_focus"
    assert np.isnan(estimates["potency"].iloc[2])


def test_a_flask_can_be_asked_for_alone(run: OpenedRun):
    assert run.flasks() == ["A1", "B2"]
    assert set(run.estimates("B2")["flask"]) == {"B2"}
    assert len(run.frames("A1")) == 4


def test_frames_hold_the_features_that_the_run_measured_and_no_empty_columns_of_others(run: OpenedRun):
    frames = run.frames()

    assert set(frames["state"]) == {"ok", "out_of_focus"}
    assert frames["area_median"].between(300.0, 20_000.0).all()
    assert "haralick_entropy_median" in {feature.name for feature in POPULATION}
    assert "haralick_entropy_median" not in frames
    assert frames["pixel_size_um"].notna().all()


def test_columns_are_typed_and_have_units(run: OpenedRun):
    frames = run.frames()

    assert str(frames["acquired_at"].dtype) == "datetime64[us, UTC]"
    assert {str(frames[name].dtype) for name in ("flask", "source")} == {"string"}
    assert str(frames["n_cells"].dtype) == "Int64"
    assert frames.attrs["units"]["area_median"] == "um2"
    assert "flask" not in frames.attrs["units"]


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_every_table_are_explained(run: OpenedRun, table: str):
    about = run.columns()
    known = about[about["table"] == table]

    names = list(getattr(run, table)().columns)

    assert [name for name in known["name"] if name in names] == names
    assert (known["definition"].str.len() > 5).all()


def test_results_tell_of_every_frame(run: OpenedRun):
    results = run.results()

    assert len(results) == 6
    assert results["state"].isin(["ok", "not_assessable"]).all()
    assert results["n_cells"].gt(0).all()


def test_failures_tell_of_frames_that_never_arrived_too(run: OpenedRun):
    failures = run.failures()

    assert failures[["frame_id", "stage", "reason"]].to_numpy().tolist() == [[FAILED, "segmenter", "vanished"]]


def test_tables_without_rows_keep_their_columns(run: OpenedRun):
    drifts = run.drifts()

    assert len(drifts) == 0
    assert str(drifts["at"].dtype) == "datetime64[us, UTC]"
    assert {"statistic", "limit"} <= set(drifts.columns)


def test_frame_labels_and_cells_belong_together(run: OpenedRun):
    row = run.frames("A1").iloc[0]

    frame, masks, cells = (ask(row["frame_id"]) for ask in (run.frame, run.labels, run.cells))

    assert frame.shape == masks.cells.shape == masks.nuclei.shape == (512, 512)
    assert masks.cells.dtype == masks.nuclei.dtype == np.int32
    assert masks.cells.max() == row["n_cells"] == len(cells)
    assert masks.quality.passes
    assert cells["cell"].tolist() == list(range(1, len(cells) + 1))
    assert {feature.name for feature in CELL} <= set(cells.columns)
    areas = np.bincount(masks.cells.ravel())[1:] * frame.pixel_size_um**2
    np.testing.assert_allclose(cells["area"], areas)
    assert not {"track", "speed"} & set(cells.columns)


def test_unknown_frame_is_said(run: OpenedRun):
    with pytest.raises(FrameRejected, match="no frame 'zz' was segmented") as caught:
        run.labels("zz")

    assert caught.value.reason == "no_frame"


def test_polars_has_the_same_tables(state: StateFolder, run: OpenedRun):
    with open_state(state.root, library="polars") as opened:
        for name in TABLES:
            ours, theirs = getattr(opened, name)(), getattr(run, name)()
            assert ours.columns == list(theirs.columns)
            assert ours.height == len(theirs)
        estimates = opened.estimates()

    assert str(estimates.schema["acquired_at"]) == "Datetime(time_unit='us', time_zone='UTC')"
    assert estimates["potency"].null_count() == int(run.estimates()["potency"].isna().sum())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_missing_library_names_its_extra(state: StateFolder, library: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(SettingsError, match=rf"pip install 'cellvigil\[{library}\]'") as caught:
        open_state(state.root, library=library)

    assert caught.value.reason == "data_frames"


def test_unknown_library_is_refused(state: StateFolder):
    with pytest.raises(SettingsError, match="choose pandas or polars"):
        open_state(state.root, library="arrow")


def test_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="holds no"):
        open_state(tmp_path)


def test_it_reads_beside_a_writer_and_writes_nothing(state: StateFolder, tmp_path: Path):
    copied = shutil.copytree(state.root, tmp_path / "state")
    with SqliteRecord(copied / "record.sqlite3") as record, open_state(copied) as opened:
        before = len(opened.failures())
        stored = record.failures()[0]
        record.put_failure(stored.model_copy(update={"frame_id": "e" * 64}))

        assert len(opened.failures()) == before + 1
        with record.flask("A1"):  # a write transaction is under way
            assert len(opened.estimates()) == 6


def test_closed_run_cannot_be_read(state: StateFolder):
    with open_state(state.root) as opened:
        assert opened.flasks()

    with pytest.raises(sqlite3.ProgrammingError):
        opened.flasks()


def test_frames_that_moved_are_found_where_one_says(state: StateFolder, tmp_path: Path):
    moved = shutil.copytree(state.root.parent / "frames", tmp_path / "elsewhere")
    copied = shutil.copytree(state.root, tmp_path / "state")
    (copied / "settings.json").unlink()
    with open_state(copied) as opened, pytest.raises(SettingsError, match="give open_state the folder as watch"):
        opened.frame(opened.frames()["frame_id"].iloc[0])

    with open_state(copied, watch=moved) as opened:
        assert opened.frame(opened.frames()["frame_id"].iloc[0]).shape == (512, 512)


def test_state_without_a_ledger_has_frames_and_no_results(state: StateFolder, tmp_path: Path):
    copied = shutil.copytree(state.root, tmp_path / "state")
    for file in copied.glob("ledger.sqlite3*"):
        file.unlink()

    with open_state(copied) as opened:
        assert len(opened.results()) == 0
        assert len(opened.frames()) == 6
        assert opened.failures()["frame_id"].tolist() == [FAILED]


def test_asking_services_for_its_door_imports_it_only_then():
    question = (
        "import sys, services; before = 'services.tables.opened_run' in sys.modules; services.open_state;"
        "print(before, [name for name in ('torch', 'lightgbm', 'pandas', 'polars') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "False []"
