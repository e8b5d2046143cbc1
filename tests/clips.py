"""Sound files for the tests of importers and spotters, and what an importer dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from speechtransfer.audio import write_wav
from speechtransfer.manifest import Manifest


def clip(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(800) / 3), 8000)
    return path


RATE = 16_000
WORDS = {"high": 2000, "low": 300, "middle": 800}
SPEAKERS = ("anna", "ben", "carla", "dan", "eva", "finn")


def tone(path: Path, hertz: float, draw: np.random.Generator) -> Path:
    """A noisy tone of a third of a second or so."""
    time = np.arange(int(draw.uniform(0.25, 0.4) * RATE)) / RATE
    write_wav(path, 0.3 * np.sin(2 * np.pi * hertz * time) + 0.01 * draw.standard_normal(len(time)), RATE)
    return path


def say_words(folder: Path) -> Path:
    """Class folders of synthetic tones: each speaker says each word twice."""
    draw = np.random.default_rng(0)
    for word, hertz in WORDS.items():
        (folder / word).mkdir()
        for speaker in SPEAKERS:
            for take in range(2):
                tone(folder / word / f"{speaker}_{take}.wav", hertz, draw)
    return folder


def dropped(manifest: Manifest) -> dict[str, str]:
    """Reason by file name, of what did not make it in."""
    return {Path(row.audio).name: row.reason for row in manifest.ledger if row.action == "dropped"}
