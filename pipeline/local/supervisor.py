"""Runs one server and ends it when whoever asked for it is gone, whatever ended them.

Started by `pipeline.local.process` as a script of its own, with the standard library alone:

    supervisor.py PARENT_PID GRACE_SECONDS FOLDER -- COMMAND...

Standard input is the parent's life line: it is closed by a stop, by a crash and by `kill -9` alike, on Linux and macOS.
Then the server's process group gets SIGTERM, and after the grace SIGKILL. One line goes to standard output:
`started PID` or `failed REASON`. The server's own output goes to standard error, which the parent points at a log.

Two locks in FOLDER tell what an earlier run left, without trusting a process number that may have been reused:
`supervisor.lock` is held by a living supervisor, `server.pid` by the server too, which inherits it.
"""

from __future__ import annotations

import fcntl
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

EARLIER_RUN_SECONDS = 20.0
CLAIM_SECONDS = 0.5
POLL_SECONDS = 0.05
PARENT_CHECK_SECONDS = 1.0


class InUse(Exception):
    """Another run holds the folder."""


def lock(path: Path, *, seconds: float) -> BinaryIO:
    """The file at `path`, locked. Raises InUse when somebody else still holds it after `seconds`."""
    file = path.open("a+b")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                file.close()
                raise InUse(f"{path} is locked by another run") from None
            time.sleep(POLL_SECONDS)
        else:
            return file


def kill_group(pid: int, number: signal.Signals) -> None:
    """Signals a process and what it started; nothing happens when they are gone."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return


def claim(folder: Path, parent: int) -> BinaryIO:
    """`supervisor.lock`, held, with the parent's process number in it.

    Waits for an earlier run that is ending because its parent has gone. Raises InUse when that parent is alive.
    """
    path = folder / "supervisor.lock"
    deadline = time.monotonic() + EARLIER_RUN_SECONDS
    while True:
        try:
            file = lock(path, seconds=CLAIM_SECONDS)
        except InUse:
            if lives(path) or time.monotonic() > deadline:
                raise
        else:
            write(file, parent)
            return file


def lives(path: Path) -> bool:
    """Whether the process whose number is in the file at `path` is alive."""
    written = path.read_text()
    try:
        os.kill(int(written), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def write(file: BinaryIO, pid: int) -> None:
    """Makes `pid` the file's whole content."""
    file.truncate(0)
    file.write(str(pid).encode())
    file.flush()


def sweep(folder: Path) -> BinaryIO:
    """`server.pid`, locked and empty, after ending the server that an earlier run left behind."""
    path = folder / "server.pid"
    try:
        file = lock(path, seconds=0)
    except InUse:
        written = path.read_text().strip()
        if written.isdigit():
            kill_group(int(written), signal.SIGKILL)
        file = lock(path, seconds=EARLIER_RUN_SECONDS)
    file.truncate(0)
    return file


def watch_parent(parent: int, events: queue.SimpleQueue[str]) -> None:
    """Asks for the end when the life line closes, or when we were handed to another parent."""
    stdin = sys.stdin.fileno()
    while os.getppid() == parent:
        readable, _, _ = select.select([stdin], [], [], PARENT_CHECK_SECONDS)
        if readable and not os.read(stdin, 1):
            break
    events.put("stop")


def watch_server(server: subprocess.Popen[bytes], events: queue.SimpleQueue[str]) -> None:
    """Tells when the server ends by itself."""
    server.wait()
    events.put("ended")


def supervise(parent: int, grace_seconds: float, folder: Path, command: list[str]) -> int:
    """Runs `command` until it ends or the parent does; answers its exit status as a shell would."""
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: events.put("stop"))
    with claim(folder, parent), sweep(folder) as pid_file:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr,
            start_new_session=True, pass_fds=[pid_file.fileno()],
        )  # fmt: skip
        write(pid_file, server.pid)
        tell(f"started {server.pid}")
        threading.Thread(target=watch_parent, args=(parent, events), daemon=True).start()
        threading.Thread(target=watch_server, args=(server, events), daemon=True).start()
        if events.get() == "stop":
            kill_group(server.pid, signal.SIGTERM)
            try:
                server.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                kill_group(server.pid, signal.SIGKILL)
        status = server.wait()
        kill_group(server.pid, signal.SIGKILL)  # whatever it started and left
        pid_file.truncate(0)
        return status if status >= 0 else 128 - status


def tell(line: str) -> None:
    """Says one line to the parent, who may be gone already."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    """Reads the command line; every failure to start is told as one line."""
    parent, grace_seconds, folder, separator, *command = arguments
    if separator != "--":
        raise SystemExit(f"expected -- before the command, got {separator!r}")
    try:
        return supervise(int(parent), float(grace_seconds), Path(folder), command)
    except InUse as error:
        tell(f"failed {folder} is in use: {error}, which is still alive")
    except OSError as error:
        tell(f"failed {command[0]}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
