"""Whatever is done to a corpus of any format: it ends in a manifest with its ledger, or in one message, and soon."""

from __future__ import annotations

import math
import os
import random
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clips import clip
from mutations import mutate, packed
from samples import SAMPLES, written

from speechtransfer import corpora
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, read_manifest, write_ledger, write_manifest

#: For one corpus of a few kilobytes: far more than any takes, far less than a hang or a bomb would.
MOST_SECONDS, MOST_BYTES = 60, 1 << 30
LONGEST_MESSAGE = 7000
#: Inputs of each sample: quick, and 10,000 in all.
FEW, MANY = 16, -(-10_000 // len(SAMPLES))


class Hung(BaseException):
    """Not to be taken for one of the surprises that an importer turns into its message."""


class Guard:
    """What the interpreter is asked to do to the world outside a cache while it is on."""

    def __init__(self) -> None:
        self.cache: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.cache is None:
            return
        kind = event.partition(".")[0]
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(path, str | bytes) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not self.inside(path):
                self.seen.append(f"{event} {path!r}")
        elif kind == "subprocess" or event in ("os.system", "os.exec", "os.posix_spawn", "socket.connect"):
            self.seen.append(f"{event} {arguments!r}")
        elif event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod"):
            self.seen += [f"{event} {path!r}" for path in arguments if isinstance(path, str) and not self.inside(path)]

    def inside(self, path: str | bytes) -> bool:
        assert self.cache is not None
        return Path(os.path.realpath(os.fsdecode(path))).is_relative_to(self.cache) or path == os.devnull


GUARD = Guard()


@contextmanager
def limits(cache: Path) -> Iterator[None]:
    """Let nothing run on, grow on, write outside the cache, run a program or ask the network."""

    def ring(*_: object) -> None:
        raise Hung(f"over {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MOST_BYTES, hard))
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    GUARD.cache, GUARD.seen = cache, []
    try:
        yield
    finally:
        GUARD.cache = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def listing(home: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder but for what an importer may keep in the cache."""
    paths = (Path(folder, name) for folder, below, names in os.walk(home) for name in (*below, *names))
    kept = [path for path in paths if not path.is_relative_to(home / "cache" / "hub")]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in kept}


def outcome(data: str, format: str | None, home: Path) -> str:
    """``manifest``, ``ledger`` or ``refused``; anything else is an error of the test."""
    before = listing(home)
    try:
        with limits(home / "cache"):
            manifest = corpora.load(data, format)
    except DataError as error:
        message = str(error)
        assert message.strip() and len(message) <= LONGEST_MESSAGE, f"{len(message)}: {message[:300]}"
        assert str(home) in message or data in message, message
        found = "refused"
    else:
        sound(manifest, home)
        found = "ledger" if manifest.ledger else "manifest"
    assert not GUARD.seen, GUARD.seen
    assert listing(home) == before
    return found


def sound(manifest: Manifest, home: Path) -> None:
    """Raise unless a manifest can be relied on: of files inside, each once, with reasons, and it can be kept."""
    assert len(manifest) > 0
    assert len({row.id for row in manifest}) == len(manifest)
    assert all(row.reason for row in manifest.ledger)
    for row in manifest:
        resolved = Path(os.path.realpath(row.audio))
        assert not resolved.is_relative_to(home / "outside") and resolved.is_relative_to(home), row.audio
        assert 0 <= (row.start or 0) < (math.inf if row.end is None else row.end)
        assert row.end is None or row.end < math.inf
    assert len(manifest.fingerprint()) == 64
    kept = home / "cache" / "hub" / "kept"
    write_manifest(kept / "manifest.jsonl", manifest)
    write_ledger(kept / "ledger.jsonl", manifest.ledger)
    again = read_manifest(kept / "manifest.jsonl", [home])
    assert [row.id for row in again] == [row.id for row in manifest]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every sample once, by its name."""
    home = tmp_path_factory.mktemp("pristine")
    for name in SAMPLES:
        written(name, home / name)
    return home


def placed(name: str, pristine: Path, home: Path) -> str:
    """A sample beside what lies outside it; what ``load`` takes it by."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(pristine / name, home)
    clip(home / "outside" / "secret.wav")
    (home / "outside" / "secret.txt").write_text("a secret\n")
    (home / "cache" / "hub").mkdir(parents=True, exist_ok=True)
    return SAMPLES[name].data.format(home / SAMPLES[name].place)


def fuzzed(name: str, seeds: range, pristine: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Outcomes of a sample, changed otherwise for each seed."""
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(home / "cache"))
    monkeypatch.setattr(os, "fsync", lambda file: None)  # ten thousand times it would wait for the disk
    sample, found = SAMPLES[name], Counter[str]()
    for seed in seeds:
        data = placed(name, pristine, home)
        draw = random.Random(f"{name} {seed}")
        done = mutate(home / sample.place, draw)
        format = None if draw.random() < 0.3 else sample.format
        try:
            found[outcome(data, format, home)] += 1
        except BaseException as error:
            error.add_note(f"{name}, seed {seed}, format {format}: {done}")
            raise
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_a_changed_corpus_is_read_or_refused(
    name: str, pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fuzzed(name, range(FEW), pristine, tmp_path / "home", monkeypatch)
    assert found.total() == FEW


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_ten_thousand_changed_corpora(
    name: str,
    pristine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = fuzzed(name, range(FEW, FEW + MANY), pristine, tmp_path / "home", monkeypatch)
    with capsys.disabled():
        print(f"\n{name}: {found.total()} inputs, {dict(found)}")
    assert found.total() == MANY


@pytest.mark.parametrize("name", SAMPLES)
def test_an_unchanged_corpus_passes(name: str, pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(home / "cache"))
    assert outcome(placed(name, pristine, home), None, home) in ("manifest", "ledger")


@pytest.mark.parametrize("kind", ["zeros", "blank lines", "one line"])
@pytest.mark.parametrize("name", ["lhotse-pair-gz", "debian-asterisk"])
def test_an_archive_that_unpacks_to_gigabytes_is_refused(
    name: str, kind: str, pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(home / "cache"))
    data = placed(name, pristine, home)
    for path in home.rglob("*.gz"):
        path.write_bytes(packed(kind, 8 << 30))
    assert outcome(data, None, home) == "refused"
