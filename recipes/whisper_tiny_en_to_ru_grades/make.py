"""Copy Debian's Russian prompts beside a manifest with how fast each is spoken as its grade: letters a second.

Command: python recipes/whisper_tiny_en_to_ru_grades/make.py runs/rates/ru.jsonl
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from speechtransfer.audio import Recordings
from speechtransfer.corpora import load
from speechtransfer.manifest import Manifest, write_manifest
from speechtransfer.trimming import speech_span

RATE = 16_000


def main(target: Path) -> None:
    """A manifest of the prompts of four letters or more; silence around the speech does not count as time."""
    recordings = Recordings(RATE)
    clips = target.parent / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in track(load("debian:asterisk-ru"), description="measuring", transient=True):
        letters = sum(map(str.isalpha, row.text or ""))
        first, last = speech_span(recordings(row), RATE)
        if letters >= 4 and last > first:
            # A manifest's sound lies beside it. Files of several folders have one name: 1.wav of digits and of letters.
            clip = clips / f"{len(rows):03}_{row.audio.name}"
            shutil.copyfile(row.audio, clip)
            rows.append(replace(row, audio=clip.resolve(), label=f"{letters * RATE / (last - first):.2f}"))
    write_manifest(target, Manifest(tuple(rows)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
