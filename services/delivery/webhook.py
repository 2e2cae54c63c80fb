"""Webhooks: a signed POST to an address that was checked at the moment of sending.

The receiver gets JSON, `X-Cellvigil-Timestamp`, `X-Cellvigil-Signature` and `Idempotency-Key`. Should this process die
between the receiver's answer and the note of it, the same letter is sent again with the same key: a receiver that
minds keeps the keys it has seen.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from monitor.errors import CellvigilError, SettingsError
from monitor.messages import AlarmChanged
from services.settings import WebhookSettings

ANSWER_MOST_BYTES = 65_536
CLOCK_TOLERANCE_S = 300.0


class DeliveryFailed(CellvigilError):
    """The receiver did not take the letter; `final` when trying again is pointless."""

    def __init__(self, message: str, *, final: bool = False, pause_s: float | None = None) -> None:
        super().__init__(message, reason="delivery")
        self.final = final
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver."""

    settings: WebhookSettings
    secret: bytes

    @classmethod
    def of(cls, settings: WebhookSettings) -> "Webhook":
        """Check the address and read the secret.

        Raises
        ------
        SettingsError
            The address is not https (plain http is for this machine or private networks that were allowed), or the
            secret file is missing, empty or readable by everybody.
        """
        address = urlsplit(settings.url)
        if address.scheme not in ("https", "http") or not address.hostname:
            raise SettingsError(f"webhook {settings.url!r}: write https://host/path", reason="webhook")
        if address.scheme == "http" and not (settings.allow_private or _is_loopback(address.hostname)):
            message = f"webhook {settings.url!r}: use https, or allow_private for a receiver inside your network"
            raise SettingsError(message, reason="webhook")
        return cls(settings, read_secret(settings.secret_file))

    @property
    def receiver(self) -> str:
        """Name in the outbox: the address without a query, which may hold tokens."""
        return self.settings.url.split("?", 1)[0]

    def send(self, event: AlarmChanged) -> None:
        """Deliver an event; raises `DeliveryFailed`."""
        body = json.dumps(event.model_dump(mode="json"), separators=(",", ":")).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "cellvigil",
            "Idempotency-Key": event.event_id,
            "X-Cellvigil-Timestamp": timestamp,
            "X-Cellvigil-Signature": sign(self.secret, timestamp, body),
        }
        address = urlsplit(self.settings.url)
        try:
            connection = self._connection(address)
            try:
                target = (address.path or "/") + (f"?{address.query}" if address.query else "")
                connection.request("POST", target, body, headers)
                answer = connection.getresponse()
                answer.read(ANSWER_MOST_BYTES)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryFailed(f"{self.receiver}: {type(error).__name__}: {error}") from error
        _judge(self.receiver, answer.status, answer.getheader("Retry-After"))

    def _connection(self, address: SplitResult) -> http.client.HTTPConnection:
        """Connect to an address that was looked up and checked just now, and to no other."""
        host = address.hostname or ""
        port = address.port or (443 if address.scheme == "https" else 80)
        place = checked_address(host, port, allow_private=self.settings.allow_private)
        timeout = self.settings.timeout_s
        if address.scheme == "http":
            plain = http.client.HTTPConnection(host, port, timeout=timeout)
            plain.sock = socket.create_connection((place, port), timeout)
            return plain
        secure = http.client.HTTPSConnection(host, port, timeout=timeout)
        raw = socket.create_connection((place, port), timeout)
        secure.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        return secure


def checked_address(host: str, port: int, *, allow_private: bool) -> str:
    """Look a host up and return one address; every address it has must be allowed.

    Raises
    ------
    DeliveryFailed
        The name leads into a private, link-local or reserved network that was not allowed.
    """
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    loopback_meant = _is_loopback(host)
    for place in found:
        address = ipaddress.ip_address(place.split("%", 1)[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            address = mapped
        allowed = address.is_global or (address.is_loopback and loopback_meant)
        if not allowed and not (allow_private and not address.is_link_local):
            message = f"{host} leads to {place}, inside a private network; set allow_private if that is meant"
            raise DeliveryFailed(message, final=True)
    return found[0]


def read_secret(file: Path) -> bytes:
    """Return the signing key in a file, without a trailing newline."""
    try:
        secret = file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise SettingsError(f"webhook secret {file} cannot be read: {error}", reason="webhook") from error
    if not secret:
        raise SettingsError(f"webhook secret {file} is empty; write a long random text into it", reason="webhook")
    if file.stat().st_mode & 0o004:
        raise SettingsError(f"webhook secret {file} is readable by everybody; chmod 600 {file}", reason="webhook")
    return secret


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of the signature header.

    >>> sign(b"key", "0", b"{}")[:20]
    'sha256=7314351dd949a'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify_signature(secret: bytes, timestamp: str, body: bytes, signature: str, *, now: float) -> bool:
    """Check a letter as a receiver should: the signature, and that it is not older than five minutes.

    >>> body = b"{}"
    >>> verify_signature(b"key", "1000", body, sign(b"key", "1000", body), now=1100.0)
    True
    >>> verify_signature(b"key", "1000", body, sign(b"other", "1000", body), now=1100.0)
    False
    """
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > CLOCK_TOLERANCE_S:
        return False
    return hmac.compare_digest(sign(secret, timestamp, body), signature)


def _judge(receiver: str, status: int, retry_after: str | None) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryFailed(
            f"{receiver} answers {status}; redirects are not followed, correct the address", final=True
        )
    pause_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
    final = 400 <= status < 500 and status not in (408, 425, 429)
    raise DeliveryFailed(f"{receiver} answers {status}", final=final, pause_s=pause_s)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
