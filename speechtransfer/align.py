"""A recogniser and transcribed sound -> where each word is said, and how sure the recogniser is of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from speechtransfer.audio import Recordings
from speechtransfer.batches import scoring_batches
from speechtransfer.console import watched
from speechtransfer.ctc import required_frames
from speechtransfer.decode import Span
from speechtransfer.errors import SettingsError
from speechtransfer.evaluate import BATCH_SECONDS
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import LedgerRow, Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc, Objective, Sum


@dataclass(frozen=True)
class Letter:
    """A character of a transcript where the recogniser is sure of it; times count from the utterance's start.

    Attributes:
        character: one symbol of the vocabulary, whatever its units are.
        start: seconds where its first frame begins.
        end: seconds where its last frame ends.
        log_posterior: natural logarithm of its posterior, a mean over its frames.
    """

    character: str
    start: float
    end: float
    log_posterior: float


@dataclass(frozen=True)
class Word:
    """A word of a transcript, as the letters that spell it."""

    letters: tuple[Letter, ...]

    @property
    def text(self) -> str:
        """The word after the text contract."""
        return "".join(letter.character for letter in self.letters)


@dataclass(frozen=True)
class Alignment:
    """An utterance's words in its sound.

    Attributes:
        words: in order.
        seconds: how long the utterance is.
    """

    words: tuple[Word, ...]
    seconds: float

    def confidence(self, first: int, last: int) -> float:
        """How sure the recogniser is of the words ``first`` to ``last``, in [0, 1].

        It is the geometric mean over their letters of the posterior: what the recogniser gives an average letter
        of them, given that the transcript is right. One letter that is not heard pulls it down more than an
        arithmetic mean would let it. It is no probability that the word was said, and it flatters utterances
        that the recogniser was trained on.
        """
        letters = [letter for word in self.words[first : last + 1] for letter in word.letters]
        return math.exp(sum(letter.log_posterior for letter in letters) / len(letters))

    def cut(self, first: int, last: int, margin: float) -> tuple[float, float]:
        """Seconds from which to which the words ``first`` to ``last`` are cut, inside the utterance.

        A CTC recogniser is sure of a letter for a frame or two somewhere in its sound, so a word begins before
        its first letter's first frame and ends behind its last letter's last. Each border moves outwards to the
        middle of the gap to the neighbour word, since nothing says which of the two a frame in between belongs
        to, but no further than ``margin`` seconds: a long gap is a pause. At the utterance's ends there is no
        neighbour, and the margin alone counts. Borders are as coarse as the frames, 20 to 80 ms, and families
        centre a frame differently by half of one; nothing finer is claimed.
        """
        start, end = self.words[first].letters[0].start, self.words[last].letters[-1].end
        before = (start - self.words[first - 1].letters[-1].end) / 2 if first else start
        behind = (self.words[last + 1].letters[0].start - end) / 2 if last + 1 < len(self.words) else margin
        return max(0.0, start - min(margin, before)), min(self.seconds, end + min(margin, behind))


def writes(objective: Objective) -> bool:
    """Whether it has an output layer that writes letters."""
    return bool(_writing(objective))


def _writing(objective: Objective) -> tuple[Ctc, ...]:
    parts = tuple(objective.parts.values()) if isinstance(objective, Sum) else (objective,)
    return tuple(part for part in parts if isinstance(part, Ctc))


def recognisers(objective: Objective) -> tuple[Ctc, ...]:
    """The output layers that write letters: the objective itself, or parts of a sum.

    Raises:
        SettingsError: it has none, or they read transcripts differently.
    """
    found = _writing(objective)
    if not found:
        raise SettingsError(
            f"the run's objective ({objective.kind}) writes no letters, so it cannot align a transcript. Give the run "
            "folder of a recogniser (adapt --task ctc)."
        )
    if len({part.vocabulary.contract for part in found}) > 1:
        raise SettingsError(
            "the run's output layers read transcripts by different text contracts, so a word is not the same to all. "
            "Give a run that was trained with one contract."
        )
    return found


def responsible(parts: Sequence[Ctc], row: Utterance) -> int | None:
    """Which output layer is for a row: the first whose field values it has, as in ``Sum``; None where there is none."""
    return next((n for n, part in enumerate(parts) if all(getattr(row, k) == v for k, v in part.only.items())), None)


def align(
    model: Model, manifest: Manifest, recordings: Recordings
) -> tuple[dict[str, Alignment], tuple[LedgerRow, ...]]:
    """Align the transcript of each utterance with its sound; alignments + ledger rows = utterances.

    Args:
        model: a recogniser, or a sum that has one; it is put in eval mode.
        manifest: rows whose texts pass the recogniser's contract.
        recordings: their reader, at the encoder's sample rate.

    Returns:
        Alignments by utterance id, and a ledger row for each utterance that cannot be aligned: characters that
        the vocabulary lacks, more letters than frames, or no output layer that is for it.

    Raises:
        SettingsError: no recogniser in the model.
        AudioError: a recording cannot be read.
    """
    parts = recognisers(model.objective)
    rows = {row.id: row for row in manifest}
    device = next(model.parameters()).device
    found: dict[str, Alignment] = {}
    reasons: dict[str, str] = {}
    batches = scoring_batches(manifest, recordings, BATCH_SECONDS, model.encoder.pads_exactly)
    model.eval()
    with torch.inference_mode():
        for batch in watched(batches, "aligning"):
            moved = batch.to(device)
            frames = model.frames(moved)
            chosen: dict[int, list[int]] = {}
            for place, (name, length) in enumerate(zip(batch.ids, frames.lengths.tolist(), strict=True)):
                part = responsible(parts, rows[name])
                if part is None:
                    reasons[name] = f"no output layer is for it: language {rows[name].language}"
                elif reason := _unfit(parts[part], rows[name].text or "", length):
                    reasons[name] = reason
                else:
                    chosen.setdefault(part, []).append(place)
            for part, places in chosen.items():
                own = batch.select(places)
                found.update(zip(own.ids, _aligned(parts[part], frames.select(places), own, recordings), strict=True))
    ledger = tuple(LedgerRow(row.id, reasons[row.id], split=row.split) for row in manifest if row.id in reasons)
    return found, ledger


def _unfit(part: Ctc, text: str, frames: int) -> str | None:
    """Why a text cannot be aligned; the kind of fault stands before a colon, where ledgers are counted by it."""
    unseen = part.vocabulary.unseen([text])
    if unseen:
        return f"unknown {part.vocabulary.units.unknown}: {' '.join(sorted(unseen))}"
    needed = required_frames(part.vocabulary.encode(text))
    return f"too few frames: {needed} needed, {frames} there" if frames < needed else None


def _letter(character: str, span: Span, period: float) -> Letter:
    return Letter(character, span.first * period, (span.last + 1) * period, span.log_posterior)


def _aligned(part: Ctc, frames: Frames, batch: Batch, recordings: Recordings) -> list[Alignment]:
    """Alignments of a batch whose every text fits."""
    texts = [part.vocabulary.contract.apply(text or "") for text in batch.fields["text"]]
    alignments = []
    for text, spans, samples in zip(texts, part.align(frames, texts), batch.lengths.tolist(), strict=True):
        words: list[Word] = []
        left = iter(spans)
        for pieces in part.vocabulary.words(text):
            if words and part.vocabulary.units.boundary:
                next(left)
            words.append(Word(tuple(_letter(piece, next(left), frames.period) for piece in pieces)))
        alignments.append(Alignment(tuple(words), samples / recordings.sample_rate))
    return alignments
