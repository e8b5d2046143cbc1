"""Prints how well `align` finds the recordings of a run's test split, laid end to end with pauses, in one long file.

    python tests/bench/bench_align.py RUN DATA

RUN is the run folder of a recogniser, with its predictions of test; other texts of DATA are the lines that nobody said.
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from speechtransfer import segment as segmenting
from speechtransfer.audio import probe, read, write_wav
from speechtransfer.checkpoint import load as load_model
from speechtransfer.corpora import load as load_corpus
from speechtransfer.errors import TextError
from speechtransfer.files import read_lines
from speechtransfer.hearing import recogniser_for
from speechtransfer.model import Model
from speechtransfer.segment import Line, segment
from speechtransfer.trimming import speech_span

SHARE, SEEDS = 0.1, 5
#: A line of the text: the number of its recording, or None where nobody says it.
Lines = list[tuple[int | None, str]]


def lay(rows: list[dict[str, str]], path: Path, draw: np.random.Generator) -> np.ndarray:
    """Write the recordings one after the other, parted by their own silence; (N, 2) seconds of each one's speech."""
    rate = probe(rows[0]["audio"]).sample_rate
    waves = [read(row["audio"], rate) for row in rows]
    spans = [speech_span(wave, rate) for wave in waves]
    pairs = list(zip(waves, spans, strict=True))
    silence = np.concatenate([piece for wave, (first, last) in pairs for piece in (wave[:first], wave[last:])])
    pieces, times, at = [], [], 0
    for wave, (first, last) in pairs:
        pause = round(float(np.clip(draw.lognormal(-0.7, 0.6), 0.15, 3.0)) * rate)
        begin = int(draw.integers(len(silence)))
        pieces += [np.resize(np.roll(silence, -begin), pause), wave[first:last]]
        times.append((at + pause, at + pause + last - first))
        at = times[-1][1]
    write_wav(path, np.concatenate([*pieces, np.resize(silence, rate)]), rate)
    return np.array(times) / rate


def changed(lines: Lines, others: list[str], kind: str, draw: np.random.Generator) -> Lines:
    """The text without some of its lines, or with some that nobody says, or both."""
    count = round(SHARE * len(lines))
    lines = list(lines)
    if kind in ("deleted", "both"):
        lines = [lines[place] for place in np.sort(draw.permutation(len(lines))[count:])]
    if kind in ("inserted", "both"):
        for text in draw.choice(others, count, replace=False):
            lines.insert(int(draw.integers(len(lines) + 1)), (None, str(text)))
    return lines


def measure(model: Model, audio: Path, times: np.ndarray, texts: list[Lines]) -> str:
    """A line of the table, over several draws of a text."""
    errors, sure, true = [], [], []
    for lines in texts:
        done = segment(model, audio, [Line(Path("text"), number, text) for number, (_, text) in enumerate(lines)])
        found = {one.line.number: one for one in done.segments}
        for number, (place, _) in enumerate(lines):
            true.append(place is not None)
            sure.append(found[number].confidence if number in found else -1.0)
            if place is not None and number in found:
                row = found[number].row
                errors += [abs((row.start or 0.0) - times[place, 0]), abs((row.end or 0.0) - times[place, 1])]
    gaps, placed = np.array(errors), np.array(sure) >= 0
    cells = [f"{(placed & true).sum()}/{sum(true)}", f"{(placed & ~np.array(true)).sum()}/{len(true) - sum(true)}"]
    cells += [
        f"{np.median(gaps):.3f}",
        f"{np.quantile(gaps, 0.95):.3f}",
        *(f"{(gaps < far).mean():.1%}" for far in (0.2, 0.5)),
    ]
    cells.append("" if all(true) else f"{roc_auc_score(true, sure):.3f}")
    return "".join(f"{cell:>12}" for cell in cells)


def main(run: str, data: str) -> None:
    """Lay the file and print a row for each change of its text."""
    model = load_model(run)
    contract = recogniser_for(model, None).vocabulary.contract
    segmenting.hear = cache(segmenting.hear)  # type: ignore[assignment]  # one recording, many texts
    draw = np.random.default_rng(0)
    rows = read_lines(Path(run) / "predictions" / "test.jsonl")
    rows = [rows[place] for place in draw.permutation(len(rows))]
    said = list(enumerate(row["reference"] for row in rows))
    others = set()
    for row in load_corpus(data):
        try:
            others.add(contract.apply(row.text or ""))
        except TextError:  # what cannot be read is no line
            continue
    foreign = sorted(text for text in others - {text for _, text in said} if len(text) > 4)
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "long.wav"
        times = lay(rows, audio, draw)
        print(f"{run}: {len(rows)} recordings, {probe(audio).seconds / 60:.1f} minutes")
        heads = ("placed", "foreign kept", "median s", "95% s", "within 0.2", "within 0.5", "AUC")
        print(f"{'text':10}" + "".join(f"{head:>12}" for head in heads))
        for kind in ("whole", "deleted", "inserted", "both"):
            texts = [changed(said, foreign, kind, draw) for _ in range(SEEDS if kind != "whole" else 1)]
            print(f"{kind:10}" + measure(model, audio, times, texts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
