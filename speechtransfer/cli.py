"""The command line: each verb is one frozen dataclass whose field docs are its help."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

import speechtransfer
from speechtransfer.align_verb import Align
from speechtransfer.console import plain_console
from speechtransfer.errors import SpeechTransferError
from speechtransfer.finished_verbs import Compare, Report
from speechtransfer.keyword_verbs import Enrol, Mine, Spot
from speechtransfer.overrides import gathered

#: Given by place, not by name.
POSITIONAL = tyro.conf.Positional  # type: ignore[type-arg]
#: Learning curves read best from little to much.
_ALL = "all"


@dataclass(frozen=True)
class Training:
    """What ``adapt`` and ``run`` share."""

    steps: int | None = None
    """Optimiser steps of the transfer; the scratch baseline has its own multiple."""
    minutes: float | None = None
    """Budget of all training of this command, in minutes; it fixes the steps before the first of them."""
    seed: int | None = None
    """Training seed; the split has its own."""
    baseline: Literal["scratch"] | None = None
    """Also train the same network from random weights, for comparison."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; otherwise one an evaluation."""
    resume: bool = False
    """Go on where an earlier run stopped; starts where there is nothing, changes nothing that is finished."""
    set: tuple[str, ...] = ()
    """Any field of the recipe, as key=value; an unknown key lists the valid ones."""


@dataclass(frozen=True)
class Check:
    """Say what is wrong with a data set before any training: a verdict for every utterance."""

    data: Annotated[str, POSITIONAL]
    """A manifest, a folder, or a name such as debian:asterisk-ru."""
    format: str | None = None
    """The format, where it is not to be found out."""
    language: str | None = None
    """ISO 639-3 code of the data."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside DATA that audio may lie in."""
    source: str | None = None
    """As for adapt: at its stride, which transcripts have more letters than their sound has frames."""
    recogniser: Path | None = None
    """A run folder, or a packaged source, of this language: which transcripts it hardly hears in their sound."""
    out: Path | None = None
    """Where to write the verdicts, as JSON Lines."""
    report: Path | None = None
    """Where to write a page of pictures, as HTML."""

    def __call__(self, console: Console) -> int:
        """Exit status 1 where training is forbidden."""
        from speechtransfer.actions.check import check

        return check(console, self)


@dataclass(frozen=True)
class Adapt:
    """The main job: adapt a pretrained encoder to the recordings in DATA."""

    data: Annotated[tuple[str, ...], POSITIONAL]
    """A manifest, a folder, or a name such as debian:asterisk-ru; several are learnt from together."""
    out: Path
    """The run folder to write."""
    source: str | None = None
    """A folder, a name under $SPEECHTRANSFER_SOURCES, a packaged source or a hub name; default: our own."""
    source_language: str | None = None
    """Whose adapter to take, of a source that has one for each of many languages (MMS)."""
    task: Literal["ctc", "keywords", "grades"] = "ctc"
    """What to build: ctc is a recogniser; keywords a spotter, from a folder of recordings for each word; grades gives
    each recording a number, from rows whose label is one.
    """
    language: str | None = None
    """ISO 639-3 code of the data."""
    amounts: tuple[str, ...] = (_ALL,)
    """Minutes of the training speech to use, of keywords recordings of each, or all; several give a learning curve."""
    cross_validate: bool = False
    """Train and test on all five folds in place of one."""
    keep_splits: Path | None = None
    """An earlier run on part of this data: its dev and test stay, what is new is for training."""
    require_unseen_speakers: bool = False
    """Refuse data whose test speakers are not known to be unseen."""
    format: str | None = None
    """The format, where it is not to be found out."""
    speaker_pattern: str | None = None
    """A regular expression whose first group finds the speaker in a recording's path."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside DATA that audio may lie in."""
    negatives: tuple[str, ...] = ()
    """DATA in which none of the keywords is said: learnt as unknown, its test part counts false accepts an hour."""
    texts: tuple[str, ...] = ()
    """Text without sound, by which a recogniser spells better: a file, a folder of texts, a dictionary, a package."""
    training: Annotated[Training, tyro.conf.arg(name="")] = Training()

    def __call__(self, console: Console) -> int:
        """Train, test, and print what transfer bought."""
        from speechtransfer.actions.train import adapt

        return adapt(console, self)


@dataclass(frozen=True)
class Plan:
    """Train nothing: print what would be trained, what is shared with the source, and what it would cost."""

    target: Annotated[tuple[str, ...], POSITIONAL]
    """DATA, or a recipe, which names all but the source itself."""
    source: str | None = None
    """As for adapt."""
    source_language: str | None = None
    """As for adapt."""
    task: Literal["ctc", "keywords", "grades"] = "ctc"
    """What to build of DATA."""
    language: str | None = None
    """ISO 639-3 code of DATA."""
    format: str | None = None
    """The format of DATA, where it is not to be found out."""
    speaker_pattern: str | None = None
    """As for adapt."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside DATA that audio may lie in."""
    set: tuple[str, ...] = ()
    """Any field of the recipe, as key=value."""

    def __call__(self, console: Console) -> int:
        """Print the plan and the forecast."""
        from speechtransfer.actions.train import plan

        return plan(console, self)


@dataclass(frozen=True)
class Run:
    """Run a recipe, and record what it reached where the checkout is clean."""

    recipe: Annotated[str, POSITIONAL]
    """A recipe's folder, or its name under recipes/."""
    out: Path | None = None
    """The run folder; default: runs/<recipe>/<variant>."""
    variant: tuple[str, ...] = ()
    """Which variants; default: all."""
    smoke: bool = False
    """Three steps on synthetic speech with a tiny random encoder; records nothing."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside the recipe's DATA that audio may lie in."""
    training: Annotated[Training, tyro.conf.arg(name="")] = Training()

    def __call__(self, console: Console) -> int:
        """Run each variant."""
        from speechtransfer.actions.train import run_recipe

        return run_recipe(console, self)


@dataclass(frozen=True)
class Score:
    """Metrics with intervals of a finished run on any data."""

    run: Annotated[Path, POSITIONAL]
    """The run folder, or a packaged source."""
    data: Annotated[str, POSITIONAL]
    """As for adapt; rows of a test split where there is one, otherwise all."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside DATA that audio may lie in."""
    language: str | None = None
    """ISO 639-3 of rows that name none, for a run with an output layer for each language."""
    out: Path | None = None
    """Where to write the predictions, as JSON Lines."""

    def __call__(self, console: Console) -> int:
        """Print the scores."""
        from speechtransfer.actions.use import score

        return score(console, self)


@dataclass(frozen=True)
class Transcribe:
    """Write down what is said in sound files of any length; of a run on keywords, the word."""

    run: Annotated[Path, POSITIONAL]
    """The run folder, or a packaged source that knows the language."""
    audio: Annotated[tuple[Path, ...], POSITIONAL]
    """Sound files."""
    out: Path | None = None
    """A folder for a file a recording, in which each utterance has its times; what is there already stays."""
    to: Literal["eaf", "textgrid", "srt"] | None = None
    """What to write there: for ELAN (where nothing is said), for Praat, or subtitles."""
    language: str | None = None
    """ISO 639-3 of what is said, for a run with an output layer for each language."""
    json: bool = False
    """One JSON object a line, with the confidence, in place of text."""

    def __call__(self, console: Console) -> int:
        """Print a transcript a file."""
        from speechtransfer.actions.transcribe import transcribe

        return transcribe(self)


@dataclass(frozen=True)
class Embed:
    """Write what a frozen source makes of recordings: a NumPy file each, and an index of them."""

    source: Annotated[str, POSITIONAL]
    """As adapt's --source, a run folder among them; logmel:80 is plain log-mel of 80 bins."""
    audio: Annotated[tuple[str, ...], POSITIONAL]
    """Sound files, or one corpus of any kind that adapt takes."""
    out: Path
    """The folder to write; empty, or not there."""
    block: str | None = None
    """The block whose output is wanted, such as layer2; default: the last."""
    audio_root: tuple[Path, ...] = ()
    """Folders outside the corpus that its audio may lie in."""

    def __call__(self, console: Console) -> int:
        """Write the features."""
        from speechtransfer.actions.use import embed

        return embed(console, self)


@dataclass(frozen=True)
class Sources:
    """List what can be a source here: in the package, under $SPEECHTRANSFER_SOURCES, and by family."""

    def __call__(self, console: Console) -> int:
        """Print the tables."""
        from speechtransfer.actions.listing import sources

        return sources(console)


VERBS: dict[str, Callable[..., Callable[[Console], int]]] = {
    "check": Check,
    "plan": Plan,
    "adapt": Adapt,
    "run": Run,
    "score": Score,
    "compare": Compare,
    "transcribe": Transcribe,
    "spot": Spot,
    "enrol": Enrol,
    "embed": Embed,
    "mine": Mine,
    "align": Align,
    "sources": Sources,
    "report": Report,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb. Exit status 0 done, 1 the data or the request is wrong, 2 usage."""
    verb = tyro.extras.subcommand_cli_from_dict(
        VERBS,
        prog="speechtransfer",
        description=speechtransfer.__doc__,
        args=gathered(sys.argv[1:] if arguments is None else arguments),
        use_underscores=False,
    )
    console = plain_console()
    try:
        sys.exit(verb(console))
    except SpeechTransferError as error:
        print(f"speechtransfer: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        more = "; --resume goes on from the last checkpoint" if isinstance(verb, (Adapt, Run)) else ""
        print(f"speechtransfer: interrupted{more}.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
