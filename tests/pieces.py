"""What the corpora of the tests are made of: small sounds, lines of text, and plain ways to count them."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import soundfile

SWAHILI = ("habari ya asubuhi", "karibu sana", "ndiyo", "kwa heri", "asante", "maji baridi")


def sound(path: Path, pitch: float, seconds: float = 0.1) -> Path:
    """A file like no other of another pitch; its name may end in anything, since decoders tell by content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 9000 * np.sin(np.arange(round(seconds * 8000)) * (1000 + pitch) / 8000)
    soundfile.write(path, wave.astype(np.int16), 8000, format="WAV")
    return path


def sounds(folder: Path, names: str, suffix: str = ".wav", seconds: float = 0.1) -> None:
    for number, name in enumerate(names.split()):
        sound(folder / f"{name}{suffix}", number, seconds)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def below(folder: Path, *endings: str) -> list[str]:
    """The files that lie anywhere in a folder, by their paths in it; those whose names end so."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in names if name.endswith(endings or ("",)))


def table(path: Path, delimiter: str) -> list[dict[str, str]]:
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter=delimiter, quoting=quoting))


def lines_of(path: Path) -> list[str]:
    content = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    return [line for line in content.split("\n") if line.strip()]
