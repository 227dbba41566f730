"""Java programs from packages: jars fetched once by `jgo`, each checked against a list of sha256 at every use.

A list names jars by their place in the Maven layout (group/as/folders/artifact/version/artifact-version.jar), in the
order of the class path; `sha256sum -c` reads it too.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import stamina
from rich.console import Console
from rich.progress import track

from pipeline.local import supervisor
from pipeline.local.process import ServerFailed

FETCH_SECONDS: Final = 600.0
"""How long a run waits for another one that is fetching."""
_DOWNLOADS_AT_ONCE: Final = 8


class NotFetched(ServerFailed):
    """A jar could not be had; the message names it."""


class BadJars(ServerFailed):
    """The jars on disk are not those the project was tested with; the message names file, expected and got."""


def expected(listing: Path) -> dict[str, str]:
    """sha256 by path below the jar folder, in the order of the class path."""
    pairs = (line.split() for line in listing.read_text().splitlines())
    return {path: digest for digest, path in pairs}


def check(folder: Path, listing: Path) -> list[Path]:
    """The class path, if `folder` holds exactly the listed jars. Raises BadJars telling every difference."""
    wanted = expected(listing)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.jar")}
    problems = [f"{name}: expected no such file, got one" for name in sorted(found - wanted.keys())]
    for name, digest in wanted.items():
        got = _sha256(folder / name) if name in found else "no file"
        if got != digest:
            problems.append(f"{name}: expected sha256 {digest}, got {got}")
    if problems:
        raise BadJars(
            f"The jars in {folder} are not the expected ones:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + f"\nIf you did not change them, delete {folder}: they are fetched again."
        )
    return [folder / name for name in wanted]


def resolve(folder: Path, listing: Path, *, what: str) -> list[Path]:
    """The class path of `what`: the listed jars below `folder`, fetched when absent, checked always.

    Runs at the same time wait for each other. A jar enters the folder whole and checked, or not at all; one that is
    there and differs is never replaced. Raises BadJars, NotFetched (both are ServerFailed).
    """
    folder = folder.resolve()
    if _missing(folder, listing):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            alone = supervisor.lock(folder.with_name(f"{folder.name}.lock"), seconds=FETCH_SECONDS)
        except supervisor.InUse as error:
            raise NotFetched(f"{error}, which has not fetched the jars within {FETCH_SECONDS:g} s") from error
        with alone:
            if names := _missing(folder, listing):  # unless the run we waited for has fetched them
                _fetch_all(folder, {name: expected(listing)[name] for name in names}, what)
    return check(folder, listing)


def _missing(folder: Path, listing: Path) -> Sequence[str]:
    return [name for name in expected(listing) if not (folder / name).exists()]


def _fetch_all(folder: Path, wanted: dict[str, str], what: str) -> None:
    console = Console(stderr=True)
    console.print(f"Fetching {what} into {folder}: {len(wanted)} jars, once.", soft_wrap=True)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        fetched = pool.map(lambda pair: _fetch(folder, *pair), wanted.items())
        for _ in track(fetched, what, total=len(wanted), console=console, disable=not console.is_terminal):
            pass
    shutil.rmtree(_arriving(folder))


def _arriving(folder: Path) -> Path:
    """Where downloads go first."""
    return folder.with_name(f"{folder.name}.arriving")


def _fetch(folder: Path, name: str, digest: str) -> None:
    """One jar, by its place in the Maven layout."""
    try:
        got = _download(_arriving(folder), name)
    except OSError as error:
        raise NotFetched(
            f"{name}: three tries failed, the last with {type(error).__name__}; is there a network?"
        ) from error
    found = _sha256(got)
    if found != digest:
        got.unlink()
        raise BadJars(f"Downloaded {name}: expected sha256 {digest}, got {found}; not kept.")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    got.replace(folder / name)


@stamina.retry(on=OSError, attempts=3, timeout=120)
def _download(arriving: Path, name: str) -> Path:
    from jgo.maven import MavenContext  # noqa: PLC0415  # slow to import, and needed for a first start alone

    *group, artifact, version, _ = name.split("/")
    (arriving / name).unlink(missing_ok=True)  # what an interrupted run left
    context = MavenContext(repo_cache=arriving, local_repos=[])
    try:
        return Path(context.project(".".join(group), artifact).at_version(version).artifact().resolve())
    except RuntimeError as error:  # jgo's word for "nobody has it"
        raise NotFetched(f"{name}: expected it among the Maven artifacts, got none") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
