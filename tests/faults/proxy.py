"""A bad network between a worker and its broker: a TCP proxy that is slow, falls silent, or cuts.

It knows nothing of Kafka. The broker must advertise the proxy's address on the listener behind it, or clients would
find their way around it: `broker_behind`.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.local.kafka import KafkaServer, run_kafka
from pipeline.local.process import LOOPBACK, free_port
from tests.conftest import QUICK_FAILOVER

_CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST, not FIN."""
_LOOK_SECONDS = 0.01
_SEND_SECONDS = 5.0


class Proxy:
    """Forwards `port` to `target`, as well as it is told to. One thread; its owner's calls take effect there."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.delay_seconds = 0.0
        """Each piece is held up so long, in either direction."""
        self.passed_bytes = 0
        self._target = target
        self._is_silent = False
        self._cuts = self._cuts_done = 0
        self._is_closing = False
        self._other_end: dict[socket.socket, socket.socket] = {}
        self._held: deque[tuple[float, socket.socket, bytes]] = deque()
        """Due when, to whom, what."""
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server((LOOPBACK, port), backlog=100)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fall_silent(self) -> None:
        """Half-open: connections stay, new ones are taken, and nothing comes through; nobody is told."""
        self._is_silent = True

    def flow(self) -> None:
        """Pass on what was held back, and what comes."""
        self._is_silent = False

    def cut(self) -> None:
        """Reset every connection (RST) in the middle of whatever they carry; new ones are taken."""
        self._cuts += 1
        deadline = time.monotonic() + 10
        while self._cuts_done < self._cuts:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Cut, refuse from now on, and end."""
        self._is_closing = True
        self._thread.join(10)

    def _run(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.fileobj is self._listener:
                    self._connect()
                elif isinstance(key.fileobj, socket.socket) and not self._is_silent:
                    self._take(key.fileobj)
            while self._held and self._held[0][0] <= time.monotonic() and not self._is_silent:
                self._pass_on(*self._held.popleft()[1:])
            if self._cuts_done < self._cuts:
                self._reset_all()
                self._cuts_done = self._cuts
            if self._is_silent:
                time.sleep(_LOOK_SECONDS)
        self._reset_all()
        self._listener.close()
        self._selector.close()

    def _connect(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection((LOOPBACK, self._target), _SEND_SECONDS)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            one.settimeout(_SEND_SECONDS)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._other_end[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _take(self, one: socket.socket) -> None:
        if one not in self._other_end:  # gone with its other end, a moment ago
            return
        try:
            piece = one.recv(_CHUNK)
        except OSError:
            piece = b""
        if not piece:
            self._part(one)
        elif self.delay_seconds or self._held:
            self._held.append((time.monotonic() + self.delay_seconds, self._other_end[one], piece))
        else:
            self._pass_on(self._other_end[one], piece)

    def _pass_on(self, to: socket.socket, piece: bytes) -> None:
        if to not in self._other_end:
            return
        try:
            to.sendall(piece)
            self.passed_bytes += len(piece)
        except OSError:
            self._part(to)

    def _part(self, one: socket.socket) -> None:
        for end in (one, self._other_end[one]):
            del self._other_end[end]
            self._selector.unregister(end)
            end.close()

    def _reset_all(self) -> None:
        for end in self._other_end:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        while self._other_end:
            self._part(next(iter(self._other_end)))
        self._held.clear()


@contextmanager
def broker_behind(folder: Path, jar_cache: Path) -> Iterator[tuple[KafkaServer, Proxy]]:
    """A broker with two doors: its own, for the test, and one that is reached and advertised through the proxy."""
    port, behind, controller, before = free_port(), free_port(), free_port(), free_port()
    settings = {
        **QUICK_FAILOVER,
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},FAR://{LOOPBACK}:{behind},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port},FAR://{LOOPBACK}:{before}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
    }
    with run_kafka(folder, cache=jar_cache, port=port, settings=settings) as broker:
        proxy = Proxy(before, behind)
        try:
            yield broker, proxy
        finally:
            proxy.close()
