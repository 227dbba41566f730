"""A real Valkey: data and port last over a stop and over a kill; a busy port is an error, not a hang."""

from __future__ import annotations

import pytest
import redis

from pipeline.local.process import ServerFailed
from pipeline.local.valkey import run_valkey
from tests.local.processes import alive


def client(server):
    return redis.Redis.from_url(server.url, decode_responses=True)


@pytest.fixture
def own_valkey(tmp_path):
    with run_valkey(tmp_path / "own") as server:
        yield server


def test_what_is_written_is_read(valkey):
    with client(valkey) as connection:
        connection.set("tests:customer", "basic")
        assert connection.get("tests:customer") == "basic"


def test_a_restart_keeps_data_and_port(own_valkey):
    url, before = own_valkey.url, own_valkey.pid
    with client(own_valkey) as connection:
        connection.set("customer", "bonded")
    own_valkey.restart()
    assert own_valkey.url == url
    assert own_valkey.pid != before
    with client(own_valkey) as connection:
        assert connection.get("customer") == "bonded"


def test_after_a_kill_it_starts_again_with_what_was_on_disk(own_valkey):
    with client(own_valkey) as connection:
        connection.set("customer", "bonded")
        connection.waitaof(1, 0, 5000)
    own_valkey.kill()
    assert not own_valkey.running
    assert not alive(own_valkey.pid)
    own_valkey.start()
    with client(own_valkey) as connection:
        assert connection.get("customer") == "bonded"


def test_a_busy_port_is_an_error_that_names_it(valkey, tmp_path):
    with (
        pytest.raises(ServerFailed, match=f"expected port {valkey.port}.*to be free"),
        run_valkey(tmp_path, port=valkey.port),
    ):
        pass
