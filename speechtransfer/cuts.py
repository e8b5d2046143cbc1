"""The page of mined cuts: a few of each word, the least sure first, since those are what people must look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from speechtransfer.audio import read
from speechtransfer.files import write_atomically
from speechtransfer.mining import Cut, Mined
from speechtransfer.pictures import SAMPLE_RATE, Html, Marks, page, spectrogram, table, wrapped

#: Seconds drawn on either side of a cut: enough to see the neighbour words.
_AROUND = 0.4
#: Examples of a word: so many of the least sure, and one each from the middle and the top.
_LEAST = 3
#: Heads the table of all words; no word has a colon.
_ALL = "Words: all"


def write_cuts(path: Path, mined: Mined) -> None:
    """Write an HTML page that needs nothing from outside; its links lead to the clips beside it.

    Raises:
        AudioError: a recording cannot be read any more.
        DataError: the file cannot be written.
    """
    by_word: dict[str, list[tuple[str, Cut]]] = {word: [] for word in mined.tallies}
    for name, cut in mined.clips.items():
        by_word[cut.word].append((name, cut))
    sections = {word: _word(cuts) for word, cuts in by_word.items() if cuts}
    write_atomically(path, page("Mined cuts", {_ALL: _overview(by_word), **sections}))


def _overview(by_word: Mapping[str, Sequence[tuple[str, Cut]]]) -> str:
    text = (
        "Of each word the least sure cuts, one from the middle and the surest. Between the lines is what was cut; the "
        "letters above stand where the recogniser is surest of them. Confidence is the geometric mean of its "
        "posteriors for the word's letters, given the transcript; low, the word may be cut wrongly, said unclearly, "
        "or not said at all."
    )
    rows = []
    for word, cuts in by_word.items():
        seconds = sorted(cut.end - cut.start for _, cut in cuts)
        spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}" if seconds else ""
        rows.append((word, len(cuts), spread, f"{min(cut.confidence for _, cut in cuts):.2f}" if cuts else ""))
    return wrapped("p", text) + table(("word", "clips", "seconds", "least confidence"), rows)


def _word(cuts: Sequence[tuple[str, Cut]]) -> str:
    """Examples of one word, of which there is one cut at least."""
    ordered = sorted(cuts, key=lambda pair: pair[1].confidence)
    places = dict.fromkeys((*range(min(_LEAST, len(ordered))), len(ordered) // 2, len(ordered) - 1))
    return "".join(_example(*ordered[place]) for place in places)


def _example(name: str, cut: Cut) -> str:
    """One cut amid what is said around it."""
    begin = max(0.0, cut.start - _AROUND)
    end = min(cut.alignment.seconds, cut.end + _AROUND)
    offset = cut.row.start or 0.0
    letters = tuple(
        ((letter.start + letter.end) / 2, letter.character)
        for word in cut.alignment.words
        for letter in word.letters
        if begin <= letter.start and letter.end <= end
    )
    wave = read(cut.row.audio, SAMPLE_RATE, offset + begin, offset + end)
    words = [word.text for word in cut.alignment.words]
    parts = (words[: cut.first], words[cut.first : cut.last + 1], words[cut.last + 1 :])
    before, itself, behind = (escape(" ".join(part)) for part in parts)
    said = wrapped("div", Html(f"{before} <strong>{itself}</strong> {behind}"))
    about = f'<a href="{quote(name)}">{escape(name.rpartition("/")[2])}</a>confidence {cut.confidence:.2f}'
    picture = spectrogram(wave, begin, Marks(cut.start, cut.end, letters))
    return f'<div class="one"><div class="dim">{about}</div>{said}{picture}</div>'
