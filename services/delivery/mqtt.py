"""Alarms to an MQTT broker: a publisher of MQTT 3.1.1 (OASIS standard, 2014) with QoS 1, and nothing else of it.

Each notification is one short connection: CONNECT, PUBLISH, wait for PUBACK, DISCONNECT. The payload is the JSON of the
webhook. A broker hands it on at least once; `event_id` or `group_id` tells doubles.
"""

import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from monitor.errors import SettingsError
from services.delivery.address import is_loopback
from services.delivery.receiver import DeliveryFailed, Notice
from services.delivery.webhook import SHOWN_MOST, read_secret
from services.settings import MqttSettings
from services.telemetry import printable

CONNECT, CONNACK, PUBLISH_QOS1, PUBACK, DISCONNECT = 0x10, 0x20, 0x32, 0x40, 0xE0
CLEAN_SESSION, WITH_PASSWORD, WITH_USER = 0x02, 0x40, 0x80
PACKET_ID = 1
KEEP_ALIVE_S = 30
LENGTH_BYTES_MOST = 4
REFUSALS = {
    1: "speaks another version of MQTT",
    2: "refuses the client_id",
    3: "is not available now",
    4: "refuses user or password",
    5: "does not allow this client",
}
FOR_NOW = 3


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
            Messages would travel unprotected, user and password do not come together, or the file cannot be used.
        """
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
        try:
            with self._connect() as broker:
                self._talk(broker, event.model_dump_json().encode())
        except (OSError, ValueError) as error:
            told = f"{self.settings.host}: {type(error).__name__}: {error}"
            raise DeliveryFailed(printable(told)[:SHOWN_MOST]) from error

    def _connect(self) -> socket.socket:
        chosen = self.settings
        plain = socket.create_connection((chosen.host, chosen.port), timeout=chosen.timeout_s)
        if not chosen.tls:
            return plain
        try:
            return ssl.create_default_context().wrap_socket(plain, server_hostname=chosen.host)
        except BaseException:
            plain.close()
            raise

    def _talk(self, broker: socket.socket, payload: bytes) -> None:
        user, password = self.settings.user, self.password
        flags, identity = CLEAN_SESSION, _text(self.settings.client_id.encode())
        if user is not None and password is not None:
            flags |= WITH_USER | WITH_PASSWORD
            identity += _text(user.encode()) + _text(password)
        broker.sendall(packet(CONNECT, _text(b"MQTT") + struct.pack("!BBH", 4, flags, KEEP_ALIVE_S) + identity))
        code = _expect(broker, CONNACK)[1]
        if code:
            why = REFUSALS.get(code, f"answers {code}")
            raise DeliveryFailed(f"{self.settings.host} {why}", refused=code != FOR_NOW)
        topic = _text(self.settings.topic.encode())
        broker.sendall(packet(PUBLISH_QOS1, topic + struct.pack("!H", PACKET_ID) + payload))
        if _expect(broker, PUBACK) != struct.pack("!H", PACKET_ID):
            raise ValueError("the broker acknowledged another message")
        broker.sendall(packet(DISCONNECT, b""))


def packet(kind: int, body: bytes) -> bytes:
    """Return a control packet: its kind and flags, the length in base 128, the body.

    >>> packet(0xE0, b"").hex(), packet(0x32, bytes(200))[:3].hex()
    ('e000', '32c801')
    """
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)[0], left % 128
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([kind]) + bytes(length) + body


def read_packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Return kind with flags, and body, of the next control packet; `read` gives exactly as many bytes as asked.

    Raises
    ------
    ValueError
        The length is none.
    """
    kind, length = read(1)[0], 0
    for place in range(LENGTH_BYTES_MOST):
        digit = read(1)[0]
        length |= (digit & 0x7F) << (7 * place)
        if not digit & 0x80:
            return kind, read(length)
    raise ValueError("the other side does not speak MQTT")


def _expect(broker: socket.socket, kind: int) -> bytes:
    def exactly(count: int) -> bytes:
        got = b""
        while len(got) < count:
            part = broker.recv(count - len(got))
            if not part:
                raise ConnectionError("the broker hung up")
            got += part
        return got

    found, body = read_packet(exactly)
    if found != kind or len(body) != 2:  # CONNACK and PUBACK both have two bytes
        raise ValueError(f"the broker answers with a packet of kind {found:#04x}")
    return body


def _text(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value
