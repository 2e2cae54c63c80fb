"""Tables as people keep them: Parquet and CSV read to the same cells, and what is no table says so."""

import datetime
import decimal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.command_line import command_line
from cases.simulated_flasks import simulated_flasks, write_assays, write_features

from monitor.errors import SettingsError
from monitor.potency.model import load_model
from services.potency.table_file import read_table
from services.tables.columns import Column
from services.tables.files import open_table

FLASKS = simulated_flasks(donors=5, flasks=5, frames=2)


@pytest.fixture
def arrow() -> Any:
    pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    import pyarrow

    return pyarrow


def write(path: Path, columns: dict[str, Any], arrow: Any) -> Path:
    from pyarrow import parquet

    parquet.write_table(arrow.table(columns), path)
    return path


def same_as_parquet(csv_file: Path, arrow: Any) -> Path:
    """Write the cells of a CSV file as Parquet, numbers as numbers."""
    columns: dict[str, Any] = {}
    for name, texts in read_table(csv_file).columns.items():
        try:
            columns[name] = [float(text) for text in texts]
        except ValueError:
            columns[name] = texts
    return write(csv_file.with_suffix(".parquet"), columns, arrow)


def test_parquet_cells_are_text_as_in_csv(tmp_path: Path, arrow: Any) -> None:
    noon = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC)
    columns = {
        "flask": arrow.array(["A1", "A1", None]).dictionary_encode(),
        "area": [0.1 + 0.2, float("nan"), None],
        "passage": [3, 4, None],
        "assessed": [True, False, None],
        "acquired_at": [noon, None, noon],
        "dose": [decimal.Decimal("1.50"), None, decimal.Decimal("2.00")],
    }
    table = read_table(write(tmp_path / "t.parquet", columns, arrow))
    assert list(table.columns) == list(columns)
    assert table.columns["flask"] == ["A1", "A1", ""]
    assert table.columns["area"] == ["0.30000000000000004", "nan", ""]
    assert table.columns["passage"] == ["3", "4", ""]
    assert table.columns["assessed"] == ["True", "False", ""]
    assert datetime.datetime.fromisoformat(table.columns["acquired_at"][0]) == noon
    assert table.columns["dose"] == ["1.50", "", "2.00"]
    assert table.lines == [2, 3, 4]
    assert table.numbers("area", empty=True).tolist()[0] == 0.1 + 0.2
    assert np.isnan(table.numbers("area", empty=True)[1:]).all()


def test_tables_of_our_own_read_alike_in_both_forms(tmp_path: Path, arrow: Any) -> None:
    assert arrow
    columns = (
        Column("flask", "text", "", "", "t"),
        Column("n", "whole", "1", "", "t"),
        Column("area", "number", "um2", "", "t"),
    )
    for parquet in (False, True):
        with open_table(tmp_path, "t", columns, parquet=parquet) as table:
            table.add({"flask": "A1", "n": 3, "area": 1.2345678901234567e-300})
            table.add({"flask": "B2", "n": None, "area": float("nan")})
    plain, packed = read_table(tmp_path / "t.csv"), read_table(tmp_path / "t.parquet")
    for name in ("n", "area"):
        assert np.array_equal(plain.numbers(name, empty=True), packed.numbers(name, empty=True), equal_nan=True)
    assert plain.columns["flask"] == packed.columns["flask"]


@pytest.mark.slow
def test_a_model_of_parquet_tables_is_that_of_the_csv_tables(tmp_path: Path, arrow: Any) -> None:
    features = write_features(tmp_path / "features.csv", FLASKS)
    assays = write_assays(tmp_path / "assays.csv", FLASKS)
    models, predicted = [], []
    for number, (table, results) in enumerate(
        [(features, assays), (same_as_parquet(features, arrow), same_as_parquet(assays, arrow))]
    ):
        model, out = tmp_path / f"model{number}", tmp_path / f"pred{number}.csv"
        code, said = command_line(
            "train", "potency", table, "--assay", results, "--target", "IDO", "--group", "donor", "--out", model,
            "--threads", 1,
        )  # fmt: skip
        assert code == 0, said
        code, said = command_line("predict", model, table, "--out", out)
        assert code == 0, said
        models.append(load_model(model, rehearse=False))
        predicted.append(read_table(out))
    rows = np.array(FLASKS.rows[:10])
    assert np.array_equal(models[0].answers(rows)["IDO"], models[1].answers(rows)["IDO"])
    assert models[1].spec.biomarkers[0].unit == "pg/mL"
    for name in ("flask", "state", "reason", "estimate", "low", "high"):
        assert predicted[0].columns[name] == predicted[1].columns[name]


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path, arrow: Any) -> None:
    assert arrow
    for name, content in (("text", b"flask,area\nA1,3\n"), ("cut", b"PAR1" + b"\x00" * 40), ("empty", b"")):
        file = tmp_path / f"{name}.parquet"
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="cannot be read as Parquet"):
            read_table(file)
    with pytest.raises(SettingsError, match="cannot be read as Parquet"):
        read_table(tmp_path / "gone.parquet")


def test_parquet_without_rows_or_with_a_name_twice_is_refused(tmp_path: Path, arrow: Any) -> None:
    from pyarrow import parquet

    with pytest.raises(SettingsError, match="holds no rows"):
        read_table(write(tmp_path / "none.parquet", {"flask": arrow.array([], arrow.string())}, arrow))
    twice = arrow.table([arrow.array([1]), arrow.array([2])], names=["area", "area"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(SettingsError, match="names 'area' twice; give each column its own name"):
        read_table(tmp_path / "twice.parquet")


def test_a_cell_of_lists_is_named_with_its_row(tmp_path: Path, arrow: Any) -> None:
    table = read_table(write(tmp_path / "t.parquet", {"area": [[1.0], [2.0, 3.0]]}, arrow))
    with pytest.raises(SettingsError, match=r"t\.parquet row 2, column area: holds '\[1\.0\]', which is no number"):
        table.numbers("area", empty=False)


def test_without_the_package_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'cellvigil\[parquet\]'"):
        read_table(tmp_path / "t.parquet")
