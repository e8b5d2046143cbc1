"""What is made of one's own recordings to learn from: windows of made-up streams, and copies in other surroundings.

A spotter that learns from whole words alone takes any half of a word for one, since it never heard a half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speechtransfer.audio import Recordings, write_wav
from speechtransfer.augmentation import Surroundings, coloured_noise, surround
from speechtransfer.batches import item_seed
from speechtransfer.console import watched
from speechtransfer.files import cache_folder
from speechtransfer.manifest import RESERVED, SILENCE, UNKNOWN, Utterance
from speechtransfer.trimming import speech_span

#: Seconds between what is said in a stream: from one breath to a pause longer than a window.
_GAPS = (0.02, 2.0)
#: How often a window lies where nothing is said.
_QUIET = 0.1
#: Decibels of the background below the speech, and how steeply its power falls with frequency.
_BELOW, _SLOPES = (15.0, 60.0), (0.0, 2.0)
#: Of the background, at the least: two steps of 16 bits, so that no window of quiet speech is kept as plain zeros.
_FAINTEST = 2 / 32768
#: How often the middle of a window is no word: half of one, halves of two, or one played backwards.
_MISSES = 0.3
#: Shares of a word in a window: below the first it is not heard, from the second on it is whole, and between the
#: third and the second nobody could say which.
_ABSENT, _WHOLE, _UNCLEAR = 0.05, 0.98, 0.7
#: Shares of a word that a near miss keeps.
_CUTS = (0.35, 0.6)


@dataclass(frozen=True)
class _Piece:
    """Sound in a stream; ``label`` is its word, None what is no whole word."""

    wave: np.ndarray
    label: str | None


def practise(
    rows: Sequence[Utterance], recordings: Recordings, window: float, count: int, seed: int
) -> list[Utterance]:
    """Windows around each recording of a word, as a stream of words by the same speaker would give them.

    A window is labelled with the last word that is whole in it; with ``_unknown_`` where there are parts of words
    or near misses alone, and ``_silence_`` where there is neither. It inherits split, speaker, group and language
    of the recording at its middle, and its other sound is of the same split and, where known, speaker. Rows
    labelled ``_silence_`` are the background, in the place of coloured noise. Every window is a function of
    (seed, recording, number), and is kept as a WAV file in the cache, named by its content.

    Args:
        rows: of one split.
        recordings: their reader.
        window: seconds.
        count: windows for each recording of a word.
        seed: of all that is drawn.

    Raises:
        AudioError: a recording cannot be read.
    """
    rate = recordings.sample_rate
    words = [row for row in rows if row.label is not None and row.label not in RESERVED]
    others = [row for row in rows if row.label == UNKNOWN]
    background = [recordings(row) for row in rows if row.label == SILENCE]
    spoken = {row.id: _trimmed(recordings(row), rate) for row in (*words, *others)}
    beside: dict[str | None, list[Utterance]] = {}
    for row in (*words, *others):
        beside.setdefault(row.speaker, []).append(row)
    made = []
    for row in watched(words, "practising"):
        for number in range(count):
            draw = np.random.default_rng(item_seed(seed, number, row.id))
            near = [_piece(one, spoken) for one in _drawn(draw, beside[row.speaker], 2)]
            # The beginning of a word and an end of the same word are that word.
            foreign = [one for one in beside[row.speaker] if one.label != row.label]
            ends = [spoken[one.id] for one in _drawn(draw, foreign, 1)] if foreign else []
            wave, label = _window(draw, _piece(row, spoken), near, ends, background, (round(window * rate), rate))
            group = row.group or row.id  # what is made of one recording is no independent evidence
            made.append(replace(row, audio=_kept(wave, rate), start=None, end=None, label=label, group=group))
    # Two draws may give the same sound; a manifest holds it once.
    return list({row.id: row for row in made}.values())


def moved(
    rows: Sequence[Utterance], recordings: Recordings, surroundings: Surroundings, count: int, seed: int
) -> list[Utterance]:
    """Copies of recordings in other surroundings: files, so that a frozen encoder hears each of them once.

    A copy keeps all that is known of its recording, whose group it joins. It is a function of (seed, recording,
    number) and lies in the cache, as windows do; where nothing was drawn, there is no copy.

    Args:
        rows: the recordings.
        recordings: their reader.
        surroundings: how often noise, a room and a telephone.
        count: copies of each.
        seed: of all that is drawn.

    Raises:
        AudioError: a recording cannot be read.
    """
    made = []
    for row in watched(rows, "moving into rooms"):
        wave = recordings(row)
        for number in range(count):
            changed = surround(wave, recordings.sample_rate, surroundings, item_seed(seed, number, f"moved {row.id}"))
            if changed is not wave:
                path = _kept(changed, recordings.sample_rate)
                made.append(replace(row, audio=path, start=None, end=None, group=row.group or row.id))
    return list({row.id: row for row in made}.values())


def _piece(row: Utterance, spoken: Mapping[str, np.ndarray]) -> _Piece:
    return _Piece(spoken[row.id], None if row.label in RESERVED else row.label)


def _trimmed(wave: np.ndarray, rate: int) -> np.ndarray:
    first, last = speech_span(wave, rate)
    return wave[first:last]


def _drawn(draw: np.random.Generator, rows: Sequence[Utterance], count: int) -> list[Utterance]:
    return [rows[int(index)] for index in draw.integers(len(rows), size=count)]


def _window(
    draw: np.random.Generator,
    middle: _Piece,
    near: Sequence[_Piece],
    ends: Sequence[np.ndarray],
    background: Sequence[np.ndarray],
    sizes: tuple[int, int],
) -> tuple[np.ndarray, str]:
    """One window (S,) and its label; ``ends`` are of other words, ``sizes`` its samples and the rate."""
    size, rate = sizes
    if draw.random() < _MISSES:
        middle = _Piece(_near_miss(draw, middle.wave, ends), None)
    pieces = () if draw.random() < _QUIET else (near[0], middle, near[1])
    while True:
        gaps = [round(draw.uniform(*_GAPS) * rate) for _ in range(2)]
        starts = np.cumsum([0, len(near[0].wave) + gaps[0], len(middle.wave) + gaps[1]])[: len(pieces)]
        # From where the middle begins to be heard, to where it is heard no longer.
        end = len(near[0].wave) + gaps[0] + int(draw.integers(len(middle.wave) + size))
        shares = [_share(int(start), len(one.wave), end - size, end) for start, one in zip(starts, pieces, strict=True)]
        heard = [(share, one) for share, one in zip(shares, pieces, strict=True) if share >= _ABSENT]
        whole = [one.label for share, one in heard if share >= _WHOLE and one.label is not None]
        if whole or not any(share > _UNCLEAR and one.label is not None for share, one in heard):
            break
    stream = np.zeros(size, np.float64)
    for start, one in zip(starts, pieces, strict=True):
        _add(stream, one.wave, int(start) - (end - size))
    level = max(_level(middle.wave) * 10 ** (-draw.uniform(*_BELOW) / 20), _FAINTEST)
    stream += _background(draw, background, size) * level
    return stream.astype(np.float32), whole[-1] if whole else UNKNOWN if heard else SILENCE


def _near_miss(draw: np.random.Generator, word: np.ndarray, ends: Sequence[np.ndarray]) -> np.ndarray:
    """A part of the word, the word backwards or, where there is another, its beginning with that one's end."""
    kind, share = int(draw.integers(3 if ends else 2)), draw.uniform(*_CUTS)
    cut = int(share * len(word))
    if kind == 0:
        return word[:cut] if draw.random() < 0.5 else word[len(word) - cut :]
    if kind == 1:
        return word[::-1]
    other = ends[0]
    return np.concatenate([word[:cut], other[len(other) - int(share * len(other)) :]])


def _share(start: int, length: int, first: int, last: int) -> float:
    """How much of what is ``length`` long from ``start`` on lies between ``first`` and ``last``."""
    return max(0, min(start + length, last) - max(start, first)) / max(length, 1)


def _add(stream: np.ndarray, wave: np.ndarray, at: int) -> None:
    """Add a wave to the stream in place, from ``at`` on, which may lie outside it."""
    first, last = max(at, 0), min(at + len(wave), len(stream))
    if last > first:
        stream[first:last] += wave[first - at : last - at]


def _background(draw: np.random.Generator, given: Sequence[np.ndarray], size: int) -> np.ndarray:
    """(size,) of unit power: a stretch of a recording, or noise."""
    noise = coloured_noise(size, draw.uniform(*_SLOPES), draw)
    if given:
        one = given[int(draw.integers(len(given)))]
        noise = np.resize(np.roll(one, -int(draw.integers(max(1, len(one))))), size).astype(np.float64)
    return noise / max(_level(noise), 1e-9)


def _level(wave: np.ndarray) -> float:
    return float(np.sqrt(np.square(wave, dtype=np.float64).mean())) if len(wave) else 0.0


def _kept(wave: np.ndarray, rate: int) -> Path:
    """The WAV file of a window, written unless it is there."""
    name = hashlib.sha256(f"{rate}".encode() + wave.tobytes()).hexdigest()[:20]
    path = cache_folder() / "practice" / name[:2] / f"{name}.wav"
    if not path.is_file():
        write_wav(path, wave, rate)
    return path
