import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from services.telemetry import configure_logging, get_log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # pytest's own, which `force` would close
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


class Screen:
    """What was written to standard error so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    def text(self) -> str:
        self._text += self._captured.readouterr().err
        return self._text


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(capsys)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_programs_get_json_lines_and_people_short_ones(tmp_path: Path, screen: Screen) -> None:
    configure_logging(tmp_path / "logs", "notifier-0")
    get_log("notifier").bind(receiver="terminal").info("delivered", attempts=2)
    started, delivered = lines_of(tmp_path / "logs" / "notifier-0.jsonl")
    assert started["event"] == "process_started"
    moment = delivered.pop("timestamp")
    assert moment.endswith("Z")
    assert delivered == {
        "event": "delivered",
        "level": "info",
        "worker": "notifier-0",
        "stage": "notifier",
        "receiver": "terminal",
        "attempts": 2,
    }
    assert (
        screen.text().splitlines()[1] == f"{moment[11:19]}       notifier-0: delivered  receiver=terminal  attempts=2"
    )


def test_a_container_gets_json_on_standard_error(screen: Screen) -> None:
    configure_logging(None, "segmenter-1", json=True)
    assert json.loads(screen.text())["worker"] == "segmenter-1"


def test_silence_on_the_terminal_when_asked_for(tmp_path: Path, screen: Screen) -> None:
    configure_logging(tmp_path, "run", terminal=False)
    get_log("run").error("trouble")
    assert screen.text() == ""
    configure_logging(None, "run", terminal=False)
    get_log("run").error("trouble")
    assert screen.text() == ""


def test_a_value_cannot_forge_a_line_or_turn_its_direction(tmp_path: Path, screen: Screen) -> None:
    configure_logging(tmp_path, "ingester-0")
    evil = "a\n12:00:00 ERROR ingester-0: fake\x1b[2J\u202e\u2066\r"
    get_log("ingester").warning(evil, path=evil, files=[evil], more={evil: evil}, where=Path(evil))
    logging.getLogger("somebody.else").error("told %s", evil)
    assert len(screen.text().splitlines()) == 3
    assert all(line.isprintable() for line in screen.text().splitlines())
    for line in (tmp_path / "ingester-0.jsonl").read_text(encoding="utf-8").splitlines():
        assert line.isprintable()
        assert json.dumps(json.loads(line), ensure_ascii=False).isprintable()


def test_secrets_are_left_out(tmp_path: Path, screen: Screen) -> None:
    configure_logging(tmp_path, "notifier-0")
    get_log("notifier").error(
        "failed",
        secret="s3cret",
        headers={"Authorization": "Bearer s3cret", "X-Cellvigil-Signature": "s3cret"},
        error="cannot reach redis://user:s3cret@host:6379 nor https://host/a?x=1&access_token=s3cret",
        secret_file=Path("keys/alarms"),
        key="frame:1",
    )
    written = (tmp_path / "notifier-0.jsonl").read_text(encoding="utf-8") + screen.text()
    assert "s3cret" not in written and "Bearer" not in written
    line = lines_of(tmp_path / "notifier-0.jsonl")[-1]
    assert (line["secret_file"], line["key"]) == ("keys/alarms", "frame:1")
    assert line["error"] == "cannot reach redis://[hidden]@host:6379 nor https://host/a?x=1&access_token=[hidden]"


def test_a_traceback_is_kept_and_stays_one_entry(tmp_path: Path, screen: Screen) -> None:
    configure_logging(tmp_path, "predictor-0")
    try:
        raise ValueError("bad\n12:00:00 ERROR fake\x1b[31m")
    except ValueError:
        get_log("predictor").exception("stage_raised")
    (line,) = lines_of(tmp_path / "predictor-0.jsonl")[1:]
    assert "Traceback" in line["exception"] and "ValueError: bad" in line["exception"]
    assert "\x1b" not in screen.text()
    assert all(text.startswith("  ") for text in screen.text().splitlines()[2:])


def test_a_file_that_is_full_is_turned_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.telemetry.FILE_MOST_BYTES", 2000)
    configure_logging(tmp_path, "worker", terminal=False)
    for number in range(100):
        get_log("worker").info("line", number=number)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["worker.jsonl"] + [
        f"worker.jsonl.{n}" for n in range(1, 6)
    ]
    assert lines_of(tmp_path / "worker.jsonl")[-1]["number"] == 99
