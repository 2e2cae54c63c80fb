"""A receiver of alarms on this machine: a real HTTP server that keeps what it gets, for the notifier's tests."""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.messages import AlarmChanged, AlarmState, Channel
from services.delivery.webhook import verify_signature

SECRET = b"a long random text"
START = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Call:
    """One POST as it came."""

    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]

    @property
    def genuine(self) -> bool:
        stamp, signature = self.headers["X-Cellvigil-Timestamp"], self.headers["X-Cellvigil-Signature"]
        return verify_signature(SECRET, stamp, self.body, signature, tolerance_s=60.0)


Answer = int | tuple[int, dict[str, str]] | Callable[[Any], None]
"""A status, a status with headers, or a function that does with the handler what it wants."""


@dataclass
class AlarmReceiver:
    """Answers as `script` says, one entry per call, then `usually`. Call numbers start at 0."""

    script: list[Answer] = field(default_factory=list)
    usually: Answer = 204
    port: int = 0
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number = len(receiver.calls)
                receiver.calls.append(Call(self.path, dict(self.headers), body, time.monotonic()))
                answer = receiver.script[number] if number < len(receiver.script) else receiver.usually
                if callable(answer):
                    answer(self)
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing of callers that hang up or are killed."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alarms"

    @property
    def keys(self) -> list[str]:
        return [call.key for call in self.calls]

    def hang(self, handler: Any) -> None:
        """Answer nothing until the test is over."""
        self.released.wait(30.0)

    def drip(self, handler: Any) -> None:
        """Send one byte of a header now and then, for ever."""
        handler.wfile.write(b"HTTP/1.1 5")
        while not self.released.wait(0.05):
            handler.wfile.write(b"0")


def secret_file(folder: Path) -> Path:
    file = folder / "secret"
    file.write_bytes(SECRET + b"\n")
    file.chmod(0o600)
    return file


def alarm(number: int, state: AlarmState = AlarmState.RAISED, **changed: object) -> AlarmChanged:
    at = START + timedelta(minutes=15 * number)
    values: dict[str, object] = {
        "event_id": f"event-{number:03d}",
        "alarm_id": f"alarm-{number:03d}",
        "flask": "A1",
        "channel": Channel.POTENCY,
        "state": state,
        "at": at,
        "frame_id": f"{number:064x}",
        "estimated_onset_at": at - timedelta(hours=2),
        "priority": "high",
        "cause": "potency 61 % is below 70 %",
        "action": "look at the flask",
    }
    return AlarmChanged.model_validate(values | changed)


def wait_for(holds: Callable[[], bool], most_s: float = 10.0) -> None:
    deadline = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
