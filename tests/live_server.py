"""A queue server that belongs to a test: it can be stalled, killed, restarted and wiped."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.transport.server import server_program


class LiveServer:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cvq", dir="/tmp"))  # pytest's own is too long for a socket
        self.socket = self.folder / "s"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = f"--port 0 --unixsocket {self.socket} --dir {self.folder} --appendonly yes --appendfsync always"
        command = [str(server_program()), *options.split(), "--save", "", "--maxmemory-policy", "noeviction"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.ask("PING")
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "the queue server does not start"
                time.sleep(0.01)

    def ask(self, *command: object) -> object:
        with redis.Redis.from_url(self.url, protocol=2, retry=Retry(NoBackoff(), 0)) as client:
            return client.execute_command(*command)

    def entries(self, stream: str) -> int:
        return int(self.ask("XLEN", stream))

    def stall(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder)
