"""How files are named: what a path says, and why it says nothing."""

import time
from datetime import UTC, datetime

import pytest

from monitor.errors import LayoutMismatch, SettingsError
from monitor.frames.layout import DEFAULT, EXAMPLES, PATH_MOST, PATTERN_MOST, PRESETS, Layout

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def refusal(layout: str, path: str) -> LayoutMismatch:
    with pytest.raises(LayoutMismatch) as refused:
        Layout(layout).parse(path)
    return refused.value


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reads_its_own_example_and_no_other_example(name: str) -> None:
    for owner, example in EXAMPLES.items():
        if owner == name:
            assert Layout(name).parse(example).key.flask
        elif {owner, name} != {"micro-manager", "pymmcore-plus"}:
            assert refusal(name, example).reason == "layout"


@pytest.mark.parametrize(
    ("layout", "path", "key", "acquired_at"),
    [
        (DEFAULT, "A1/p2/20260310T120000Z.tif", "A1/p2/phase/20260310T120000Z", NOON),
        (DEFAULT, "Flask 7, left/Ü/20260310T120000Z.TIFF", "Flask 7, left/Ü/phase/20260310T120000Z", NOON),
        (DEFAULT, "<b>/p1/20260310T120000Z.png", "<b>/p1/phase/20260310T120000Z", NOON),
        (
            "incucyte-export",
            "out/PLATE_x_B12_3_2026y03m10d_12h00m.tif",
            "PLATE_x_B12/3/phase/20260310T120000Z",
            NOON,
        ),
        ("incucyte-export", "B12_3_2026y03m10d_12h00m.tif", "B12/3/phase/20260310T120000Z", NOON),
        (
            "incucyte-archive",
            "EssenFiles/ScanData/2603/10/1200/412/H12-9-Ph.tif",
            "412-H12/9/Ph/20260310T120000Z",
            NOON,
        ),
        ("micro-manager", "A1/Pos0/img_channel002_position003_time000000012_z000.tif", "A1/003/002/t000012", None),
        ("micro-manager", "img_channel000_position000_time000000000_z000.tif", "flask/000/000/t000000", None),
        ("pymmcore-plus", "A1/run_t0007_p0002_c01_z000.tif", "A1/0002/01/t000007", None),
        ("pymmcore-plus", "run_p0002_t0007.tif", "flask/0002/phase/t000007", None),
        ("pymmcore-plus", "_t0007.tif", "flask/1/phase/t000007", None),
        (r"(?P<flask>\w+)_(?P<index>\d+)\.tif", "A1_1234567.tif", "A1/1/phase/t1234567", None),
        (
            r"(?P<channel>\w+)/(?P<flask>\w+)_(?P<time>\d{8}T\d{6}Z)\.tif",
            "gfp/A1_20260310T120000Z.tif",
            "A1/1/gfp/20260310T120000Z",
            NOON,
        ),
    ],
)
def test_path_says_key_and_time(layout: str, path: str, key: str, acquired_at: datetime | None) -> None:
    parsed = Layout(layout).parse(path)

    assert str(parsed.key) == key
    assert parsed.acquired_at == acquired_at


@pytest.mark.parametrize(
    ("layout", "path", "says"),
    [
        (DEFAULT, "20260310T120000Z.tif", "for example A1/p1/20260310T120000Z.tif"),
        (DEFAULT, "A1/p1/p2/20260310T120000Z.tif", "does not fit"),
        (DEFAULT, "A1/p1/20260310T120000.tif", "end in Z"),
        (DEFAULT, "A1/p1/20260310T120000Z.csv", "does not fit"),
        (DEFAULT, "A1/p1/20261310T120000Z.tif", "cannot be used"),
        (DEFAULT, "A1/p1/00000310T120000Z.tif", "cannot be used"),
        (DEFAULT, "A1/p1/٢٠٢٦٠٣١٠T120000Z.tif", "does not fit"),
        (DEFAULT, "x" * 201 + "/p1/20260310T120000Z.tif", "flask: "),
        ("incucyte-export", "PLATE_Q1_1_2026y03m10d_12h00m.tif", "does not fit"),
        ("incucyte-export", "PLATE_A1_1_2026y02m30d_12h00m.tif", "cannot be used"),
        ("micro-manager", "A1/img_channel000_position000_time000000000_z001.tif", "does not fit"),
        ("pymmcore-plus", "A1/run_t0000_z001.tif", "does not fit"),
        ("pymmcore-plus", "A1/run_p0000.tif", "does not fit"),
        (r"(?P<flask>\w+)(?:_(?P<index>\d+))?\.tif", "A.tif", "names no time"),
    ],
)
def test_path_that_does_not_fit_says_why(layout: str, path: str, says: str) -> None:
    error = refusal(layout, path)

    assert error.reason == "layout"
    assert says in str(error)
    assert repr(path) in str(error)


def test_nameless_flask_is_the_only_one_there_is() -> None:
    assert Layout(r"(?P<flask>\w*)_(?P<index>\d+)\.tif").parse("_1.tif").key.flask == "flask"


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\tb",
        "a\x00b",
        "a\x1b[31mb",
        "a\u202eb",
        "a\u200bb",
        "a\ud800b",
        "a\udcffb",
        "a\u2028b",
        "x" * PATH_MOST,
    ],
)
def test_name_that_cannot_be_shown_is_refused_and_shown_harmlessly(name: str) -> None:
    error = refusal(DEFAULT, f"{name}/p1/20260310T120000Z.tif")

    assert error.reason == "bad_name"
    assert str(error).isascii() and str(error).isprintable()


def test_markup_in_a_name_stays_text() -> None:
    name = "<img src=x onerror=alert(1)>"

    assert Layout(DEFAULT).parse(f"{name}/p1/20260310T120000Z.tif").key.flask == name
    assert refusal(DEFAULT, f"{name}/p1/{name}\n/20260310T120000Z.tif").reason == "bad_name"


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("no-such-preset", "lacks a group"),
        ("(?P<flask>", "nor a regular expression"),
        (r"(?P<flask>\w+)\.tif", "lacks a group"),
        (r"(?P<time>\w+)\.tif", "lacks a group"),
        (r"(?P<flask>\w+)(?P<index>\d)(?P<well>\d)\.tif", "['well'] mean nothing"),
        ("(" * 400, "nor a regular expression"),
        ("x" * (PATTERN_MOST + 1), "characters at most"),
        (r"(?P<flask>a{99999999999})(?P<index>\d)", "nor a regular expression"),
    ],
)
def test_pattern_of_ones_own_that_cannot_work_is_refused_at_the_start(pattern: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Layout(pattern)

    assert refused.value.reason == "layout"
    assert says in str(refused.value) and "watch.layout" in str(refused.value)


def test_check_tells_what_fits_and_what_does_not() -> None:
    report = Layout(DEFAULT).check(["A1/p1/20260310T120000Z.tif", "notes.tif", "a\nb.tif"])

    assert [(path, str(parsed.key)) for path, parsed in report.rows] == [
        ("A1/p1/20260310T120000Z.tif", "A1/p1/phase/20260310T120000Z")
    ]
    assert [(path, error.reason) for path, error in report.unmatched] == [
        ("notes.tif", "layout"),
        ("a\nb.tif", "bad_name"),
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_no_name_keeps_a_preset_busy(name: str) -> None:
    layout = Layout(name)
    parts = ("_t0_p0_c0", "_t1", "_", "a/", "A1_", "1", "ScanData/", "img_channel0", "A1-1-")
    started = time.perf_counter()
    for part in parts:
        for ending in ("", ".ti", ".tif", "/x", "_t1x"):
            path = (part * PATH_MOST)[: PATH_MOST - len(ending)] + ending
            try:
                assert layout.parse(path).key.flask
            except LayoutMismatch as error:
                assert error.reason == "layout"

    assert time.perf_counter() - started < 2.0
