"""The verbs of keyword spotting, as those of `cli`: each one frozen dataclass whose field docs are its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

#: Given by place, not by name.
POSITIONAL = tyro.conf.Positional  # type: ignore[type-arg]


@dataclass(frozen=True)
class Spot:
    """Hear words in sound of any length: files, a corpus, standard input or the microphone."""

    run: Annotated[Path, POSITIONAL]
    """The run folder of an adaptation to keywords."""
    audio: Annotated[tuple[str, ...], POSITIONAL] = ()
    """Sound files, one corpus of any kind that adapt takes, or - for standard input."""
    microphone: bool = False
    """Listen to the default microphone until interrupted."""
    raw: int | None = None
    """Standard input is bare 16-bit little-endian mono at so many Hz; otherwise a sound file of any format."""
    json: bool = False
    """One JSON object a line in place of tab-separated text."""
    hop: float = 0.2
    """Seconds from one window to the next."""
    smooth: int = 2
    """Windows whose scores are averaged."""
    refractory: float = 1.0
    """Seconds after an event in which its word gives no other."""
    threshold: float | None = None
    """One threshold for every word, in place of those chosen on dev."""
    absent: bool = False
    """None of the words is said in there: count each event as a false accept, and print how many an hour."""
    claim: float | None = None
    """With --absent: exit status 1 unless these hours support at most so many false accepts an hour (95%)."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside the corpus that its audio may lie in."""

    def __call__(self, console: Console) -> int:
        """Print an event a line, as it happens."""
        from speechtransfer.actions.spot import spot

        return spot(self)
