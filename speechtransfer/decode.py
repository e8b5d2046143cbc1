"""From frame posteriors to label sequences: greedy, by beam search with a language model, or aligned where known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torchaudio.functional import forced_align

from speechtransfer.ctc import required_frames
from speechtransfer.errors import DataError
from speechtransfer.ngram import END, LanguageModel


@dataclass(frozen=True)
class Path:
    """A decoded item.

    Attributes:
        labels: output indices, repeats merged, blanks removed.
        frames: the frame where each label begins.
        confidence: geometric mean over the frames of the best posterior; 1.0 where there is no frame.
    """

    labels: tuple[int, ...]
    frames: tuple[int, ...]
    confidence: float


def greedy(logits: Tensor, lengths: Tensor, blank: int = 0) -> list[Path]:
    """The best label of every frame, repeats merged and blanks removed.

    Args:
        logits: (B, T, V), before any softmax.
        lengths: (B,) valid frames.
        blank: index of the blank.
    """
    best, indices = logits.detach().float().log_softmax(-1).max(-1)
    paths = []
    for scores, row, length in zip(best, indices.tolist(), lengths.tolist(), strict=True):
        labels, frames, previous = [], [], blank
        for frame, label in enumerate(row[:length]):
            if label not in (blank, previous):
                labels.append(label)
                frames.append(frame)
            previous = label
        confidence = float(scores[:length].mean().exp()) if length else 1.0
        paths.append(Path(tuple(labels), tuple(frames), confidence))
    return paths


@dataclass(frozen=True)
class Span:
    """Where one label of a known sequence lies.

    Attributes:
        first: its first frame.
        last: its last frame; the same where it has one, as most labels of a CTC model have.
        log_posterior: natural logarithm of its posterior, a mean over its frames.
    """

    first: int
    last: int
    log_posterior: float


def align(logits: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]], blank: int = 0) -> list[tuple[Span, ...]]:
    """Forced alignment: the labels' frames on the likeliest of all paths that spell them (Viterbi).

    Graves et al. 2006, "Connectionist temporal classification", with the maximum in the place of the sum. A
    CTC model needs a label to stand somewhere in its sound, not to last as long: spans are the frames where
    the model is sure of the letter, mostly shorter than what is heard of it.

    Args:
        logits: (B, T, V), before any softmax.
        lengths: (B,) valid frames.
        targets: the labels of each item, without blanks; may be empty.
        blank: index of the blank.

    Returns:
        One span a label, in order, for each item.

    Raises:
        DataError: an item has fewer frames than its labels require (equal neighbours need one between them).
    """
    scores = logits.detach().float().log_softmax(-1).cpu()
    return [
        _align(index, item[:length], target, blank)
        for index, (item, length, target) in enumerate(zip(scores, lengths.tolist(), targets, strict=True))
    ]


def _align(index: int, scores: Tensor, target: Sequence[int], blank: int) -> tuple[Span, ...]:
    """One item, from its log posteriors (T, V)."""
    if len(scores) < required_frames(target):
        raise DataError(
            f"item {index}: {len(scores)} frames cannot spell {len(target)} labels "
            f"(at least {required_frames(target)} are needed). Check the transcript against the audio."
        )
    if not target:
        return ()
    path, posteriors = forced_align(scores[None], torch.tensor([target], dtype=torch.int32), blank=blank)
    spans, first = [], 0
    # Equal neighbours have a blank between them, so each run of one label is one label of the target.
    for label, run in groupby(path[0].tolist()):
        last = first + len(list(run)) - 1
        if label != blank:
            spans.append(Span(first, last, float(posteriors[0, first : last + 1].mean())))
        first = last + 1
    return tuple(spans)


@dataclass(frozen=True)
class Fusion:
    """How much a language model counts against the sound (shallow fusion).

    Attributes:
        model: over the labels' characters.
        weight: of its log-probability.
        bonus: added for each character, since every factor of a model makes long texts unlikelier.
    """

    model: LanguageModel
    weight: float
    bonus: float


def beam_search(
    logits: Tensor,
    lengths: Tensor,
    labels: Sequence[str],
    fusion: Fusion | None = None,
    width: int = 24,
    blank: int = 0,
) -> list[str]:
    """The text of highest score, sums over all alignments included: prefix beam search.

    Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs", algorithm 1, with characters in the place of words. The score of a text is its CTC
    log-likelihood + weight x the model's + bonus x its length. A label may be several characters long: the
    model then counts each of them, and the likelihood of a text is the sum over all its spellings in labels.

    Args:
        logits: (B, T, V), before any softmax.
        lengths: (B,) valid frames.
        labels: what each output writes; the blank's is not read.
        fusion: the language model; None searches by sound alone.
        width: texts kept after each frame, each with the label that it ends in.
        blank: index of the blank.
    """
    scores = logits.detach().float().log_softmax(-1).cpu()
    return [
        _search(item[:length].tolist(), labels, fusion, width, blank)
        for item, length in zip(scores, lengths.tolist(), strict=True)
    ]


#: Outputs this unlikely at a frame (natural logarithm) are not followed.
_CUTOFF = -10.0
#: A text and the index of its last label; the same text may be spelt with other labels.
_Spelt = tuple[str, int]


def _search(frames: list[list[float]], labels: Sequence[str], fusion: Fusion | None, width: int, blank: int) -> str:
    """One item; a beam is a spelling with the log-likelihoods of ending in a blank and in its last label."""

    def extended(text: str, label: str) -> float:
        if fusion is None:
            return 0.0
        told = fusion.model.log_probability(END + text, label[0])
        for place in range(1, len(label)):
            told += fusion.model.log_probability(END + text + label[:place], label[place])
        return fusion.weight * told + fusion.bonus * len(label)

    beams: dict[_Spelt, tuple[float, float, float]] = {("", blank): (0.0, -math.inf, 0.0)}
    for frame in frames:
        likely = [index for index, score in enumerate(frame) if score > _CUTOFF or index == blank]
        found: dict[_Spelt, list[float]] = {}
        for spelt, (in_blank, in_label, prior) in beams.items():
            text, last = spelt
            either = _add(in_blank, in_label)
            for index in likely:
                score, label = frame[index], labels[index]
                if index == blank:
                    _reach(found, spelt, either + score, -math.inf, prior)
                    continue
                if index == last:
                    # The same label again is the same unit, unless a blank parts them.
                    _reach(found, spelt, -math.inf, in_label + score, prior)
                    if in_blank > -math.inf:
                        further = prior + extended(text, label)
                        _reach(found, (text + label, index), -math.inf, in_blank + score, further)
                else:
                    _reach(found, (text + label, index), -math.inf, either + score, prior + extended(text, label))
        best = sorted(found.items(), key=lambda beam: -(_add(beam[1][0], beam[1][1]) + beam[1][2]))
        beams = {spelt: (one, two, prior) for spelt, (one, two, prior) in best[:width]}

    whole: dict[str, float] = {}
    for (text, _), (in_blank, in_label, prior) in beams.items():
        score = _add(in_blank, in_label) + prior + (extended(text, END) - fusion.bonus if fusion else 0.0)
        whole[text] = _add(whole.get(text, -math.inf), score)
    return max(whole, key=lambda text: whole[text])


def _reach(found: dict[_Spelt, list[float]], spelt: _Spelt, in_blank: float, in_label: float, prior: float) -> None:
    """Add one way to a spelling; its prior is the same whichever way it is reached."""
    if spelt in found:
        held = found[spelt]
        held[0], held[1] = _add(held[0], in_blank), _add(held[1], in_label)
    else:
        found[spelt] = [in_blank, in_label, prior]


def _add(one: float, two: float) -> float:
    """The logarithm of a sum from the logarithms of its terms."""
    least, most = (one, two) if one < two else (two, one)
    return most if least == -math.inf else most + math.log1p(math.exp(least - most))
