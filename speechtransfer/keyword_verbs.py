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
    words: tuple[str, ...] = ()
    """Of the run's words those to tell of, parted by commas or spaces; what sounds like another is none of them."""
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


@dataclass(frozen=True)
class Mine:
    """Cut keywords out of a transcribed corpus, into class folders; without --words, list its words by count."""

    corpus: Annotated[str, POSITIONAL]
    """A manifest, a folder, or a name such as debian:asterisk-ru, with transcripts."""
    words: tuple[str, ...] = ()
    """Words, or phrases of several, parted by commas or spaces; quote a phrase."""
    run: Path | None = None
    """The run folder of a recogniser of the language, which finds the words; or a packaged source that knows it."""
    out: Path | None = None
    """The folder to write; empty, or not there."""
    least_confidence: float = 0.5
    """Leave out cuts of whose letters the recogniser is less sure, from 0 to 1."""
    margin: float = 0.1
    """Seconds that a cut may exceed its letters on either side; a neighbour word stops it half-way."""
    at_most: int | None = None
    """Clips of a word: each speaker's surest first; default: all."""
    least_count: int = 10
    """List words said at least so often; warn of words with fewer clips."""
    language: str | None = None
    """ISO 639-3 code of utterances that state none."""
    format: str | None = None
    """The format, where it is not to be found out."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside the corpus that its audio may lie in."""

    def __call__(self, console: Console) -> int:
        """Write the clips and print what became of each word."""
        from speechtransfer.actions.mine import mine

        return mine(console, self)


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
