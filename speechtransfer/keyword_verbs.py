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
class Enrol:
    """Add a word to a spotter that compares clips, from 1 to 20 recordings of it, without training."""

    run: Annotated[Path, POSITIONAL]
    """The run folder, of a spotter adapted with --set keywords.loss=prototypes (or another that compares clips)."""
    word: Annotated[str, POSITIONAL]
    """The word."""
    audio: Annotated[tuple[Path, ...], POSITIONAL]
    """Recordings that hold the word alone."""
    replace: bool = False
    """Make a word that is there already anew, of these recordings only."""
    out: Path | None = None
    """Write a copy of the run, with the word, to this folder; default: add the word to the run itself."""

    def __call__(self, console: Console) -> int:
        """Print what each recording is nearest to."""
        from speechtransfer.actions.enrol import enrol

        return enrol(console, self)
