"""The verb `align`, as those of `cli`: one frozen dataclass whose field docs are its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

#: Given by place, not by name.
POSITIONAL = tyro.conf.Positional  # type: ignore[type-arg]


@dataclass(frozen=True)
class Align:
    """Cut a long recording into the utterances of its transcript, for adapt to learn from."""

    run: Annotated[Path, POSITIONAL]
    """The run folder of a recogniser of the language, a weak one will do; or a packaged source that knows it."""
    audio: Annotated[Path, POSITIONAL]
    """The recording, of any length."""
    text: Annotated[Path, POSITIONAL]
    """What is said in it, in order: UTF-8 text, an utterance a line."""
    out: Path
    """The folder to write; empty, or not there."""
    by: Literal["lines", "sentences"] = "lines"
    """What an utterance is: a line of the text, or each sentence of one, where lines are paragraphs."""
    least_confidence: float = 0.02
    """Leave out lines of which the recogniser is less sure, from 0 to 1."""
    language: str | None = None
    """ISO 639-3 code of the recording."""

    def __call__(self, console: Console) -> int:
        """Write the manifest and print what became of the lines."""
        from speechtransfer.actions.align import align

        return align(console, self)
