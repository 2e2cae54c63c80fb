"""`train segmenter`, `evaluate segmenter` and `segment` as a laboratory would use them, on a few small images."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cases.phantoms import phantom
from cases.stains import nuclear_stain
from PIL import Image
from typer.testing import CliRunner

from monitor.engine.choice import ENGINES
from monitor.errors import SettingsError
from monitor.network.checkpoint import SHIPPED, load_network, read_card
from services.command_options import EngineName
from services.main import app

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="the package was built without weights")


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with four labelled images."""
    folder = tmp_path_factory.mktemp("laboratory")
    for number in range(4):
        truth = phantom(number, covered=0.3)
        tifffile.imwrite(folder / f"field{number}.tif", truth.pixels)
        tifffile.imwrite(folder / f"field{number}_cells.tif", truth.cells.astype(np.uint16))
        tifffile.imwrite(folder / f"field{number}_nuclei.tif", truth.nuclei.astype(np.uint16))
        pixel_size = truth.pixel_size_um
    (folder / "cellvigil.json").write_text(json.dumps({"pixel_size_um": pixel_size}))
    return folder


def cellvigil(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_images_are_segmented_into_label_files(laboratory: Path, tmp_path: Path) -> None:
    said = cellvigil("segment", laboratory / "field0.tif", "--out", tmp_path, "--overlay")

    cells, nuclei = (tifffile.imread(tmp_path / f"field0_{name}.tif") for name in ("cells", "nuclei"))
    truth = tifffile.imread(laboratory / "field0_cells.tif")
    assert cells.shape == nuclei.shape == truth.shape
    assert cells.dtype == np.uint16
    assert cells.max() >= truth.max() // 2
    assert f"{cells.max()} cells, {nuclei.max()} nuclei" in said
    with Image.open(tmp_path / "field0_overlay.png") as overlay:
        assert overlay.size == truth.shape[::-1]


def test_virtual_stains_are_channels_of_an_ome_tiff(laboratory: Path, tmp_path: Path) -> None:
    cellvigil("segment", laboratory / "field0.tif", "--out", tmp_path, "--stain")

    cells, nuclei = (tifffile.imread(laboratory / f"field0_{name}.tif") for name in ("cells", "nuclei"))
    with tifffile.TiffFile(tmp_path / "field0_stain.ome.tif") as stain:
        assert stain.ome_metadata is not None
        assert "nucleus (virtual)" in stain.ome_metadata
        assert 'PhysicalSizeX="1.1"' in stain.ome_metadata
        nucleus, cytoplasm = stain.asarray().astype(np.float32) / 65535.0
    assert nucleus[nuclei > 0].mean() > 0.5 > 0.1 > nucleus[cells == 0].mean()
    assert cytoplasm[(cells > 0) & (nuclei == 0)].mean() > 0.5 > 0.1 > cytoplasm[cells == 0].mean()
    assert (nucleus + cytoplasm).max() <= 1.001


def test_engines_are_named_alike_and_find_the_same_cells(laboratory: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install 'cellvigil[openvino]'")
    assert tuple(engine.value for engine in EngineName) == ENGINES
    some = ("eager", "openvino")
    for engine in some:
        cellvigil("segment", laboratory / "field0.tif", "--out", tmp_path / engine, "--engine", engine)
    eager, other = (tifffile.imread(tmp_path / engine / "field0_cells.tif") for engine in some)
    assert eager.max() == other.max() > 0
    assert (eager == other).mean() > 0.999


def test_what_cannot_be_segmented_is_named_and_the_rest_goes_on(laboratory: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no image at all")
    words = ["segment", bad, tmp_path / "gone.tif", laboratory / "field1.tif", "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    assert result.exit_code == 1
    assert "bad.tif is neither TIFF nor PNG" in result.output
    assert "gone.tif: there is no such file" in result.output
    assert (tmp_path / "out" / "field1_cells.tif").exists()


def test_two_images_of_one_name_do_not_write_over_each_other(laboratory: Path, tmp_path: Path) -> None:
    twin = tmp_path / "field0.tif"
    twin.write_bytes((laboratory / "field1.tif").read_bytes())
    words = ["segment", laboratory / "field0.tif", twin, "--pixel-size", 1.0, "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    assert result.exit_code == 1
    assert "has the same name" in result.output


def test_scores_come_with_a_row_per_field_and_a_sheet(laboratory: Path, tmp_path: Path) -> None:
    report, sheet = tmp_path / "scores.json", tmp_path / "sheet.png"
    cellvigil("evaluate", "segmenter", laboratory, "--json", report, "--sheet", sheet)

    scores = json.loads(report.read_text())
    assert [field["name"] for field in scores["fields"]] == [f"field{number}.tif" for number in range(4)]
    assert 0.3 < scores["cells"]["ap50"] <= 1.0
    assert scores["cells"]["true_instances"] == sum(field["true"] for field in scores["fields"])
    assert 0.0 <= scores["joint"] <= 1.0
    with Image.open(sheet) as picture:
        assert picture.size == (1120, 1120)


@pytest.mark.slow
def test_fine_tuning_leaves_weights_that_can_be_used_and_goes_on_where_it_was(laboratory: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "ours", tmp_path / "report.json"
    words = [
        "train",
        "segmenter",
        laboratory,
        "--out",
        out,
        "--simulated",
        2,
        "--hold-back",
        "field3",
        "--json",
        report,
    ]
    cellvigil(*words, "--steps", 2)

    card = read_card(out / "segmenter.json")
    assert card.width == read_card().width
    assert "held back: field3.tif" in card.data
    assert card.scores["fields, held-back images"] == 1
    scores = json.loads(report.read_text())
    assert scores["before"]["cells"]["fields"] == scores["after"]["cells"]["fields"] == 1
    ours, shipped = load_network(out / "segmenter.json")[0].state_dict(), load_network()[0].state_dict()
    assert any((ours[name] != shipped[name]).any() for name in ours)
    with Image.open(out / "curves.png") as picture:
        assert picture.size == (900, 560)

    cellvigil(*words, "--steps", 3)
    cellvigil("segment", laboratory / "field0.tif", "--weights", out / "segmenter.json", "--out", tmp_path / "masks")
    assert read_card(out / "segmenter.json").sha256 != card.sha256
    assert tifffile.imread(tmp_path / "masks" / "field0_cells.tif").max() > 0


@pytest.mark.slow
def test_stained_views_teach_nuclei_and_are_scored_against_the_stain(tmp_path: Path) -> None:
    pairs, out, report = tmp_path / "pairs", tmp_path / "ours", tmp_path / "report.json"
    pairs.mkdir()
    for number in range(3):
        truth = phantom(20 + number, covered=0.3)
        tifffile.imwrite(pairs / f"view{number}.tif", truth.pixels)
        tifffile.imwrite(pairs / f"view{number}_dapi.tif", nuclear_stain(truth, shift=(4, -6)))
    tifffile.imwrite(pairs / "other.tif", phantom(31, covered=0.3).pixels)
    tifffile.imwrite(pairs / "other_dapi.tif", nuclear_stain(phantom(32, covered=0.3)))
    words = ["train", "segmenter", "--stain-pairs", pairs, "--pixel-size", 1.1, "--hold-back", "view2", "--out", out]
    said = cellvigil(*words, "--simulated", 2, "--steps", 2, "--json", report)

    assert "other.tif is left out: the stain does not lie on the image" in said
    assert all(f"view{number}.tif: stain moved by -4 rows and 6 columns" in said for number in range(3))
    scores = json.loads(report.read_text())
    for when in ("before", "after"):
        assert scores[when]["stain"]["views"] == 1
        assert 0.5 < scores[when]["stain"]["correlation"] <= 1.0
        assert 0.5 < scores[when]["stain"]["f1"] <= 1.0
    card = read_card(out / "segmenter.json")
    assert "2 images with nuclear stain" in card.data and "held back: view2.tif" in card.data
    assert card.scores["nucleus f1, held-back stain"] == pytest.approx(scores["after"]["stain"]["f1"], abs=1e-4)


@pytest.mark.slow
def test_unlabelled_frames_are_kept_as_teachers_only_where_both_scores_gain(laboratory: Path, tmp_path: Path) -> None:
    series, out, report = tmp_path / "series", tmp_path / "ours", tmp_path / "report.json"
    series.mkdir()
    for number in range(2):
        tifffile.imwrite(series / f"{number}.tif", phantom(40, covered=0.3).pixels + np.uint16(number))
    tifffile.imwrite(series / "0_cells.tif", phantom(40, covered=0.3).cells.astype(np.uint16))  # no frame
    words = [
        *("train", "segmenter", laboratory, "--unlabelled", series, "--pixel-size", 1.1, "--out", out),
        *("--simulated", 2, "--hold-back", "field3", "--steps", 2, "--json", report),
    ]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    assert "2 of 2 unlabelled frames teach" in result.output
    scores = json.loads(report.read_text())
    before, after = (scores[when]["robustness"] for when in ("before", "after"))
    gained = [
        after["clean"] > before["clean"],
        sum(after.values()) - after["clean"] > sum(before.values()) - before["clean"],
    ]
    assert len(after) == 16
    assert (out / "segmenter.json").exists() == all(gained)
    assert result.exit_code == (0 if all(gained) else 1)
    assert ("not kept" in result.output) != all(gained)


@pytest.mark.parametrize(
    ("words", "mend"),
    [([], "--stain-pairs"), (["--unlabelled", "."], "labelled"), (["--unlabelled", ".", "--from-scratch"], "labelled")],
)
def test_what_teaches_nothing_is_refused(words: list[str], mend: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=mend):
        CliRunner().invoke(app, ["train", "segmenter", "--out", str(tmp_path), *words], catch_exceptions=False)


def test_a_name_that_holds_nothing_back_is_said(laboratory: Path, tmp_path: Path) -> None:
    words = ["train", "segmenter", str(laboratory), "--out", str(tmp_path / "x"), "--hold-back", "nobody"]
    with pytest.raises(SettingsError, match="nobody"):
        CliRunner().invoke(app, words, catch_exceptions=False)
