"""A local server ends with whoever started it, and says why when it does not start."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.local.process import LocalProcess, ServerFailed
from tests.local.processes import alive, comes_true

REPOSITORY = Path(__file__).resolve().parents[2]
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
PARENT = """
import sys, time
from pathlib import Path
from pipeline.local.process import LocalProcess
server = LocalProcess("sleeper", Path(sys.argv[1]), sys.argv[2:], grace_seconds=0.5)
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def parent(tmp_path):
    """A process that has started a server, and that server's pid."""
    started = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), *SLEEPER], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    with started:
        pid = int(started.stdout.readline())
        yield started, pid
        started.kill()
    assert comes_true(lambda: not alive(pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_server_ends_with_its_parent_however_that_ends(parent, number):
    process, pid = parent
    assert alive(pid)
    process.send_signal(number)
    assert comes_true(lambda: not alive(pid))


def test_a_server_outlives_the_thread_that_started_it_and_a_stop_ends_it(tmp_path):
    import threading  # noqa: PLC0415  # for this claim alone

    server = LocalProcess("sleeper", tmp_path, SLEEPER)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    assert server.running
    server.stop()
    assert not alive(server.pid)


def test_what_the_server_started_ends_with_it(tmp_path):
    spawn = "import subprocess, sys, time; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); time.sleep(600)"
    server = LocalProcess("spawner", tmp_path, [sys.executable, "-c", spawn, *SLEEPER], grace_seconds=0.5)
    server.start()
    assert comes_true(lambda: server.log_path.read_text().strip().isdigit())
    grandchild = int(server.log_path.read_text())
    assert alive(grandchild)
    server.stop()
    assert comes_true(lambda: not alive(grandchild))


def test_a_server_deaf_to_sigterm_is_killed_after_its_grace(tmp_path):
    server = LocalProcess("deaf", tmp_path, DEAF, grace_seconds=0.3)
    server.start()
    server.wait_until(lambda: "deaf" in server.log_path.read_text(), seconds=10)
    before = time.monotonic()
    server.stop()
    assert 0.3 <= time.monotonic() - before < 5
    assert not alive(server.pid)


def test_the_next_start_sweeps_a_server_whose_supervisor_was_killed(tmp_path):
    lost = LocalProcess("sleeper", tmp_path, SLEEPER)
    lost.start()
    lost._supervisor.kill()
    assert comes_true(lambda: not lost.running)
    assert alive(lost.pid)
    found = LocalProcess("sleeper", tmp_path, SLEEPER)
    found.start()
    assert not alive(lost.pid)
    found.stop()
    lost.stop()


def test_a_folder_in_use_is_refused_and_its_server_left_alone(tmp_path, monkeypatch):
    first = LocalProcess("sleeper", tmp_path, SLEEPER)
    first.start()
    second = LocalProcess("sleeper", tmp_path, SLEEPER)
    with pytest.raises(ServerFailed, match="in use"):
        second.start()
    assert alive(first.pid)
    first.stop()


def test_a_stale_process_number_kills_nobody(tmp_path):
    bystander = subprocess.Popen(SLEEPER, start_new_session=True)
    (tmp_path / "server.pid").write_text(str(bystander.pid))
    server = LocalProcess("sleeper", tmp_path, SLEEPER)
    server.start()
    server.stop()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_command_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ServerFailed, match="/no/such/command"):
        LocalProcess("absent", tmp_path, ["/no/such/command"]).start()


def test_a_server_that_ends_at_once_is_an_error_with_the_end_of_its_log(tmp_path):
    server = LocalProcess("brief", tmp_path, [sys.executable, "-c", "raise SystemExit('no such setting: colour')"])
    server.start()
    with pytest.raises(ServerFailed, match="no such setting: colour"):
        server.wait_until(lambda: False, seconds=10)


def test_a_server_that_never_answers_is_stopped_after_the_bound(tmp_path):
    server = LocalProcess("sleeper", tmp_path, SLEEPER)
    server.start()
    with pytest.raises(ServerFailed, match=r"expected an answer within 0\.1 s"):
        server.wait_until(lambda: False, seconds=0.1)
    assert not alive(server.pid)
