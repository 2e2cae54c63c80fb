import os
from pathlib import Path

import pytest
import yaml

from monitor.errors import SettingsError
from services.chain.demo import demo_settings
from services.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("CELLVIGIL__")]:
        monkeypatch.delenv(name)


def leaves(tree: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, value in tree.items():
        flat |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_file_loads(path: Path):
    assert load_settings(path)


def test_default_file_names_every_setting():
    written = yaml.safe_load((ROOT / "configs/default.yaml").read_text())

    assert set(leaves(written)) == set(leaves(Settings().model_dump()))


def test_default_file_equals_the_defaults():
    assert load_settings(ROOT / "configs/default.yaml") == load_settings()


@pytest.mark.parametrize(("ring_mb", "lines"), [(0, 0), (256, 1)])
def test_a_file_of_0_1_0_that_names_the_ring_is_read_and_told_of_it(
    ring_mb: int, lines: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    file = tmp_path / "ours.yaml"
    file.write_text(f"handover: {{ring_mb: {ring_mb}, slot_mb: 16}}\nwatch: {{settle_s: 3.0}}\n")

    assert load_settings(file) == load_settings(None, {"watch": {"settle_s": 3.0}})
    assert [record.levelname for record in caplog.records] == ["WARNING"] * lines
    assert all("handover.ring_mb has no effect any more" in line for line in caplog.messages)


def test_a_section_that_never_was_is_refused(tmp_path: Path):
    file = tmp_path / "ours.yaml"
    file.write_text("handover: {ring_gb: 1}\n")

    with pytest.raises(SettingsError, match="handover"):
        load_settings(file)


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.name != "default.yaml"], ids=lambda path: path.name)
def test_other_files_change_only_what_they_name(path: Path):
    chosen, defaults = leaves(load_settings(path).model_dump()), leaves(Settings().model_dump())
    written = leaves(yaml.safe_load(path.read_text()))

    assert {key for key in chosen if chosen[key] != defaults[key]} <= set(written)


def test_every_setting_of_the_default_file_has_a_comment_above_its_group():
    lines = (ROOT / "configs/default.yaml").read_text().splitlines()
    commented = False
    bare = []
    for line in lines:
        if not line.strip() or line.endswith(":"):
            commented = False
        elif line.lstrip().startswith("#"):
            commented = True
        elif not commented:
            bare.append(line)

    assert bare == []


def test_unknown_key_is_refused_with_its_name(tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text("watch:\n  settel_s: 3\n")

    with pytest.raises(SettingsError, match=r"watch\.settel_s"):
        load_settings(path)


def test_demo_file_is_what_the_demo_plays_with(tmp_path: Path):
    played, defaults = leaves(demo_settings(tmp_path).model_dump()), leaves(Settings().model_dump())
    differs = {key for key in played if played[key] != defaults[key]}
    places = {"state", "watch.folder", "clock.speed", "clock.origin", "clock.pace"}

    assert {key: played[key] for key in differs - places} == leaves(
        yaml.safe_load((ROOT / "configs/demo.yaml").read_text())
    )
