"""Where the lines of a long text lie in long sound: the likeliest of all paths, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

#: The label of a letter that the recogniser cannot write: it may be heard as any.
ANY = -1


@dataclass(frozen=True)
class Costs:
    """What departures from the text cost, in natural logarithms.

    The defaults are from Italian prompts said one after the other, with a tenth of the lines left out or added. To a
    recogniser of 11% character errors all values tried were as good; to one that knew little more than vowels less
    than 3 a letter lost lines that were said, and more kept lines that were not.

    Attributes:
        unwritten: of each frame between lines in which a letter is heard: speech that is not in the text.
        unsaid: of each label of a line that is left out: text that is not in the sound.
        most: of any label in any frame, so that one wrong letter does not lose a line.
    """

    unwritten: float = 0.5
    unsaid: float = 3.0
    most: float = 5.0


@dataclass(frozen=True)
class Place:
    """Where a line lies.

    Attributes:
        first: the first frame of each of its labels.
        last: and the last.
        log_posterior: of the path through all of the line's frames, blanks among them, over its number of labels.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    log_posterior: float


def place(
    log_posteriors: np.ndarray, lines: Sequence[Sequence[int]], rest: Sequence[int], costs: Costs | None = None
) -> list[Place | None]:
    """The likeliest path through the lines in their order, each of them whole or left out.

    It is CTC's Viterbi path (Graves et al. 2006) over the whole recording and the whole text at once, as in Kürzinger
    et al. 2020, "CTC-segmentation of large corpora for German end-to-end speech recognition". Here any sound may
    stand between two lines, and there any line may be left out, each at a cost. So speech that nobody wrote down and
    text that nobody said cost their own neighbourhood alone.

    Nothing is pruned: time grows with T x L, frames times labels. Memory grows with sqrt(T) x L, since of all frames
    every sqrt(T)-th is kept and what lies between is computed again on the way back: some 300 megabytes for an hour
    in 20 ms frames with 40,000 labels, and one minute of one processor.

    Args:
        log_posteriors: (T, V) natural logarithms; label 0 is the blank.
        lines: labels, none of them a blank, ``ANY`` among them; no line is empty.
        rest: labels that are free between lines: the blank, and the space where there is one.
        costs: of what departs from the text.

    Returns:
        One place a line; None for those left out.
    """
    trellis = _Trellis(log_posteriors, lines, rest, costs or Costs())
    return trellis.places(*trellis.visited())


class _Scores(NamedTuple):
    """Of the best paths to (L + 1,) gaps and (L,) labels, in float32."""

    gaps: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, size: int) -> _Scores:
        """Room for so many labels."""
        return cls(np.empty(size + 1, np.float32), np.empty(size, np.float32))

    def copy(self) -> _Scores:
        """The same, elsewhere."""
        return _Scores(self.gaps.copy(), self.labels.copy())

    def head(self, size: int) -> _Scores:
        """The first labels and the gaps around them, in the same place."""
        return _Scores(self.gaps[: size + 1], self.labels[:size])

    def lower(self, by: float) -> None:
        """Only differences count, and float32 keeps those of small numbers better."""
        for values in self:
            values -= by


class _Trellis:
    """The states are L labels, line after line, and L + 1 gaps, of which gap j lies before label j.

    A gap at an edge, where a line begins or the last one ends, may hold any sound; the others hold blanks. From
    edge to edge the labels between may be left out.
    """

    def __init__(
        self, log_posteriors: np.ndarray, lines: Sequence[Sequence[int]], rest: Sequence[int], costs: Costs
    ) -> None:
        scores = np.asarray(log_posteriors, dtype=np.float32)
        # All paths have all frames, so that only differences within a frame count.
        self.top = scores.max(axis=1)
        scores = np.maximum(scores - self.top[:, None], np.float32(-costs.most))
        self.between = np.maximum(scores[:, rest].max(axis=1), np.float32(-costs.unwritten))
        any_letter = np.delete(scores, rest, axis=1).max(axis=1)
        self.scores = np.concatenate([scores, any_letter[:, None]], axis=1)
        labels = np.array([label for line in lines for label in line], dtype=np.intp)
        self.labels = np.where(labels == ANY, scores.shape[1], labels)
        self.edges = np.cumsum([0, *map(len, lines)])
        self.leaving = self.edges * costs.unsaid
        # A blank must part equal labels, which would otherwise be heard as one.
        self.direct = np.zeros(len(self.labels), dtype=np.float32)
        self.direct[1:][(self.labels[1:] == self.labels[:-1]) & (labels[1:] != ANY)] = -np.inf
        self.spare = np.empty(len(self.labels), dtype=np.float32)

    def begin(self) -> _Scores:
        """Before the first frame: lines may be left out already."""
        scores = _Scores.of(len(self.labels))
        scores.gaps.fill(-np.inf)
        scores.labels.fill(-np.inf)
        scores.gaps[self.edges] = -self.leaving
        return scores

    def step(self, frame: int, old: _Scores, new: _Scores) -> None:
        """Write scores one frame on, of the first gaps and labels, as many as both hold."""
        size, row = len(old.labels), self.scores[frame]
        edges = self.edges[: np.searchsorted(self.edges, size, side="right")]
        # Into arrays that are there: new ones of this size would take most of the time.
        new.gaps[0] = old.gaps[0]
        np.maximum(old.gaps[1:], old.labels, out=new.gaps[1:])
        at_edges = new.gaps[edges] + self.between[frame] + self.leaving[: len(edges)]
        np.add(new.gaps, row[0], out=new.gaps)
        new.gaps[edges] = np.maximum.accumulate(at_edges) - self.leaving[: len(edges)]
        np.maximum(old.labels, old.gaps[:-1], out=new.labels)
        spare = self.spare[:size]
        np.add(old.labels[:-1], self.direct[1:size], out=spare[1:])
        np.maximum(new.labels[1:], spare[1:], out=new.labels[1:])
        np.take(row, self.labels[:size], out=spare, mode="clip")
        np.add(new.labels, spare, out=new.labels)

    def visited(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last frame (L,) of each label on the best path; -1 where it is left out."""
        first, last = (np.full(len(self.labels), -1) for _ in range(2))
        frames = len(self.scores)
        every = max(1, math.isqrt(frames))
        now, spare, kept = self.begin(), self.begin(), []
        for frame in range(frames):
            if frame % every == 0:
                now.lower(max(now.gaps.max(), now.labels.max()))
                kept.append(now.copy())
            self.step(frame, now, spare)
            now, spare = spare, now
        at_gap = bool(now.gaps[-1] >= now.labels[-1])
        at = len(self.labels) - (not at_gap)
        history = [now, spare, *(_Scores.of(len(self.labels)) for _ in range(every - 2))]
        for begin in reversed(range(0, frames, every)):
            stop = min(begin + every, frames)
            # A path never goes back to what is behind: less and less is computed again.
            rows = [one.head(at + (not at_gap)) for one in (kept.pop(), *history[: stop - begin - 1])]
            for frame, (old, new) in enumerate(pairwise(rows), begin):
                self.step(frame, old, new)
            for frame, old in zip(reversed(range(begin, stop)), reversed(rows), strict=True):
                if at_gap:
                    at = self.entered(at, old)
                    at_gap = not at or bool(old.gaps[at] >= old.labels[at - 1])
                    at -= not at_gap
                else:
                    first[at], last[at] = frame, max(last[at], frame)
                    neighbour = old.labels[at - 1] + self.direct[at] if at else -np.inf
                    best = max(old.labels[at], old.gaps[at], neighbour)
                    at_gap = bool(old.labels[at] < best and old.gaps[at] == best)
                    at -= bool(old.labels[at] < best and not at_gap)
        return first, last

    def entered(self, gap: int, old: _Scores) -> int:
        """The gap from which the path went to a gap within a frame: itself, or an edge if lines are left out."""
        edge = int(np.searchsorted(self.edges, gap))
        if self.edges[edge] != gap:
            return gap
        edges = self.edges[: edge + 1]
        at_edges = old.gaps[edges]
        at_edges[1:] = np.maximum(at_edges[1:], old.labels[edges[1:] - 1])
        best = edge - int(np.argmax((at_edges + self.leaving[: edge + 1])[::-1]))
        return int(edges[best])

    def places(self, first: np.ndarray, last: np.ndarray) -> list[Place | None]:
        """One a line."""
        return [
            self._place(begin, first[begin:end], last[begin:end]) if first[begin] >= 0 else None
            for begin, end in pairwise(self.edges.tolist())
        ]

    def _place(self, begin: int, first: np.ndarray, last: np.ndarray) -> Place:
        """Of the line whose labels begin at ``begin``."""
        frames = np.arange(first[0], last[-1] + 1)
        heard = np.zeros(len(frames), dtype=np.intp)
        for label, start, stop in zip(self.labels[begin:], first - first[0], last - first[0] + 1, strict=False):
            heard[start:stop] = label
        total = float((self.scores[frames, heard] + self.top[frames]).sum())
        return Place(tuple(first.tolist()), tuple(last.tolist()), total / len(first))
