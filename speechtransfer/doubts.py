"""The page of an aligned recording: the lines it is least sure of, with their sound, and what became of every line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speechtransfer.audio import read
from speechtransfer.files import write_atomically
from speechtransfer.pictures import SAMPLE_RATE, Marks, page, spectrogram, table, wrapped
from speechtransfer.segment import Segment, Segmentation

#: Seconds drawn on either side of a line, and at most of the line itself.
_AROUND, _MOST = 0.7, 12.0
#: Lines that people should look at first.
_LEAST = 10


def least_sure(segments: Iterable[Segment]) -> list[Segment]:
    """Those to look at first, the least sure before the others."""
    return sorted(segments, key=lambda one: one.confidence)[:_LEAST]


def write_doubts(path: Path, done: Segmentation) -> None:
    """Write an HTML page that needs nothing from outside.

    Raises:
        AudioError: the recording cannot be read any more.
        DataError: the file cannot be written.
    """
    text = (
        "Between the bright borders is what was cut; the letters above stand where the recogniser is surest of them. "
        "Confidence is the geometric mean over a line's letters of the recogniser's posterior for its path, given the "
        "text; it compares lines of one recogniser alone. Low, the line may be placed wrongly, said unclearly or in "
        "other words, or not said at all."
    )
    dropped = [(row.where or "", row.action, row.reason) for row in done.ledger]
    sections = {
        "Least sure": wrapped("p", text) + _pictures(done.segments, done.seconds),
        "Too unsure": _pictures(done.doubtful, done.seconds),
        "Dropped and doubtful": table(("line", "", "why"), dropped) if dropped else "",
        "All segments": table(("line", "from", "to", "confidence", "text"), map(_cells, done.segments)),
    }
    write_atomically(path, page("Aligned recording", sections))


def _cells(one: Segment) -> tuple[object, ...]:
    return one.line.number, f"{one.row.start:.2f}", f"{one.row.end:.2f}", f"{one.confidence:.3f}", one.line.text


def _pictures(segments: Iterable[Segment], seconds: float) -> str:
    return "".join(_picture(one, seconds) for one in least_sure(segments))


def _picture(one: Segment, seconds: float) -> str:
    """A line amid what is heard around it; of a long one its beginning."""
    start, end = one.row.start or 0.0, one.row.end or seconds
    begin, stop = max(0.0, start - _AROUND), min(seconds, end + _AROUND, start + _MOST)
    wave = read(one.row.audio, SAMPLE_RATE, begin, stop)
    letters = tuple(letter for letter in one.letters if letter[0] <= stop)
    about = f"line {one.line.number}: {start:.2f} to {end:.2f} s, confidence {one.confidence:.3f}"
    picture = spectrogram(wave, begin, Marks(start, min(end, stop), letters))
    return f'<div class="one">{wrapped("div", about, "dim")}{wrapped("div", one.line.text)}{picture}</div>'
