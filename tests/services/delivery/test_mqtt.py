import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from alarm_receiver import alarm
from mqtt_broker import Broker
from pydantic import ValidationError

from monitor.errors import SettingsError
from services.delivery.mqtt import Mqtt, packet, read_packet
from services.delivery.receiver import DeliveryFailed
from services.settings import MqttSettings


def mqtt_to(port: int, **more: Any) -> Mqtt:
    return Mqtt.of(MqttSettings(host="127.0.0.1", port=port, tls=False, timeout_s=5.0, **more))


def test_an_alarm_is_published_as_the_webhook_has_it_and_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("opensesame\n")
    file.chmod(0o600)
    long = alarm(1, cause="long " * 100)
    with Broker() as broker:
        mqtt_to(broker.port, topic="lab/alarms", user="lab", password_file=file).send(long)
        mqtt_to(broker.port).send(alarm(2))
    assert broker.published[0] == ("lab/alarms", long.model_dump_json().encode())
    assert json.loads(broker.published[1][1])["event_id"] == "event-002"
    assert broker.clients == [("cellvigil", "lab", "opensesame"), ("cellvigil",)]


@pytest.mark.parametrize(("code", "refused"), [(5, True), (4, True), (3, False)])
def test_what_the_broker_answers_decides_whether_trying_again_helps(code: int, refused: bool) -> None:
    with Broker(code=code) as broker, pytest.raises(DeliveryFailed) as failed:
        mqtt_to(broker.port).send(alarm(1))
    assert failed.value.refused is refused


def test_what_was_not_acknowledged_is_tried_again() -> None:
    with Broker(hang_up=True) as broker, pytest.raises(DeliveryFailed, match="hung up") as failed:
        mqtt_to(broker.port).send(alarm(1))
    assert not failed.value.refused
    with pytest.raises(DeliveryFailed):
        mqtt_to(broker.port).send(alarm(1))


def test_who_does_not_speak_mqtt_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"\xff" * 200)
                connection.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DeliveryFailed, match="kind 0x48"):
            mqtt_to(server.getsockname()[1]).send(alarm(1))
        thread.join()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_packets_of_any_length_are_read_back(length: int) -> None:
    whole, at = packet(0x32, bytes(length)), 0

    def read(count: int) -> bytes:
        nonlocal at
        at += count
        return whole[at - count : at]

    assert read_packet(read) == (0x32, bytes(length))
    assert at == len(whole)


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(SettingsError, match="set tls"):
        Mqtt.of(MqttSettings(host="broker.example", tls=False))
    with pytest.raises(SettingsError, match="go together"):
        Mqtt.of(MqttSettings(host="127.0.0.1", tls=False, user="lab"))
    with pytest.raises(ValidationError, match="topic"):
        MqttSettings(host="127.0.0.1", topic="lab/#")
