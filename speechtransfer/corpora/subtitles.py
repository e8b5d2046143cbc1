"""Utterances -> subtitles: SubRip's ``.srt``, which players show beside the sound or the film."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechtransfer.files import write_atomically
from speechtransfer.manifest import Utterance


def write_srt(path: Path, seconds: float, rows: Sequence[Utterance]) -> None:
    """Write the utterances of one recording, in order, as numbered subtitles.

    Args:
        path: the file.
        seconds: of the recording.
        rows: its utterances.

    Raises:
        DataError: the file cannot be written.
    """
    shown = [
        f"{number}\n{_clock(row.start or 0.0)} --> {_clock(seconds if row.end is None else row.end)}\n{row.text}\n\n"
        for number, row in enumerate(rows, 1)
    ]
    write_atomically(path, "".join(shown))


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds, as 01:02:03,004."""
    minutes, thousandths = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{thousandths // 1000:02d},{thousandths % 1000:03d}"
