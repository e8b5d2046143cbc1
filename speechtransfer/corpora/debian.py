"""Corpora by a name such as ``debian:asterisk-ru``: their packages are fetched once, without root, and unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.progress import DownloadColumn, Progress, TaskID

from speechtransfer.console import progress_bar
from speechtransfer.corpora.contract import Importer, Packaged
from speechtransfer.errors import DataError
from speechtransfer.files import cache_folder
from speechtransfer.manifest import Manifest, resolve_inside

PREFIX = "debian:"
_LOOK_SECONDS = 0.2  # how often the size of a download is looked at


def importer(corpora: Mapping[str, Packaged]) -> Importer:
    """The importer of names that begin with ``debian:``.

    Args:
        corpora: by the name behind the prefix.
    """

    def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
        name = data.removeprefix(PREFIX)
        if name not in corpora:
            known = ", ".join(PREFIX + key for key in corpora)
            raise DataError(f"{data}: no such corpus; the known ones are {known}.")
        corpus = corpora[name]
        if language not in (None, corpus.language):
            raise DataError(f"{data}: its language is {corpus.language}, not {language}. Leave --language out.")
        folder = fetch(corpus.packages, cache_folder())
        manifest = corpus.read(folder)
        for row in manifest:
            resolve_inside(str(row.audio), folder, [folder.resolve()], data)
        return manifest

    looks_like = f"a name such as {PREFIX}asterisk-ru, fetched with apt-get"
    return Importer(looks_like, lambda data: data.startswith(PREFIX), load)


def fetch(packages: Sequence[str], cache: Path) -> Path:
    """Download Debian packages and unpack them together, once; needs no rights beyond the user's own.

    Corpora that name the same packages share one folder. Standard error shows how much has come.

    Returns:
        The folder that they are unpacked into, whole or not there at all.

    Raises:
        DataError: not a Debian system, no package lists, no network, or no room.
    """
    folder = cache / "debian" / "+".join(packages)
    if folder.is_dir():
        return folder
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(tool) is None:
            raise DataError(
                f"{PREFIX} corpora need {tool} (Debian's package {package}), which is not installed here. "
                "Use a Debian or Ubuntu system, or another corpus."
            )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as work,
            progress_bar(DownloadColumn()) as progress,
        ):
            for package in packages:
                _get(package, Path(work), cache, progress)
            Path(work, "unpacked").rename(folder)
    except OSError as error:
        if folder.is_dir():  # another process was quicker
            return folder
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}). Free some space, or name another folder in "
            "$SPEECHTRANSFER_CACHE."
        ) from error
    return folder


def _get(package: str, work: Path, cache: Path, progress: Progress) -> None:
    """Download and unpack one package; where the system's package lists lack it, with lists of our own.

    A fresh machine has no lists, and renewing the system's needs root; a private copy needs no rights.
    """
    task = progress.add_task(f"Fetching {package}", total=None)
    try:
        _download(package, [], work, progress, task)
    except DataError:
        for left in work.glob(f"{package}_*"):  # half a file of a version that is no longer there
            left.unlink()
        private = cache / "apt"
        for part in ("lists/partial", "cache/archives/partial"):
            (private / part).mkdir(parents=True, exist_ok=True)
        options = ["-o", f"Dir::State::Lists={private / 'lists'}", "-o", f"Dir::Cache={private / 'cache'}"]
        _run(["apt-get", "-q", *options, "update"], work, f"{package} cannot be downloaded")
        _download(package, options, work, progress, task)
    progress.update(task, description=f"Unpacking {package}", completed=0, total=None)
    for archive in work.glob(f"{package}_*.deb"):
        _run(["dpkg-deb", "-x", archive.name, "unpacked"], work, f"{archive.name} is damaged")
        archive.unlink()
    progress.remove_task(task)


def _download(package: str, options: Sequence[str], work: Path, progress: Progress, task: TaskID) -> None:
    """Download with apt-get, which says beforehand how large the file will be and writes it where it is run."""
    get, failure = ["apt-get", "-q", *options, "download"], f"{package} cannot be downloaded"
    said = _run([*get, "--print-uris", package], work, failure).split()
    progress.update(task, total=next((int(word) for word in said if word.isdigit()), None))

    def look() -> None:
        progress.update(task, completed=sum(file.stat().st_size for file in work.glob(f"{package}_*")))

    _run([*get, package], work, failure, look)


def _run(command: Sequence[str], folder: Path, failure: str, meanwhile: Callable[[], None] = lambda: None) -> str:
    """What a command says; ``meanwhile`` is called every now and then until it ends."""
    environment = {**os.environ, "LC_ALL": "C"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                meanwhile()
    if process.returncode:
        said = errors.strip().splitlines() or ["no message"]
        raise DataError(
            f"{failure} ({said[-1]}). Check the network and the sources of apt; where its lists are missing or "
            "old, run apt-get update as root."
        )
    return output
