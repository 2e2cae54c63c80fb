"""Webhooks: a signed POST of the alarm as JSON, to an address that is checked at the moment of sending.

Headers: `X-Cellvigil-Timestamp` (seconds since 1970), `X-Cellvigil-Signature` (`sha256=` and the HMAC of timestamp, a
dot and the body) and `Idempotency-Key` (the event's id, or the group's where several changes are sent as one
`alarms_grouped`). It is sent until the receiver answers 2xx. Should this process die between that answer and the note
of it, the receiver gets the same again under the same key: at least once on the wire, and once for a receiver that
keeps the keys it has seen.
"""

import hashlib
import hmac
import http.client
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

from monitor.errors import SettingsError
from services.delivery.address import Resolve, checked_addresses, is_loopback, is_number, system_addresses
from services.delivery.receiver import DeliveryFailed, Notice, notice_id
from services.settings import WebhookSettings
from services.telemetry import printable

ANSWER_MOST_BYTES = 4096
SHOWN_MOST = 200
SECRET_MOST_BYTES = 4096
TIMESTAMP_MOST = 20
BUSY = (408, 429)
"""Answers of the 4xx kind that speak of the moment, not of the letter."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver; make it with `of`, which checks the settings."""

    settings: WebhookSettings = field(repr=False)
    address: SplitResult = field(repr=False)
    host: str
    secret: bytes = field(repr=False)
    tls: ssl.SSLContext | None
    resolve: Resolve

    @classmethod
    def of(cls, settings: WebhookSettings, resolve: Resolve = system_addresses) -> Self:
        """Check the address and read the secret.

        Raises
        ------
        SettingsError
            The address is not https (plain http is for this machine, or for private networks that were allowed), is
            a forbidden number, or carries a password; or the secret file cannot be used.
        """
        shown = settings.url.partition("?")[0].rpartition("@")[2]
        try:
            address = urlsplit(settings.url)
            host = (address.hostname or "").encode("idna").decode("ascii") if address.hostname else ""
            port = _port(address)
        except ValueError as error:
            raise SettingsError(f"webhook {shown!r}: {error}; write https://host/path", reason="webhook") from error
        if address.scheme not in ("https", "http") or not host:
            raise SettingsError(f"webhook {shown!r}: write https://host/path", reason="webhook")
        if address.username is not None:
            message = f"webhook {shown!r}: leave user and password out of the address, the signature takes their place"
            raise SettingsError(message, reason="webhook")
        if address.scheme == "http" and not (settings.allow_private or is_loopback(host)):
            message = f"webhook {shown!r}: use https, or allow_private for a receiver inside your network"
            raise SettingsError(message, reason="webhook")
        if is_number(host):
            try:
                checked_addresses(host, port, allow_private=settings.allow_private)
            except DeliveryFailed as error:
                raise SettingsError(f"webhook {shown!r}: {error}", reason="webhook") from error
        tls = ssl.create_default_context() if address.scheme == "https" else None
        return cls(settings, address, host, read_secret(settings.secret_file), tls, resolve)

    @property
    def name(self) -> str:
        """Host and a digest of the address: the path and the query may hold tokens."""
        mark = hashlib.sha256(self.settings.url.encode()).hexdigest()[:8]
        return f"webhook:{self.host}:{_port(self.address)}#{mark}"

    @property
    def grouped(self) -> bool:
        """People are called by it."""
        return True

    def send(self, event: Notice) -> None:
        """POST one change or a group; return when the receiver has answered 2xx, else raise `DeliveryFailed`."""
        body = event.model_dump_json().encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "cellvigil",
            "Idempotency-Key": quote(notice_id(event), safe=":"),
            "X-Cellvigil-Timestamp": timestamp,
            "X-Cellvigil-Signature": sign(self.secret, timestamp, body),
        }
        started = time.monotonic()
        try:
            answer = self._post(body, headers)
        except (OSError, http.client.HTTPException) as error:
            late = time.monotonic() - started >= self.settings.timeout_s
            why = f"no answer within {self.settings.timeout_s:g} s" if late else f"{type(error).__name__}: {error}"
            raise DeliveryFailed(printable(f"{self.host}: {why}")[:SHOWN_MOST]) from error
        _judge(self.host, answer)

    def _post(self, body: bytes, headers: dict[str, str]) -> _Answer:
        deadline = time.monotonic() + self.settings.timeout_s
        port = _port(self.address)
        connection = http.client.HTTPConnection(self.host, port, timeout=self.settings.timeout_s)
        if self.tls is not None:
            connection.default_port = http.client.HTTPS_PORT
        connection.auto_open = 0  # it must never look the host up by itself
        connection.sock = plain = self._connect(port, deadline)
        if self.tls is not None:
            try:
                connection.sock = self.tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
            except BaseException:
                plain.close()
                raise
        # a receiver that sends a byte now and then never meets a socket's time limit
        watch = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [connection.sock])
        watch.daemon = True
        watch.start()
        try:
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            connection.request("POST", self._target(), body, headers)
            return _read(connection)
        finally:
            watch.cancel()
            connection.close()

    def _connect(self, port: int, deadline: float) -> socket.socket:
        """Connect to the first checked address that answers."""
        places = checked_addresses(self.host, port, allow_private=self.settings.allow_private, resolve=self.resolve)
        failure: OSError = TimeoutError("the time was up before the connection stood")
        for place in places:
            left_s = deadline - time.monotonic()
            if left_s <= 0.0:
                break
            try:
                return socket.create_connection((place, port), timeout=left_s)
            except OSError as error:
                failure = error
        raise failure

    def _target(self) -> str:
        path = quote(self.address.path or "/", safe="/%:@!$&'()*+,;=~")
        query = quote(self.address.query, safe="/%:@!$&'()*+,;=~?")
        return f"{path}?{query}" if query else path


def read_secret(file: Path, what: str = "webhook secret") -> bytes:
    """Return the signing key or password in a file, without a trailing newline.

    Raises
    ------
    SettingsError
        The file is missing, no plain file, empty, longer than a key, or readable by everybody.
    """
    if not file.is_file():
        raise _unusable(what, file, "is no file; write a long random text into it")
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            secret = stream.read(SECRET_MOST_BYTES + 1).rstrip(b"\r\n")
    except OSError as error:
        raise _unusable(what, file, f"cannot be read: {error.strerror}") from error
    if mode & stat.S_IROTH:
        raise _unusable(what, file, "is readable by everybody; chmod 600 it (Kubernetes: defaultMode 0440)")
    if not secret:
        raise _unusable(what, file, "is empty; write a long random text into it")
    if len(secret) > SECRET_MOST_BYTES:
        raise _unusable(what, file, "is longer than a key should be")
    return secret


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of the signature header.

    >>> sign(b"key", "0", b"{}")[:20]
    'sha256=7314351dd949a'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify_signature(
    secret: bytes,
    timestamp: str,
    body: bytes,
    signature: str,
    *,
    tolerance_s: float,
    now: Callable[[], float] = time.time,
) -> bool:
    """Check an alarm as a receiver should: who signed it, and that it is no recording from long ago.

    Parameters
    ----------
    secret
        The key, as in the sender's `secret_file`, without its newline.
    timestamp, signature
        The headers `X-Cellvigil-Timestamp` and `X-Cellvigil-Signature` as they came.
    body
        The bytes of the body as they came; not JSON that was read and written again.
    tolerance_s
        How far the two clocks, and the way between, may lie apart; 300 suits most.

    >>> body, timestamp = b'{"flask": "A1"}', str(int(time.time()))
    >>> signature = sign(b"key", timestamp, body)
    >>> verify_signature(b"key", timestamp, body, signature, tolerance_s=300)
    True
    >>> verify_signature(b"key", timestamp, b'{"flask": "B2"}', signature, tolerance_s=300)
    False
    >>> verify_signature(b"key", timestamp, body, signature, tolerance_s=300, now=lambda: time.time() + 900)
    False
    """
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= TIMESTAMP_MOST):
        return False
    if abs(now() - int(timestamp)) > tolerance_s:
        return False
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode("utf-8", "replace"))


def _unusable(what: str, file: Path, why: str) -> SettingsError:
    return SettingsError(f"{what} {file} {why}", reason="webhook")


def _read(connection: http.client.HTTPConnection) -> _Answer:
    response = connection.getresponse()
    text = b""
    with suppress(OSError, http.client.HTTPException):  # the status has been said; the rest is for the log
        text = response.read(ANSWER_MOST_BYTES)
    return _Answer(response.status, response.getheader("Retry-After"), text.decode("utf-8", "replace"))


def _judge(host: str, answer: _Answer) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        message = f"{host} answers {status}; redirects are not followed, correct the address"
        raise DeliveryFailed(message, refused=True)
    said = printable(answer.text.strip())[:SHOWN_MOST]
    raise DeliveryFailed(
        f"{host} answers {status}{': ' if said else ''}{said}",
        refused=400 <= status < 500 and status not in BUSY,
        pause_s=_pause_s(answer.retry_after),
    )


def _pause_s(retry_after: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number or a date; None when it says neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal() and len(text) <= TIMESTAMP_MOST:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.now(UTC)).total_seconds())


def _port(address: SplitResult) -> int:
    return address.port or (http.client.HTTPS_PORT if address.scheme == "https" else http.client.HTTP_PORT)


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):  # it was closed in this moment
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
