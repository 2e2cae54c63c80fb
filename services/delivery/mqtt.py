"""Alarms to an MQTT broker (`pip install "cellvigil[mqtt]"`): MQTT 3.1.1 with QoS 1, by paho-mqtt.

Each notification is one short connection: CONNECT, PUBLISH, wait for PUBACK, DISCONNECT. The payload is the JSON of the
webhook. A broker hands it on at least once; `event_id` or `group_id` tells doubles.
"""

import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from monitor.errors import SettingsError
from services.delivery.address import is_loopback
from services.delivery.receiver import DeliveryFailed, Notice
from services.delivery.webhook import SHOWN_MOST, read_secret
from services.settings import MqttSettings
from services.telemetry import printable

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

NOT_NOW = 136
"""The answer of a broker that is not available at the moment; any other refusal stays."""


@dataclass(frozen=True, slots=True)
class Mqtt:
    """One broker; make it with `of`, which checks the settings."""

    settings: MqttSettings = field(repr=False)
    password: bytes | None = field(repr=False)

    @classmethod
    def of(cls, settings: MqttSettings) -> Self:
        """Check the settings and read the password.

        Raises
        ------
        SettingsError
            paho-mqtt is not installed, messages would travel unprotected, user and password do not come together, or
            the file cannot be used.
        """
        check_paho()
        shown = f"mqtt {settings.host}:{settings.port}"
        if not (settings.tls or is_loopback(settings.host)):
            raise SettingsError(f"{shown}: set tls; without it only a broker on this machine will do", reason="mqtt")
        if (settings.user is None) != (settings.password_file is None):
            raise SettingsError(f"{shown}: user and password_file go together", reason="mqtt")
        file = settings.password_file
        return cls(settings, None if file is None else read_secret(file, "mqtt password"))

    @property
    def name(self) -> str:
        """Broker and topic."""
        return f"mqtt:{self.settings.host}:{self.settings.port}/{self.settings.topic}"

    @property
    def grouped(self) -> bool:
        """Programs listen there, which want every change by itself."""
        return False

    def send(self, event: Notice) -> None:
        """Publish; return when the broker has acknowledged, else raise `DeliveryFailed`."""
        answers: list[ReasonCode] = []
        client = self._client(answers)
        try:
            client.connect(self.settings.host, self.settings.port, keepalive=math.ceil(self.settings.timeout_s))
            self._talk(client, event.model_dump_json().encode(), answers)
        except (OSError, ValueError) as error:
            told = f"{self.settings.host}: {type(error).__name__}: {error}"
            raise DeliveryFailed(printable(told)[:SHOWN_MOST]) from error
        finally:
            client.disconnect()

    def _client(self, answers: "list[ReasonCode]") -> "Client":
        """Return a client that is not connected yet and puts the broker's answer to CONNECT into `answers`."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        def answered(client: Client, data: Any, flags: Any, reason: "ReasonCode", more: Any) -> None:  # noqa: ANN401 (paho's)
            answers.append(reason)

        chosen = self.settings
        client = Client(CallbackAPIVersion.VERSION2, client_id=chosen.client_id, reconnect_on_failure=False)
        client.on_connect = answered
        client.connect_timeout = chosen.timeout_s
        if chosen.tls:
            client.tls_set_context(ssl.create_default_context())
        if chosen.user is not None and self.password is not None:
            # by its annotation a str, which paho encodes; what a file holds need be no text, and bytes go as they are
            client.username_pw_set(chosen.user, self.password)  # type: ignore[arg-type]
        return client

    def _talk(self, client: "Client", payload: bytes, answers: "list[ReasonCode]") -> None:
        def settled() -> bool:
            if answers and answers[0].is_failure:
                why = f"{self.settings.host} refuses: {answers[0]}"
                raise DeliveryFailed(why, refused=answers[0].value != NOT_NOW)
            return bool(answers)

        self._until(client, settled)
        told = client.publish(self.settings.topic, payload, qos=1)
        self._until(client, lambda: told.is_published())

    def _until(self, client: "Client", done: Callable[[], bool]) -> None:
        """Let the client read and write until something is so.

        Raises
        ------
        OSError
            The connection broke, or it took longer than `timeout_s`.
        """
        from paho.mqtt.client import error_string

        ends = time.monotonic() + self.settings.timeout_s
        while not done():
            left = ends - time.monotonic()
            if left <= 0.0:
                raise TimeoutError("the broker does not answer")
            code = client.loop(left)
            if code and not done():
                raise ConnectionError(error_string(code))


def check_paho() -> None:
    """Refuse brokers where the library that speaks to them is missing.

    Raises
    ------
    SettingsError
        With the extra that brings it.
    """
    try:
        import paho.mqtt.client  # noqa: F401 (whether it is there)
    except ImportError as error:
        message = 'notifier.mqtt needs paho-mqtt: pip install "cellvigil[mqtt]"'
        raise SettingsError(message, reason="mqtt") from error
