"""A broker of MQTT 3.1.1 on this machine, the part that a publisher meets, for the notifier's tests."""

import socketserver
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from services.delivery.mqtt import packet, read_packet


@dataclass
class Broker:
    """Keeps what is published; refuses with `code`, or hangs up in place of a PUBACK, when told so."""

    code: int = 0
    hang_up: bool = False
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
                broker.published.append((body[2 : 2 + length].decode(), body[4 + length :]))
                self.wfile.write(packet(0x40, body[2 + length : 4 + length]))
                assert read_packet(self.rfile.read) == (0xE0, b"")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

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
