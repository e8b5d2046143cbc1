"""Keyword clips out of transcribed speech: the words wanted, found by forced alignment, cut, and accounted for.

Mazumder et al. 2021, "Multilingual Spoken Words Corpus", made theirs so. What is cut here inherits the split and the
speaker of its utterance, and a group, so that no split divides two cuts of one recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from speechtransfer.align import Alignment, align, recognisers
from speechtransfer.audio import Recordings, probe, read, write_flac
from speechtransfer.console import watched
from speechtransfer.doctor import examine, require
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.files import write_lines
from speechtransfer.lexicon import places
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, write_ledger, write_manifest
from speechtransfer.model import Model
from speechtransfer.splits import kept_together

#: Characters of a recording's name that the names of its clips repeat.
_STEM = 40


@dataclass(frozen=True)
class Cutting:
    """How clips are chosen and cut.

    The defaults are from 400 words of four letters or more in unseen Russian and Italian prompts, cut and recognised
    alone by the model that cut them: of the 53 below 0.5 none came out as itself. Without a margin 27% of all did,
    with 0.05 to 0.3 s 49%.

    Attributes:
        least_confidence: of a word's letters, in [0, 1]; less sure cuts are left out.
        margin: seconds that a cut may exceed its letters on either side.
        at_most: clips of a word; None is all.
    """

    least_confidence: float = 0.5
    margin: float = 0.1
    at_most: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cuts nothing.

        Raises:
            SettingsError: a value out of its range.
        """
        if not 0 <= self.least_confidence <= 1:
            raise SettingsError(f"--least-confidence {self.least_confidence:g}: must be between 0 and 1.")
        if not 0 <= self.margin < float("inf"):
            raise SettingsError(f"--margin {self.margin:g}: must be seconds, 0 or more.")
        if self.at_most is not None and self.at_most < 1:
            raise SettingsError(f"--at-most {self.at_most}: must be 1 or more; leave it out for all.")


@dataclass(frozen=True)
class Cut:
    """An occurrence of a wanted word where it was found.

    Attributes:
        word: the word or phrase, after the text contract.
        row: the utterance that it was said in.
        first: place of its first word in the transcript.
        last: place of its last.
        start: seconds from the utterance's start where the cut begins.
        end: where it ends.
        confidence: as ``Alignment.confidence``.
        alignment: of the whole utterance.
    """

    word: str
    row: Utterance
    first: int
    last: int
    start: float
    end: float
    confidence: float
    alignment: Alignment


@dataclass(frozen=True)
class Tally:
    """What became of a word.

    Attributes:
        occurrences: in usable transcripts.
        clips: that were cut.
        dropped: the other occurrences by reason.
        confidence: median over all occurrences that could be aligned; None where there was none.
    """

    occurrences: int
    clips: int
    dropped: Counter[str]
    confidence: float | None


@dataclass(frozen=True)
class Mined:
    """What was cut: every clip by its file, relative to the folder, and a tally of each word in the order asked."""

    clips: dict[str, Cut]
    tallies: dict[str, Tally]


def require_room(out: Path) -> None:
    """Refuse a folder that holds anything.

    Raises:
        SettingsError: it does.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        held = "holds mined clips already" if (out / "manifest.jsonl").exists() else "is not empty"
        raise SettingsError(f"{out}: {held}. Choose another --out; nothing was changed.")


def mine(
    model: Model, manifest: Manifest, recordings: Recordings, words: Sequence[str], out: Path, settings: Cutting
) -> Mined:
    """Cut every sure occurrence of each word into ``OUT/<word>/<id>.flac``, 16 bits at its recording's own rate.

    Beside the class folders stand ``index.jsonl`` (of each clip its confidence and where it is from, in seconds of the
    source file), ``ledger.jsonl`` (every occurrence that is no clip, and why) and last ``manifest.jsonl``, so that a
    folder that has it is whole.

    Args:
        model: a recogniser.
        manifest: legible rows; the sound of those without a wanted word is not read, but they too say what belongs
            together.
        recordings: a reader at the encoder's rate.
        words: as ``lexicon.wanted`` gives them.
        out: a folder that is empty or not there.
        settings: how.

    Raises:
        SettingsError: the folder holds files, or the model is no recogniser.
        DataError: no clip can be cut, or a wanted recording is missing, or unusable and of a test split; nothing was
            written.
    """
    require_room(out)
    contract = recognisers(model.objective)[0].vocabulary.contract
    said = {row.id: contract.apply(row.text or "") for row in manifest}
    spoken = [(row, word, place) for row in manifest for word in words for place in places(said[row.id], word)]
    asked = {row.id for row, _, _ in spoken}
    heard = Manifest(tuple(row for row in manifest if row.id in asked))
    usable = require(examine(heard, recordings, contract)) if asked else heard
    alignments, unfit = align(model, usable, recordings)
    reasons = {row.audio: row.reason for row in (*usable.ledger, *unfit)}
    cuts = [_cut(alignments[row.id], row, word, place, settings) for row, word, place in spoken if row.id in alignments]
    chosen, left = _choose(cuts, settings)
    left = [(word, row, reasons[row.id]) for row, word, _ in spoken if row.id in reasons] + left
    counts = Counter(word for _, word, _ in spoken)
    tallies = {word: _tally(word, counts[word], cuts, chosen, left) for word in words}
    if not chosen:
        why = "; ".join(f"{word}: {tally.occurrences} in transcripts, {told(tally)}" for word, tally in tallies.items())
        mend = "Choose other words, or a lower --least-confidence."
        if not spoken:
            mend = "Choose others: without --words, mine lists those of the corpus."
        raise DataError(f"no clip could be cut ({why}). {mend}")
    clips = _write(chosen, {row.id: number for number, row in enumerate(manifest)}, out)
    write_lines(out / "index.jsonl", (_line(name, cut) for name, cut in clips.items()))
    ledger = (LedgerRow(row.id, reason, split=row.split, where=f"the word {word}") for word, row, reason in left)
    write_ledger(out / "ledger.jsonl", (*manifest.ledger, *ledger))
    groups = _groups(manifest, said)
    rows = (_row(out.resolve() / name, cut, groups[cut.row.id]) for name, cut in clips.items())
    write_manifest(out / "manifest.jsonl", Manifest(tuple(rows)))
    return Mined(clips, tallies)


def told(tally: Tally) -> str:
    """Why occurrences of a word are no clips, in words, the commonest reason first."""
    return ", ".join(f"{count} {reason}" for reason, count in tally.dropped.most_common()) or "none dropped"


def _cut(alignment: Alignment, row: Utterance, word: str, place: tuple[int, int], settings: Cutting) -> Cut:
    borders = alignment.cut(*place, settings.margin)
    return Cut(word, row, *place, *borders, alignment.confidence(*place), alignment)


#: An occurrence that is no clip: the word, its utterance, and why.
_Left = tuple[str, Utterance, str]


def _choose(cuts: Sequence[Cut], settings: Cutting) -> tuple[list[Cut], list[_Left]]:
    """The sure cuts in their order, and why the others are left.

    Of more than are wanted each speaker's surest come first, then each one's next: many voices are worth more than
    many clips of the clearest one.
    """
    turns: Counter[tuple[str, str | None]] = Counter()
    order: list[tuple[int, int]] = []
    for number in sorted(range(len(cuts)), key=lambda number: -cuts[number].confidence):
        if cuts[number].confidence >= settings.least_confidence:
            speaker = cuts[number].word, cuts[number].row.speaker
            order.append((turns[speaker], number))
            turns[speaker] += 1
    taken: dict[str, list[int]] = {}
    for _, number in sorted(order, key=lambda one: one[0]):
        taken.setdefault(cuts[number].word, []).append(number)
    kept = {number for numbers in taken.values() for number in numbers[: settings.at_most]}
    left = [
        (cut.word, cut.row, _why_not(cut, settings.least_confidence))
        for number, cut in enumerate(cuts)
        if number not in kept
    ]
    return [cut for number, cut in enumerate(cuts) if number in kept], left


def _why_not(cut: Cut, least: float) -> str:
    where = f"{cut.start:.2f} to {cut.end:.2f} s, confidence {cut.confidence:.2f}"
    return f"more than were wanted: {where}" if cut.confidence >= least else f"low confidence: {where}"


def _tally(word: str, occurrences: int, cuts: Sequence[Cut], chosen: Sequence[Cut], left: Sequence[_Left]) -> Tally:
    sure = [cut.confidence for cut in cuts if cut.word == word]
    dropped = Counter(reason.split(":")[0] for other, _, reason in left if other == word)
    return Tally(occurrences, sum(cut.word == word for cut in chosen), dropped, median(sure) if sure else None)


def _write(chosen: Sequence[Cut], numbers: Mapping[str, int], out: Path) -> dict[str, Cut]:
    """Write the clips, each recording read once; two folders may hold recordings of one name, so names are numbered."""
    clips = {}
    recordings = [[*cuts] for _, cuts in groupby(chosen, key=lambda cut: cut.row.id)]
    for cuts in watched(recordings, "cutting"):
        row = cuts[0].row
        rate = probe(row.audio).sample_rate
        wave = read(row.audio, rate, row.start, row.end)
        for cut in cuts:
            name = f"{cut.word}/{numbers[row.id]:06d}_{row.audio.stem[:_STEM]}_{cut.first}.flac"
            write_flac(out / name, wave[round(cut.start * rate) : round(cut.end * rate)], rate)
            clips[name] = cut
    return clips


def _line(name: str, cut: Cut) -> dict[str, Any]:
    """One line of the index: a clip, how sure it is, and where it is from."""
    begin = cut.row.start or 0.0
    return {
        "audio": name,
        "label": cut.word,
        "confidence": round(cut.confidence, 4),
        "source": str(cut.row.audio),
        "start": round(begin + cut.start, 4),
        "end": round(begin + cut.end, 4),
        "text": cut.row.text,
    }


def _row(path: Path, cut: Cut, group: str) -> Utterance:
    row = cut.row
    return Utterance(
        path,
        label=cut.word,
        speaker=row.speaker,
        language=row.language,
        domain=row.domain,
        split=row.split,
        group=group,
    )


def _groups(manifest: Manifest, said: Mapping[str, str]) -> dict[str, str]:
    """The group of each utterance's cuts, by its id: what adapt would keep in one split keeps its cuts there.

    That is one recording, one prompt, one group of the corpus. Where speakers are known and there are no groups it is
    one speaker, so that no voice crosses splits; prompts that speakers share may, for they would tie all voices into
    one group.
    """
    by_speaker = len(manifest.speakers) > 1 and not any(row.group for row in manifest)
    parts = kept_together(manifest, lambda row: row.id if by_speaker and row.speaker else said[row.id], by_speaker)
    named = {}
    for part in parts:
        first = manifest[part[0]]
        name = first.group or (by_speaker and first.speaker) or said[first.id]
        named.update(dict.fromkeys((manifest[index].id for index in part), name))
    return named
