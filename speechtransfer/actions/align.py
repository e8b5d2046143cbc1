"""What align does: a long recording and its text become a corpus of utterances."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from speechtransfer.checkpoint import load as load_model
from speechtransfer.corpora.praat import write_textgrid
from speechtransfer.doubts import least_sure, write_doubts
from speechtransfer.errors import SettingsError
from speechtransfer.manifest import ledger_counts, write_ledger, write_manifest
from speechtransfer.offers import find_run
from speechtransfer.segment import Segmentation, read_transcript, segment

if TYPE_CHECKING:
    from speechtransfer.align_verb import Align

#: Seconds; what is longer fills a training batch alone.
_LONG = 30.0


def align(console: Console, request: Align) -> int:
    """Write ``manifest.jsonl``, a TextGrid, a page of doubtful lines, and the ledger; status 1 if no line is left."""
    out = request.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError(f"{out}: is not empty. Choose another --out; nothing was changed.")
    lines = read_transcript(request.text, request.by)
    audio = request.audio.absolute()
    done = segment(load_model(find_run(request.run)), audio, lines, request.least_confidence, request.language)
    write_ledger(out / "ledger.jsonl", done.ledger)
    write_textgrid(out / f"{audio.stem}.TextGrid", done.seconds, done.manifest.rows)
    write_doubts(out / "segments.html", done)
    write_manifest(out / "manifest.jsonl", done.manifest)
    _tell(console, request, done, len(lines))
    return 0 if done.segments else 1


def _tell(console: Console, request: Align, done: Segmentation, given: int) -> None:
    table = Table("line", "confidence", "from", "to", Column("least sure of", overflow="fold"))
    for one in least_sure(done.segments):
        start, end = (f"{time or 0:.2f}" for time in (one.row.start, one.row.end))
        table.add_row(str(one.line.number), f"{one.confidence:.3f}", start, end, one.line.text)
    console.print(table)
    for reason, count in ledger_counts(done.ledger).items():
        console.print(f"{count} {reason}")
    lengths = [(row.end or 0.0) - (row.start or 0.0) for row in done.manifest]
    console.print(
        f"{len(lengths)} of {given} {request.by} placed, {sum(lengths) / 60:.1f} of {done.seconds / 60:.1f} minutes"
    )
    if long := sum(length > _LONG for length in lengths):
        advice = "" if request.by == "sentences" else "; --by sentences cuts them, or a new line where you want one"
        console.print(f"{long} are longer than {_LONG:g} s{advice}")
    if not lengths:
        console.print(f"{request.out}: no line is sure enough; look at segments.html, or lower --least-confidence")
        return
    where = f"{request.out} --audio-root {shlex.quote(str(request.audio.parent))}"
    console.print(
        f"{request.out}: look at segments.html, then check {where}, and adapt {where} --set split_by=span",
        soft_wrap=True,
    )
