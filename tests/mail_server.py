"""A mail server on this machine (RFC 5321, the part that a client needs), for the notifier's tests."""

import base64
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self


class Conversation(socketserver.StreamRequestHandler):
    server: "Server"

    def handle(self) -> None:
        self.recipients: list[str] = []
        self.say("220 test")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            scripted = self.server.kept.answers.get(word)
            if scripted:
                self.say(scripted.pop(0))
            else:
                getattr(self, f"do_{word.lower()}", self.do_anything)(line)
            if word == "QUIT":
                return

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_anything(self, line: str) -> None:
        self.say("250 ok")

    def do_ehlo(self, line: str) -> None:
        offers = ["test", "AUTH PLAIN"] + (["STARTTLS"] if self.server.kept.tls else [])
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def do_starttls(self, line: str) -> None:
        assert self.server.kept.tls is not None
        self.say("220 go")
        self.connection = self.server.kept.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile: Any = self.connection.makefile("wb", 0)

    def do_auth(self, line: str) -> None:
        self.server.kept.users.append(base64.b64decode(line.split()[2]).split(b"\0")[1].decode())
        self.say("235 welcome")

    def do_rcpt(self, line: str) -> None:
        self.recipients.append(line.partition(":")[2].strip("<>"))
        self.say("250 ok")

    def do_data(self, line: str) -> None:
        self.say("354 go on")
        lines = []
        while (part := self.rfile.readline()) != b".\r\n":
            lines.append(part.removeprefix(b"."))
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.kept.mails.append((self.recipients, mail))
        self.server.kept.encrypted.append(isinstance(self.connection, ssl.SSLSocket))
        self.say("250 taken")

    def do_quit(self, line: str) -> None:
        self.say("221 bye")

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    kept: "MailServer"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


@dataclass
class MailServer:
    """Keeps what it gets; `answers` are given to a command's first word in place of its usual answer, once each."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = Server(("127.0.0.1", 0), Conversation)
        self._server.kept = self
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
