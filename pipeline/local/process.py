"""A server process that never outlives the one who started it.

What is common to Kafka and Valkey on this machine: start, wait until it answers, stop, kill, start again. A small
supervisor (`supervisor.py`) stands between us and the server, so that Ctrl-C, SIGTERM and `kill -9` of this process all
end the server too; a server that an earlier run left in the folder is ended first. No thread of ours has to stay alive.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pipeline.local import supervisor

LOOPBACK: Final = "127.0.0.1"
LOG_TAIL_LINES: Final = 20
_PORTS: Final = range(15_000, 32_000)
_SUPERVISOR_START_SECONDS: Final = 30.0
BARE_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": os.defpath}
"""What a server sees: none of the caller's variables, so that it runs the same everywhere."""
_NOTHING_MORE: Final[Mapping[str, str]] = MappingProxyType({})


class ServerFailed(RuntimeError):
    """A local server did not start or did not end; the message has the end of its log."""


class LocalProcess:
    """One server, started in a process group of its own, in `folder`, writing to `log_path`.

    `stop` asks with SIGTERM and insists with SIGKILL after `grace_seconds`; so does the end of this process.
    `environment` is what it sees besides `LANG` and `PATH`.
    """

    def __init__(
        self, name: str, folder: Path, command: Sequence[str], *, grace_seconds: float = 4.0,
        environment: Mapping[str, str] = _NOTHING_MORE,
    ) -> None:  # fmt: skip
        self.name = name
        self.folder = folder.resolve()
        self.command = list(command)
        self.grace_seconds = grace_seconds
        self._environment = {**BARE_ENVIRONMENT, **environment}
        self.log_path = self.folder / f"{name}.log"
        self._log_start = 0
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """The server's process id, not the supervisor's. Raises ServerFailed when it was never started."""
        if self._pid is None:
            raise ServerFailed(f"{self.name} has not been started")
        return self._pid

    @property
    def running(self) -> bool:
        """Whether the server is alive (it may not answer yet)."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def start(self) -> None:
        """Starts the server; does not wait until it answers. Raises ServerFailed."""
        if self.running:
            raise ServerFailed(f"{self.name} is already running, as process {self.pid}")
        self.stop()  # lets go of one that ended by itself
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid()), str(self.grace_seconds),
                 str(self.folder), "--", *self.command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._environment,
                start_new_session=True,
            )  # fmt: skip
        told = self._first_line(self._supervisor)
        if not told.startswith("started "):
            self._end_supervisor(self._supervisor)
            raise self.failure(told.removeprefix("failed ") or "its supervisor said nothing")
        self._pid = int(told.removeprefix("started "))

    def wait_until(self, answers: Callable[[], bool], *, seconds: float) -> None:
        """Returns once `answers()`.

        Raises ServerFailed, having stopped the server, when it ends first or takes longer.
        """
        deadline = time.monotonic() + seconds
        while not answers():
            if not self.running:
                self.stop()
                raise self.failure("it ended before it answered")
            if time.monotonic() > deadline:
                self.stop()
                raise self.failure(f"expected an answer within {seconds:g} s, got none")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends the server and waits until it is gone; nothing happens when it is not running."""
        if self._supervisor is not None:
            self._end_supervisor(self._supervisor)

    def kill(self) -> None:
        """SIGKILL, as a power cut would; returns when the process is gone."""
        supervisor.kill_group(self.pid, signal.SIGKILL)
        self.stop()

    def failure(self, reason: str) -> ServerFailed:
        """The error for `reason`, with the end of the log."""
        lines = self.log_path.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        told = [f"  {line}" for line in lines if not line.startswith("\tat ")]  # Java's call stacks
        tail = "\n".join(told[-LOG_TAIL_LINES:]) or "  (empty)"
        return ServerFailed(f"{self.name} in {self.folder}: {reason}\nThe end of {self.log_path}:\n{tail}")

    def _first_line(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], _SUPERVISOR_START_SECONDS)
        return process.stdout.readline().decode().strip() if readable else ""

    def _end_supervisor(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        try:
            status = process.wait(self.grace_seconds + 10)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if status < 0 and self._pid is not None:  # the supervisor was killed: nobody else ends the server
            supervisor.kill_group(self._pid, signal.SIGKILL)
        self._supervisor = None


def free_port() -> int:
    """A port nobody listens on, below those that outgoing connections are given.

    One of those could be taken as a client's own while the server is down, even by a client that is trying to reach it.
    """
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerFailed(f"expected a free port among {_PORTS.start} to {_PORTS.stop - 1}, got none in 100 tries")


def refuse_busy_port(name: str, port: int) -> None:
    """Raises ServerFailed when somebody listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ServerFailed(
                f"{name}: expected port {port} of {LOOPBACK} to be free, got {error.strerror}"
            ) from error
