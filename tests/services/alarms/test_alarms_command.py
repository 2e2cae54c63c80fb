"""What an operator sees and does, on a record that holds a fall of potency and a lost focus."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cases.culture_rows import INTERVAL, frame_row
from cases.folded_state import SETTINGS, folded
from cases.sample_messages import NOON

from monitor.culture.rows import CultureRow, OperatorRow
from monitor.errors import SettingsError
from monitor.messages import Channel, OperatorAction
from services.alarms.acting import Wish, act
from services.alarms.explanation import explain_alarm
from services.alarms.listing import list_alarms, show_log
from services.delivery.outbox import Outbox
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.workers.predictor import FlaskFolder

ROWS: list[CultureRow] = [
    *(frame_row(number) for number in range(20)),
    *(frame_row(number, 60.0) for number in range(20, 30)),
    *(frame_row(number, flask="B2") for number in range(20)),
    *(frame_row(number, flask="B2", focus=0.3) for number in range(20, 24)),
    *(frame_row(number, flask="C3") for number in range(20)),
]


def wish(action: OperatorAction, flask: str = "A1", channel: str | None = None, **more: Any) -> Wish:
    return Wish(action, flask, channel, "anna", "on my way", **more)


def take_in(state: StateFolder) -> None:
    """Do what ingester and predictor do with what waits."""
    with SqliteRecord(state.record) as record:
        flasks = FlaskFolder(SETTINGS)
        for acted in record.waiting_actions():
            with record.flask(acted.flask) as transaction:
                flasks.bring_in(acted.flask, OperatorRow.of(acted), transaction)


def listed(folder: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> list[dict[str, Any]]:
    list_alarms(folder, options.pop("flask", None), suppressed=options.pop("suppressed", False), as_json=True)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_what_stands_is_listed_the_urgent_first_with_all_that_a_page_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folded(tmp_path, ROWS)
    potency, optics = listed(tmp_path, capsys)
    assert (potency["flask"], potency["channel"], potency["status"]) == ("A1", "potency", "unacknowledged")
    assert (optics["flask"], optics["channel"]) == ("B2", "optics")
    assert potency["priority"] == "high"
    assert potency["onset"] < potency["raised"] < potency["respond_by"]
    assert potency["consequence"] and potency["action"]
    assert {line["channel"] for line in listed(tmp_path, capsys, suppressed=True)} == {
        "potency", "optics", "segmentation", "morphology",
    }  # fmt: skip
    assert [line["flask"] for line in listed(tmp_path, capsys, flask="B2")] == ["B2"]
    assert list_alarms(tmp_path, None, suppressed=False, as_json=False) == 1
    assert "3 more cannot be judged" in capsys.readouterr().out


def test_an_acknowledgement_waits_in_the_record_and_is_part_of_the_history_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = folded(tmp_path, ROWS)
    assert act(tmp_path, wish(OperatorAction.ACKNOWLEDGE)) == 0
    assert "as soon as cellvigil runs" in capsys.readouterr().out
    assert listed(tmp_path, capsys)[0]["waiting"] == ["acknowledge by anna"]
    take_in(state)
    take_in(state)
    (potency,) = listed(tmp_path, capsys, flask="A1")
    assert (potency["status"], potency["by"], potency["waiting"]) == ("acknowledged", "anna", [])
    assert act(tmp_path, wish(OperatorAction.ACKNOWLEDGE, "A1", "potency")) == 1
    assert "it is acknowledged" in capsys.readouterr().out
    assert list_alarms(tmp_path, "A1", suppressed=False, as_json=False) == 0


def test_an_action_falls_into_place_after_the_newest_frame(tmp_path: Path) -> None:
    state = folded(tmp_path, ROWS)
    act(tmp_path, wish(OperatorAction.ACKNOWLEDGE))
    act(tmp_path, wish(OperatorAction.SHELVE, "A1", "potency", hours=2.0))
    with SqliteRecord(state.record) as record:
        first, second = record.waiting_actions()
    assert NOON + 29 * INTERVAL < first.at < second.at < NOON + 30 * INTERVAL
    assert second.until == second.at + timedelta(hours=2)


def test_an_alarm_on_the_shelf_says_until_when(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path, ROWS)
    act(tmp_path, wish(OperatorAction.SHELVE, "B2", "optics", hours=4.0))
    take_in(state)
    capsys.readouterr()
    (optics,) = listed(tmp_path, capsys, flask="B2")
    assert (optics["status"], optics["why"][:15]) == ("shelved", "shelved by anna")
    assert optics["shelved_until"] == "2026-03-10T21:45:00+00:00"
    assert act(tmp_path, wish(OperatorAction.UNSHELVE, "B2")) == 0
    assert act(tmp_path, wish(OperatorAction.IN_SERVICE, "B2", "optics")) == 1


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (wish(OperatorAction.ACKNOWLEDGE, "Z9"), "there are: A1, B2, C3"),
        (wish(OperatorAction.ACKNOWLEDGE, "A1", "colour"), "choose among arrival"),
        (wish(OperatorAction.ACKNOWLEDGE, "C3"), "could be meant: none"),
        (wish(OperatorAction.SHELVE, "C3", hours=1.0), "name one channel"),
    ],
)
def test_what_cannot_be_meant_is_said_with_its_mend(tmp_path: Path, wanted: Wish, said: str) -> None:
    folded(tmp_path, ROWS)
    with pytest.raises(SettingsError, match=re.escape(said)):
        act(tmp_path, wanted)


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no run"):
        list_alarms(tmp_path, None, suppressed=False, as_json=False)


def test_an_explanation_answers_who_is_woken_at_night(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path, ROWS)
    with SqliteRecord(state.record) as record, Outbox(state.outbox) as outbox:
        outbox.add(record.alarms(), ["webhook:pager"])
        for letter in outbox.rows():
            outbox.delivered(letter)
    assert explain_alarm(tmp_path, "A1", None, as_json=True) == 0
    (words,) = json.loads(capsys.readouterr().out)
    assert list(words) == [
        "alarm", "status", "what", "since", "how sure", "now", "ahead", "channel", "likely cause", "if nothing", "do",
        "by", "told",
    ]  # fmt: skip
    assert words["what"].startswith("potency fell")
    assert words["since"].startswith("2026-03-10 17:00 UTC")
    assert "its limit is 7.8" in words["how sure"] and "bears 1 by chance in 7 days over 24 flasks" in words["how sure"]
    assert "provisional" in words["how sure"]
    assert words["now"].startswith("rolling potency 60 % (50 to 70)")
    assert words["channel"] == "potency; above it: arrival normal, frozen normal, optics normal, segmentation normal"
    assert words["by"].startswith("2026-03-10 19:30 UTC, ") and words["by"].endswith(" h ago")
    assert words["told"].startswith("webhook:pager delivered at")
    assert explain_alarm(tmp_path, "B2", "optics", as_json=False) == 0
    plain = capsys.readouterr().out
    assert "refocus" in plain and "shewhart-focus stands at" in plain
    assert explain_alarm(tmp_path, "B2", "potency", as_json=False) == 0
    assert "suppressed since" in capsys.readouterr().out
    assert explain_alarm(tmp_path, "C3", None, as_json=False) == 1


def test_an_alarm_of_the_floor_says_how_far_below_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folded(tmp_path, [frame_row(number, 62.0) for number in range(10)])
    assert explain_alarm(tmp_path, "A1", None, as_json=True) == 0
    (words,) = json.loads(capsys.readouterr().out)
    assert words["what"].startswith("potency is below its floor of 70 %: this frame 62 %, rolling 62 %")
    assert words["how sure"] == "the rolling potency lies 0.8 standard deviations of a frame below the floor"


def test_the_log_is_printed_for_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path, ROWS)
    act(tmp_path, wish(OperatorAction.ACKNOWLEDGE))
    take_in(state)
    capsys.readouterr()
    assert show_log(tmp_path, "A1", as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "normal -> unacknowledged" in lines[0]
    assert lines[1].endswith("anna: acknowledge. on my way")
    assert "unacknowledged -> acknowledged" in lines[2] and "by anna" in lines[2]
    assert show_log(tmp_path, None, as_json=True) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in printed] == list(range(1, len(printed) + 1))
    assert {line["what"]["channel"] for line in printed} >= {Channel.POTENCY.value, Channel.OPTICS.value}
