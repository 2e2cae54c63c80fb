import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.doctor.check import Level
from services.doctor.folders import (
    check_clock,
    check_disk,
    check_events,
    check_inotify,
    check_secrets,
    check_state_file_system,
    check_state_folder,
    check_watch_folder,
)
from services.settings import NotifierSettings, WatchSettings, WebhookSettings


def test_state_that_is_a_file(tmp_path: Path):
    state = tmp_path / "state"
    state.touch()

    assert check_state_folder(state).level is Level.PROBLEM


def test_state_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("services.doctor.folders.tempfile.NamedTemporaryFile", refuse)

    assert "Permission denied" in check_state_folder(tmp_path).what


def test_state_that_everybody_can_write(tmp_path: Path):
    tmp_path.chmod(0o777)

    check = check_state_folder(tmp_path)

    assert check.mend == f"chmod o-w {tmp_path}"
    tmp_path.chmod(stat.S_IRWXU)
    assert check_state_folder(tmp_path).level is Level.OK


def test_network_share_holds_frames_but_no_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for ask, told in (("filesystem_of", "nfs4"), ("is_network", True)):
        monkeypatch.setattr(f"services.doctor.folders.{ask}", lambda folder, told=told: told)

    assert check_state_file_system(tmp_path).level is Level.WARNING
    assert check_events(WatchSettings(folder=tmp_path)).level is Level.OK
    assert "every 5 s" in check_events(WatchSettings(folder=tmp_path)).what
    assert check_events(WatchSettings(folder=tmp_path, observer="events")).level is Level.PROBLEM


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (5 << 30, "warning"), (50 << 30, "ok")])
def test_disk(free: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.doctor.folders.shutil.disk_usage", lambda path: SimpleNamespace(free=free))

    assert check_disk(tmp_path / "not" / "yet").level == level


def test_watch_folder_that_is_not_there(tmp_path: Path):
    check = check_watch_folder(WatchSettings(folder=tmp_path / "typo"))

    assert check.level is Level.WARNING
    assert "--watch" in check.mend


def test_more_folders_than_the_kernel_will_watch(tmp_path: Path):
    limits = tmp_path / "inotify"
    limits.mkdir()
    (limits / "max_user_watches").write_text("8\n")
    (limits / "max_queued_events").write_text("16384\n")
    for index in range(6):
        (tmp_path / "frames" / f"flask{index}").mkdir(parents=True)

    check = check_inotify(WatchSettings(folder=tmp_path / "frames"), limits)

    assert check.level is Level.WARNING
    assert "fs.inotify.max_user_watches" in check.mend


def test_clock_that_was_never_set(tmp_path: Path):
    assert check_clock(WatchSettings(folder=tmp_path), datetime(1970, 1, 1, tzinfo=UTC)).level is Level.PROBLEM


def test_frames_from_the_future(tmp_path: Path):
    frame = tmp_path / "A1" / "frame.tif"
    frame.parent.mkdir()
    frame.touch()
    ahead = datetime.now(UTC) + timedelta(hours=1)
    os.utime(frame, (ahead.timestamp(), ahead.timestamp()))

    check = check_clock(WatchSettings(folder=tmp_path))

    assert check.level is Level.WARNING
    assert "ahead" in check.what


def test_secret_that_others_can_read(tmp_path: Path):
    secret = tmp_path / "secret"
    webhook = WebhookSettings(url="https://example.org/alarms", secret_file=secret)
    notifier = NotifierSettings(webhooks=(webhook,))

    assert [check.level for check in check_secrets(notifier)] == [Level.PROBLEM]
    secret.write_text("key")
    secret.chmod(0o644)
    assert [check.mend for check in check_secrets(notifier)] == [f"chmod 600 {secret}"]
    secret.chmod(0o600)
    assert [check.level for check in check_secrets(notifier)] == [Level.OK]
