import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alarm_receiver import alarm
from mqtt_broker import Broker
from pydantic import ValidationError

from monitor.errors import SettingsError
from services.chain.run import run
from services.delivery.mqtt import Mqtt
from services.delivery.receiver import DeliveryFailed
from services.settings import MqttSettings, NotifierSettings, Settings


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
    with Broker(hang_up=True) as broker, pytest.raises(DeliveryFailed, match="lost") as failed:
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
        with pytest.raises(DeliveryFailed, match="protocol"):
            mqtt_to(server.getsockname()[1]).send(alarm(1))
        thread.join()


def test_who_says_nothing_is_not_waited_for_longer_than_the_setting_says() -> None:
    with Broker(silent=True) as broker, pytest.raises(DeliveryFailed, match="does not answer") as failed:
        Mqtt.of(MqttSettings(host="127.0.0.1", port=broker.port, tls=False, timeout_s=0.3)).send(alarm(1))
    assert not failed.value.refused


# paho leaves the socket of a handshake that failed to Python, which closes it with a warning
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_checks_the_brokers_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days"]
    made += ["2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Broker(tls=tls) as broker:
        mqtt = Mqtt.of(MqttSettings(host="localhost", port=broker.port, timeout_s=5.0))
        with pytest.raises(DeliveryFailed, match="certificate"):
            mqtt.send(alarm(1))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        mqtt.send(alarm(1))
    assert len(broker.published) == 1


def test_a_password_is_in_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "password"
    file.write_text("opensesame")
    file.chmod(0o600)
    with caplog.at_level("DEBUG"), Broker(code=4) as broker, pytest.raises(DeliveryFailed) as failed:
        mqtt = mqtt_to(broker.port, user="lab", password_file=file)
        mqtt.send(alarm(1))
    assert "opensesame" not in repr(mqtt) + str(failed.value) + caplog.text


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    told = MqttSettings(host="127.0.0.1", tls=False)
    with pytest.raises(SettingsError, match=r"cellvigil\[mqtt\]"):
        Mqtt.of(told)
    settings = Settings(state=tmp_path / "state", notifier=NotifierSettings(mqtt=(told,)))
    with pytest.raises(SettingsError, match=r"cellvigil\[mqtt\]"):
        run(settings, threading.Event())
    assert not settings.state.exists()


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(SettingsError, match="set tls"):
        Mqtt.of(MqttSettings(host="broker.example", tls=False))
    with pytest.raises(SettingsError, match="go together"):
        Mqtt.of(MqttSettings(host="127.0.0.1", tls=False, user="lab"))
    with pytest.raises(ValidationError, match="topic"):
        MqttSettings(host="127.0.0.1", topic="lab/#")
