"""The compose file and the image file hold what they promise, as far as can be told without a Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.analyst_jobs import JOBS
from pipeline.local.kafka import KAFKA_VERSION
from pipeline.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "docker-compose.yml"
DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
BIN = Path(sys.executable).parent


def passes(*command):
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def services():
    return YAML(typ="safe").load(COMPOSE)["services"]


def test_the_compose_file_follows_the_compose_specification():
    passes(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_image_file_passes_hadolint():
    passes(BIN / "hadolint", DOCKERFILE)


def test_every_setting_named_is_one_that_wafa_reads(services):
    named = {name for service in services.values() for name in service.get("environment", {})}
    named |= set(re.findall(r"WAFA_[A-Z_]+", DOCKERFILE.read_text()))
    known = {f"WAFA_{field.upper()}" for field in Settings.model_fields}
    assert {name for name in named if name.startswith("WAFA_")} <= known


def test_ports_are_open_on_this_machine_alone(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_kafka_is_of_the_version_that_is_tested_against(services):
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_the_analysts_image_has_what_its_jobs_need_and_the_rest_as_the_workers_have_it(services):
    lock = services["analyst"]["build"]["args"]["REQUIREMENTS"]
    assert f"!{lock}" in (REPOSITORY / ".dockerignore").read_text().splitlines()
    pins = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", (REPOSITORY / lock).read_text(), re.MULTILINE))
    assert {job.needs for job in JOBS if job.needs} <= set(pins)
    workers = re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    assert {name: pins.get(name) for name, _ in workers} == dict(workers)


def test_the_image_installs_by_hash_and_runs_as_nobody_special():
    text = DOCKERFILE.read_text()
    assert "--require-hashes -r /tmp/requirements.lock" in text
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert 'CMD ["worker"]' in text
