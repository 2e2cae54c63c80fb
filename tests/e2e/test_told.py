"""From a decline to a person, with real processes: told once, signed, in time; who was away is told afterwards."""

import json
from pathlib import Path

import pytest
from alarm_receiver import AlarmReceiver, secret_file
from cases.installation import Installation, wait_for

from monitor.messages import AlarmChanged, AlarmState
from monitor.synthetic.culture import Culture, CultureSpec
from services.chain.simulated_file import write_frame
from services.store.record_sqlite import SqliteRecord

DECLINING = CultureSpec("B", seed=11, n_time_points=24, decline_at=6, decline_to=0.7, decline_h=2.0)


def raised(installation: Installation) -> list[AlarmChanged]:
    with SqliteRecord(installation.state.record, readonly=True) as record:
        return [alarm for alarm in record.alarms() if alarm.state is AlarmState.RAISED]


@pytest.mark.slow
def test_a_decline_is_told_once_signed_and_within_two_frames_and_later_to_who_was_away(tmp_path: Path) -> None:
    culture = Culture(DECLINING)
    with AlarmReceiver() as away:
        pass
    with AlarmReceiver() as there:
        hooks = [{"url": url, "secret_file": str(secret_file(tmp_path))} for url in (there.url, away.url)]
        installation = Installation(
            tmp_path,
            culture={"baseline_frames": 8, "false_alarms": {"alarms": 20.0}},
            watch={"expected_interval_s": 36_000.0},
            notifier={"webhooks": hooks, "retry_first_s": 0.5, "retry_most_s": 1.0},
        )
        with installation.running():
            written = 0
            for time_index in range(DECLINING.n_time_points):
                for position in DECLINING.positions:
                    name = f"{culture.acquired_at(time_index):%Y%m%dT%H%M%SZ}.tif"
                    write_frame(culture.frame(position, time_index), installation.watch / "B" / position / name)
                    written += 1
                wait_for(lambda n=written: _estimated(installation) == n or there.calls, 240, f"{written} estimates")
                if there.calls:
                    break
            (alarm,) = raised(installation)
            assert alarm.channel == "potency"
            with SqliteRecord(installation.state.record, readonly=True) as record:
                later = [e for e in record.estimates("B") if e.acquired_at > alarm.at]
            assert len(later) <= 2
            with AlarmReceiver(port=away.port) as back:
                wait_for(lambda: back.calls, 30, "the receiver that was away")
                for receiver in (there, back):
                    assert receiver.keys == [alarm.event_id]
                    assert all(call.genuine for call in receiver.calls)
                    assert json.loads(receiver.calls[0].body)["flask"] == "B"
        assert there.keys == back.keys == [alarm.event_id]


def _estimated(installation: Installation) -> int:
    if installation.supervisor is None:
        return 0
    with SqliteRecord(installation.state.record, readonly=True) as record:
        return len(record.estimates("B"))
