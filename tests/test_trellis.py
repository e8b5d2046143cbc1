"""Lines in frames against every path there is, and what memory and departures from the text may not change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise, product

import numpy as np
import pytest

from speechtransfer.trellis import ANY, Costs, Place, place

COSTS = Costs(unwritten=1.5, unsaid=1.0, most=6.0)
#: The blank, the space and three letters.
LABELS, REST = 5, (0, 1)


def drawn(seed: int, frames: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 3, (frames, LABELS))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def spellings(frames: int, labels: Sequence[int]) -> Iterator[tuple[tuple[int, int], ...]]:
    """The first and last frame of each label, every way in which CTC can spell them in all of so many frames."""
    places = range(len(labels) + 1)
    for marks in product(places, repeat=frames):  # a label's number, or for a blank one more than there are
        runs = [(mark, [at for at, _ in run]) for mark, run in groupby(enumerate(marks), key=lambda pair: pair[1])]
        said = [(mark, times) for mark, times in runs if mark != len(labels)]
        touching = any(
            one[0] != len(labels) != two[0] and labels[one[0]] == labels[two[0]] != ANY for one, two in pairwise(runs)
        )
        if [mark for mark, _ in said] == [*range(len(labels))] and not touching:
            yield tuple((times[0], times[-1]) for _, times in said)


def cost(scores: np.ndarray, lines: Sequence[Sequence[int]], spans: Sequence[tuple[int, int] | None]) -> float:
    """What a path scores, by the definition: labels where they are, blanks inside lines, any sound elsewhere."""
    scores = np.maximum(scores - scores.max(1, keepdims=True), -COSTS.most)
    total, covered, at = 0.0, np.zeros(len(scores), dtype=bool), 0
    for line in lines:
        own = [span for span in spans[at : at + len(line)] if span is not None]
        at += len(line)
        if not own:
            total -= COSTS.unsaid * len(line)
            continue
        inside = np.zeros(len(scores), dtype=bool)
        inside[own[0][0] : own[-1][1] + 1] = True
        covered |= inside
        for label, (first, last) in zip(line, own, strict=True):
            total += (
                scores[first : last + 1, 2:].max(1).sum() if label == ANY else scores[first : last + 1, label].sum()
            )
            inside[first : last + 1] = False
        total += scores[inside, 0].sum()
    return total + np.maximum(scores[~covered][:, REST].max(1, initial=-COSTS.most), -COSTS.unwritten).sum()


def best(scores: np.ndarray, lines: Sequence[Sequence[int]]) -> float:
    """The best score by trying every set of lines and every spelling of it."""
    found = -np.inf
    for kept in product((False, True), repeat=len(lines)):
        labels = [label for line, there in zip(lines, kept, strict=True) if there for label in line]
        for spelling in spellings(len(scores), labels):
            given = iter(spelling)
            spans = [next(given) if there else None for line, there in zip(lines, kept, strict=True) for _ in line]
            if possible(len(scores), lines, spans):
                found = max(found, cost(scores, lines, spans))
    return found


def possible(frames: int, lines: Sequence[Sequence[int]], spans: Sequence[tuple[int, int] | None]) -> bool:
    """Whether lines are left out at the beginning, or where there is a frame between the lines around them."""
    end, at, left = -1, 0, False
    for line in [*lines, [ANY]]:
        own = [span for span in [*spans, (frames, frames)][at : at + len(line)] if span is not None]
        at += len(line)
        if own and left and end >= 0 and own[0][0] == end + 1:
            return False
        left, end = not own, own[-1][1] if own else end
    return True


def spans_of(lines: Sequence[Sequence[int]], places: Sequence[Place | None]) -> list[tuple[int, int] | None]:
    return [
        span
        for line, one in zip(lines, places, strict=True)
        for span in (zip(one.first, one.last, strict=True) if one else [None] * len(line))
    ]


@pytest.mark.parametrize("seed", range(15))
def test_no_path_is_better(seed: int) -> None:
    draw = np.random.default_rng(seed)
    lines = [draw.choice([ANY, 1, 2, 3], size).tolist() for size in draw.integers(1, 3, draw.integers(1, 4))]
    scores = drawn(seed, 5)
    places = place(scores, lines, REST, COSTS)
    assert cost(scores, lines, spans_of(lines, places)) == pytest.approx(best(scores, lines), abs=1e-4)


def told(frames: int, heard: dict[int, int]) -> np.ndarray:
    """Posteriors that say a label in some frames, and a blank in all others."""
    scores = np.full((frames, LABELS), -8.0)
    scores[:, 0] = 0.0
    for frame, label in heard.items():
        scores[frame, [0, label]] = -8.0, 0.0
    return scores


@pytest.mark.parametrize("frames", [90, 1000, 1023])
def test_what_is_kept_of_the_way_changes_nothing(frames: int) -> None:
    """Lines far apart, so that the path crosses what is computed again many times over."""
    at = np.sort(np.random.default_rng(frames).choice(frames // 3, 24, replace=False)) * 3
    lines = [[2, 3, 4, 2]] * 6
    heard = {int(frame): label for frame, label in zip(at, [2, 3, 4, 2] * 6, strict=True)}
    places = place(told(frames, heard), lines, REST, COSTS)
    assert [frame for one in places if one for frame in one.first] == at.tolist()
    assert all(one and one.log_posterior == pytest.approx(0.0, abs=1e-6) for one in places)


def test_equal_labels_need_a_blank_between() -> None:
    apart = told(9, {2: 3, 4: 3})
    assert place(apart, [[3, 3]], REST, COSTS) == [Place((2, 4), (2, 4), 0.0)]
    (together,) = place(told(9, {2: 3, 3: 3, 4: 3}), [[3, 3]], REST, COSTS)
    assert together is None or together.first[1] - together.last[0] > 1


def test_confidence_counts_what_is_heard_between_letters() -> None:
    """Two letters over four frames, of which one says another letter: its blank costs 8, clipped at 6."""
    (one,) = place(told(12, {4: 2, 5: 4, 7: 3}), [[2, 3]], REST, Costs(2.0, 8.0, 6.0))
    assert one == Place((4, 7), (4, 7), -3.0)


def test_no_sound_holds_no_line() -> None:
    assert place(np.zeros((0, LABELS)), [[2], [3]], REST, COSTS) == [None, None]
