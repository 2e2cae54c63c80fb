"""Tables read back to what was written, and a table that failed is not there."""

import csv
import math
import sys
from pathlib import Path

import pytest

from monitor.errors import SettingsError
from services.tables.columns import Column
from services.tables.files import PARQUET_ROWS, Row, open_table

COLUMNS = (
    Column("name", "text", "", "a name", "test"),
    Column("count", "whole", "1", "a count", "test"),
    Column("area", "number", "um2", "an area", "test"),
    Column("cut", "truth", "", "whether", "test"),
)
ROWS: tuple[Row, ...] = (
    {"name": "a, b", "count": 3, "area": 0.1 + 0.2, "cut": True},
    {"name": "=1+1", "count": None, "area": math.nan, "cut": False},
    {"area": 1.2345678901234567e-300},
)


def test_csv_reads_back_to_the_same_numbers(tmp_path: Path) -> None:
    with open_table(tmp_path, "t", COLUMNS, parquet=False) as table:
        for row in ROWS:
            table.add(row)
    with (tmp_path / "t.csv").open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    assert header == ["name", "count", "area", "cut"]
    assert rows[0] == ["a, b", "3", "0.30000000000000004", "true"]
    assert rows[1] == ["'=1+1", "", "", "false"]
    assert rows[2][:2] == ["", ""]
    assert float(rows[2][2]) == ROWS[2]["area"]


@pytest.mark.parametrize("parquet", [False, True])
def test_a_table_that_failed_leaves_nothing(tmp_path: Path, *, parquet: bool) -> None:
    if parquet:
        pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    with pytest.raises(RuntimeError), open_table(tmp_path, "t", COLUMNS, parquet=parquet) as table:
        table.add(ROWS[0])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_parquet_keeps_types_and_units(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    with open_table(tmp_path, "t", COLUMNS, parquet=True) as table:
        for _ in range(PARQUET_ROWS):
            table.add(ROWS[0])
        for row in ROWS:
            table.add(row)
    found = parquet.read_table(tmp_path / "t.parquet")
    assert [str(field.type) for field in found.schema] == ["string", "int64", "double", "bool"]
    assert found.schema.field("area").metadata[b"unit"] == b"um2"
    assert found.num_rows == PARQUET_ROWS + 3
    last = found.slice(PARQUET_ROWS).to_pylist()
    assert last[0] == ROWS[0]
    assert last[1] == {"name": "=1+1", "count": None, "area": None, "cut": False}
    assert last[2] == {"name": None, "count": None, "area": 1.2345678901234567e-300, "cut": None}


def test_without_its_package_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'cellvigil\[parquet\]'") as refused:
        open_table(tmp_path, "t", COLUMNS, parquet=True)
    assert refused.value.reason == "parquet"
    assert list(tmp_path.iterdir()) == []
