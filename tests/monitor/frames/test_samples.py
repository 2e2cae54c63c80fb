"""What the operator knows about each flask."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.errors import SettingsError
from monitor.frames.sample import Sample
from monitor.frames.samples import COLUMNS, read_samples

HEAD = ",".join(COLUMNS) + "\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "samples.csv"


def refusal(table: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        read_samples(table)
    assert refused.value.reason == "samples"
    assert str(table) in str(refused.value)
    return str(refused.value)


def test_every_column_is_read(table: Path) -> None:
    table.write_text(HEAD + "A1,,D7,4,L2,alpha-MEM,none,2026-03-10T14:00+02:00\nB1,,,,,,,\n")

    samples = read_samples(table)

    assert samples == {
        "A1": Sample(
            donor="D7",
            passage=4,
            lot="L2",
            medium="alpha-MEM",
            stimulation="none",
            seeded_at=datetime(2026, 3, 10, 12, tzinfo=UTC),
        ),
        "B1": Sample(),
    }


def test_only_the_flask_is_required_and_order_is_free(table: Path) -> None:
    table.write_text("passage,flask\n3,A1\n")

    assert read_samples(table) == {"A1": Sample(passage=3)}


def test_what_spreadsheets_write_is_read(table: Path) -> None:
    table.write_bytes('\ufeffflask, donor \r\n "A1" , Ünal \r\n"B,1","two\nlines"\r\n\r\n'.encode())

    assert read_samples(table) == {'"A1"': Sample(donor="Ünal"), "B,1": Sample(donor="two\nlines")}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_read_as_in_the_other_tables(table: Path, separator: str) -> None:
    table.write_text(f"\ufeffflask{separator}donor\nA1{separator}D7,8\n", encoding="utf-8")
    assert read_samples(table) == {"A1": Sample(donor="D7,8")}


def test_short_rows_and_spaces_are_empty_cells(table: Path) -> None:
    table.write_text("flask,donor,medium\nA1\nB1,  ,x\n")

    assert read_samples(table) == {"A1": Sample(), "B1": Sample(medium="x")}


def test_time_without_a_zone_is_utc(table: Path) -> None:
    table.write_text("flask,seeded_at\nA1,2026-03-10 12:00\nB1,2026-03-10\n")

    assert read_samples(table)["A1"].seeded_at == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert read_samples(table)["B1"].seeded_at == datetime(2026, 3, 10, tzinfo=UTC)


def test_a_row_for_each_position_has_to_agree(table: Path) -> None:
    table.write_text("flask,position,donor\nA1,p1,D7\nA1,p2,D7\nB1,p1,D8\n")
    assert read_samples(table) == {"A1": Sample(donor="D7"), "B1": Sample(donor="D8")}

    table.write_text("flask,position,donor\nA1,p1,D7\nA1,p2,D8\n")
    assert "row 3" in refusal(table) and "make them agree" in refusal(table)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing"),
        ("donor\nD7\n", "`flask` at least"),
        ("flask,donner\nA1,D7\n", "donner"),
        ("flask,donor,donor\nA1,D7,D7\n", "each once"),
        ("flask,donor,\nA1,D7,\n", "each once"),
        ("flask|donor\nA1|D7\n", "flask|donor"),
        ("flask,donor\n,D7\n", "row 2, column flask: is empty"),
        ("flask\nA1\nA1\n", "row 3, column flask: names 'A1' a second time"),
        ("flask,position\nA1,p1\nA1,p1\n", "a second time"),
        ("flask,donor\nA1,D7,x\n", "more cells"),
        ("flask,passage\nA1,four\n", "row 2, column passage: 'four' is not usable"),
        ("flask,passage\nA1,4.5\n", "column passage"),
        ("flask,seeded_at\nA1,yesterday\n", "write it as 2026-03-10T12:00Z"),
        ('flask,donor\nA1,"D7\n', "no CSV file"),
        ("flask,donor\nA1," + "x" * 200_000 + "\n", "no CSV file"),
    ],
)
def test_table_that_is_wrong_says_where_and_how_to_mend_it(table: Path, text: str, says: str) -> None:
    table.write_text(text)

    assert says in refusal(table)


def test_table_of_another_encoding_is_refused(table: Path) -> None:
    table.write_bytes("flask,donor\nA1,Ünal\n".encode("latin-1"))

    assert "CSV UTF-8" in refusal(table)


def test_table_that_cannot_be_opened_names_the_setting(table: Path) -> None:
    assert "watch.samples" in refusal(table)

    table.mkdir()
    assert "watch.samples" in refusal(table)
