"""Prints how many hours of sound an hour check hears beside plain decoding, and what 100,000 rows of text take."""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from speechtransfer.doctor import judge, listen
from speechtransfer.manifest import Utterance, read_manifest
from speechtransfer.separation import shared, told
from speechtransfer.symptoms import paired, written
from speechtransfer.text import TextContract

RATE, SECONDS, FILES, ROUNDS, CORES = 16_000, 6.0, 600, 3, 2
ROWS, SPEAKERS = 100_000, 500
PARTS = ("la casa es grande pero fría", "el perro come pan con ajo", "mañana será otro día", "no sé qué decir")


def hours_an_hour(work: Callable[[], object]) -> tuple[float, float]:
    """Of the fastest of some rounds over FILES recordings: by the processor time of CORES, and by the clock."""
    taken = []
    for _ in range(ROUNDS):
        start, began = time.process_time(), time.perf_counter()
        work()
        taken.append(((time.process_time() - start) / CORES, time.perf_counter() - began))
    used, passed = (FILES * SECONDS / min(one) for one in zip(*taken, strict=True))
    return used, passed


def hearing(folder: Path) -> None:
    """WAV and FLAC of noise that falls with frequency as speech does, so that FLAC's decoder has as much to do."""
    rng = np.random.default_rng(0)
    print(f"hours of sound an hour on {CORES} cores, {FILES} files of {SECONDS:g} s at {RATE} Hz")
    print(f"{'':6}{'check':>10}{'soundfile':>12}{'ratio':>8}{'check, by the clock':>22}")
    for kind in ("wav", "flac"):
        rows = [Utterance(folder / f"{number}.{kind}") for number in range(FILES)]
        for row in rows:
            wave = 0.003 * np.cumsum(rng.standard_normal(round(SECONDS * RATE)))
            soundfile.write(row.audio, wave - np.convolve(wave, np.ones(400) / 400, "same"), RATE)

        def check(rows: list[Utterance] = rows) -> None:
            listen(rows)

        def plain(rows: list[Utterance] = rows) -> None:
            for row in rows:
                soundfile.read(row.audio, dtype="float32")

        (ours, clock), (theirs, _) = hours_an_hour(check), hours_an_hour(plain)
        print(f"{kind:6}{ours:10,.0f}{theirs:12,.0f}{ours / theirs:8.2f}{clock:22,.0f}", flush=True)


def reading(folder: Path) -> None:
    """Text and splits of a manifest of ROWS utterances, as check judges them once their sound was heard."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        (folder / f"{number}.wav").touch()
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as out:
        for row in range(ROWS):
            span = {"audio": f"{row % FILES}.wav", "start": 10.0 * (row // FILES), "end": 10.0 * (row // FILES) + 5}
            about = {"speaker": f"s{row % SPEAKERS}", "split": "test" if row % 50 == 0 else "train"}
            out.write(json.dumps({**span, **about, "text": " ".join(rng.choice(PARTS, 2))}) + "\n")
    start = time.process_time()
    manifest = read_manifest(folder / "rows.jsonl")
    examined = judge(manifest, {}, lambda row: 5.0, TextContract())
    rows = examined.manifest.rows
    found = [*written(rows), *paired(rows, [5.0] * len(rows)), *shared(rows, examined.said)]
    notes = told(rows, examined.said)
    taken, most = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{ROWS:,} rows, text and splits: {taken:.1f} s, {most:.0f} MB, {len(found)} doubts, {len(notes)} notes\n")


def main() -> None:
    """Read first: the memory of a process is the most that it ever had."""
    with tempfile.TemporaryDirectory() as folder:
        reading(Path(folder))
        hearing(Path(folder))


if __name__ == "__main__":
    main()
