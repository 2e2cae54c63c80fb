"""A broker of MQTT 3.1.1 on this machine, the part that a publisher meets, for the notifier's tests."""

import socketserver
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Broker:
    """Keeps what is published; refuses with `code`, hangs up in place of a PUBACK, or says nothing, when told so."""

    code: int = 0
    hang_up: bool = False
    silent: bool = False
    tls: ssl.SSLContext | None = None
    published: list[tuple[str, bytes]] = field(default_factory=list)
    clients: list[tuple[str, ...]] = field(default_factory=list)

    def __enter__(self) -> Self:
        broker = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                kind, body = read_packet(self.rfile.read)
                assert (kind, body[:7]) == (0x10, b"\x00\x04MQTT\x04")
                broker.clients.append(tuple(texts(body[10:])))
                self.wfile.write(packet(0x20, bytes([0, broker.code])))
                if broker.code:
                    return
                kind, body = read_packet(self.rfile.read)
                assert kind == 0x32  # QoS 1, neither doubled nor retained
                (length,) = struct.unpack("!H", body[:2])
                if broker.hang_up:
                    return
                if broker.silent:
                    self.rfile.read()
                    return
                broker.published.append((body[2 : 2 + length].decode(), body[4 + length :]))
                self.wfile.write(packet(0x40, body[2 + length : 4 + length]))
                assert read_packet(self.rfile.read) == (0xE0, b"")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def finish_request(self, request: Any, client_address: Any) -> None:
                if broker.tls is None:
                    return super().finish_request(request, client_address)
                with broker.tls.wrap_socket(request, True) as encrypted:
                    super().finish_request(encrypted, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Leave it to the test: a client that hangs up or refuses the certificate is what it is about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def texts(body: bytes) -> list[str]:
    """Return the length-prefixed texts of a CONNECT's payload."""
    found = []
    while body:
        (length,) = struct.unpack("!H", body[:2])
        found.append(body[2 : 2 + length].decode())
        body = body[2 + length :]
    return found


def packet(kind: int, body: bytes) -> bytes:
    """Return a control packet: its kind and flags, the length in base 128, the body."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([kind]) + bytes(length) + body


def read_packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Return kind with flags, and body, of the next control packet; `read` gives as many bytes as asked."""
    kind, length = read(1)[0], 0
    for place in range(4):
        digit = read(1)[0]
        length |= (digit & 0x7F) << (7 * place)
        if not digit & 0x80:
            return kind, read(length)
    raise ValueError("the other side does not speak MQTT")
