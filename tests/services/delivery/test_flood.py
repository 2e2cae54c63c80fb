"""Many flasks cross together: people are called a few times and told everything."""

import json
import random
import time
from pathlib import Path

import pytest
from alarm_receiver import AlarmReceiver, alarm, secret_file, wait_for
from pydantic import ValidationError

from monitor.messages import AlarmState
from services.delivery.letter import DeliveryState
from services.delivery.outbox import Outbox
from services.delivery.postman import Lane, Postman
from services.delivery.rate_limit import RateLimit
from services.delivery.webhook import Webhook
from services.settings import NotifierSettings, WebhookSettings

FLASKS = 96


def crossing() -> list[object]:
    return [alarm(number, flask=f"F{number:02d}") for number in range(FLASKS)]


def hook(receiver: AlarmReceiver, folder: Path) -> Webhook:
    return Webhook.of(WebhookSettings(url=receiver.url, secret_file=secret_file(folder), timeout_s=5.0))


def told(receiver: AlarmReceiver) -> list[str]:
    """Return the ids of all changes in the order in which they were told."""
    bodies = [json.loads(call.body) for call in receiver.calls]
    return [change["event_id"] for body in bodies for change in body.get("changes", [body])]


def test_a_fleet_that_crosses_together_calls_people_a_few_times_and_lists_every_alarm(tmp_path: Path) -> None:
    events = crossing()
    with AlarmReceiver() as receiver, Outbox(tmp_path / "outbox.sqlite3") as outbox:
        webhook = hook(receiver, tmp_path)
        outbox.add(events, [webhook.name])
        lane = Lane(outbox, webhook, NotifierSettings(), lambda: None)
        lane.start()
        wait_for(lambda: outbox.summary()[DeliveryState.DELIVERED] == FLASKS)
        lane.end(0.0)
        lane.join()
    assert told(receiver) == [event.event_id for event in events]
    assert len(receiver.calls) == NotifierSettings().flood_singly + 1 <= 10
    assert all(call.genuine for call in receiver.calls)
    group = json.loads(receiver.calls[-1].body)
    assert (group["kind"], len(group["changes"]), receiver.keys[-1]) == ("alarms_grouped", 91, group["group_id"])


def test_alarms_that_go_on_coming_never_exceed_the_limit_in_any_window(tmp_path: Path) -> None:
    settings = NotifierSettings(flood_window_s=1.0, flood_most=6, flood_singly=3)
    with AlarmReceiver() as receiver, Outbox(tmp_path / "outbox.sqlite3") as outbox:
        webhook = hook(receiver, tmp_path)
        lane = Lane(outbox, webhook, settings, lambda: None)
        lane.start()
        for event in crossing():
            outbox.add([event], [webhook.name])
            lane.wake()
            time.sleep(0.03)
        wait_for(lambda: outbox.summary()[DeliveryState.DELIVERED] == FLASKS)
        lane.end(0.0)
        lane.join()
    times = [call.at for call in receiver.calls]
    # a call is noted as sent after its answer, so two windows may differ by the time that an answer takes
    assert all(later - earlier > 0.9 for earlier, later in zip(times, times[6:], strict=False))
    assert sorted(told(receiver)) == sorted(event.event_id for event in crossing())


def test_the_limit_outlives_a_restart(tmp_path: Path) -> None:
    with AlarmReceiver() as receiver:
        webhook = hook(receiver, tmp_path)
        for part in range(3):
            outbox = Outbox(tmp_path / "outbox.sqlite3")
            outbox.add([alarm(10 * part + n, flask=f"F{n}") for n in range(8)], [webhook.name])
            with Postman(outbox, [webhook], NotifierSettings(), lambda: None):
                wait_for(lambda part=part: len(receiver.calls) >= 6)
    assert len(receiver.calls) == 6
    with Outbox(tmp_path / "outbox.sqlite3", readonly=True) as outbox:
        assert outbox.summary()[DeliveryState.WAITING] == 16


def test_an_alarm_whose_raising_waits_for_a_later_try_is_not_cleared_by_a_group(tmp_path: Path) -> None:
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        cleared = alarm(90, AlarmState.CLEARED, alarm_id=alarm(1).alarm_id)
        outbox.add([alarm(1), alarm(2), cleared], ["pager"])
        first = outbox.next_letter("pager")
        assert first is not None
        outbox.postpone(first, 60.0, "busy")
        assert [letter.event_id for letter in outbox.group("pager", 10)] == [alarm(2).event_id]


def test_a_receiver_that_refuses_groups_gets_everything_one_by_one(tmp_path: Path) -> None:
    settings = NotifierSettings(flood_window_s=0.2, flood_most=3, flood_singly=1, retry_first_s=0.02, retry_most_s=0.1)
    with AlarmReceiver(script=[204, 400, 204]) as receiver, Outbox(tmp_path / "outbox.sqlite3") as outbox:
        webhook = hook(receiver, tmp_path)
        outbox.add([alarm(number, flask=f"F{number}") for number in range(5)], [webhook.name])
        lane = Lane(outbox, webhook, settings, lambda: None)
        lane.start()
        wait_for(lambda: outbox.summary()[DeliveryState.DELIVERED] == 5)
        lane.end(0.0)
        lane.join()
    assert len(receiver.calls) == 6
    assert sorted(set(told(receiver))) == [alarm(number).event_id for number in range(5)]


@pytest.mark.parametrize("seed", range(5))
def test_the_pace_holds_for_any_arrivals(seed: int) -> None:
    chance, pace = random.Random(seed), RateLimit(most=10, singly=5, window_s=600.0)
    now, sent, waiting, longest = 0.0, [], 0, 0.0
    since: float | None = None
    for _ in range(3000):
        now += chance.expovariate(1.0 / chance.choice((1.0, 30.0, 300.0)))
        waiting += 1
        since = now if since is None else since
        turn = pace.turn(sent, now)
        if turn.wait_s == 0.0:
            longest = max(longest, now - since)
            waiting, since = (0, None) if turn.grouped or waiting == 1 else (waiting - 1, now)
            sent.append(now)
    assert all(later - earlier >= 600.0 for earlier, later in zip(sent, sent[10:], strict=False))
    assert len(sent) > 300


def test_there_is_room_for_groups() -> None:
    with pytest.raises(ValidationError, match="below flood_most"):
        NotifierSettings(flood_most=5, flood_singly=5)
