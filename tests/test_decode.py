"""Tests of decoding: greedy against `itertools.groupby`, beams and alignments against every path there is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.decode import Fusion, Span, align, beam_search, greedy
from speechtransfer.errors import DataError
from speechtransfer.ngram import END, CharacterNgram

torch.set_num_threads(1)


def logits_of(paths: list[list[int]], labels: int, high: float = 5.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose best labels are the paths; beyond each, noise that must not be read."""
    frames = max(1, *map(len, paths))
    logits = 3 * torch.randn(len(paths), frames, labels, generator=torch.Generator().manual_seed(7))
    for item, path in enumerate(paths):
        logits[item, : len(path)] = 0.0
        for frame, label in enumerate(path):
            logits[item, frame, label] = high
    return logits, torch.tensor([len(path) for path in paths])


PATHS = st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(PATHS, st.integers(0, 3))
def test_greedy_is_the_naive_collapse(paths: list[list[int]], blank: int) -> None:
    logits, lengths = logits_of(paths, 4)
    best = 5.0 - math.log(math.exp(5.0) + 3)
    for path, found in zip(paths, greedy(logits, lengths, blank), strict=True):
        runs = [[frame for frame, _ in run] for _, run in itertools.groupby(enumerate(path), lambda at: at[1])]
        spoken = [run for run in runs if path[run[0]] != blank]
        assert found.labels == tuple(path[run[0]] for run in spoken)
        assert found.frames == tuple(run[0] for run in spoken)
        assert found.confidence == pytest.approx(math.exp(best) if path else 1.0, rel=1e-5)


def test_worked_example() -> None:
    logits, lengths = logits_of([[0, 3, 3, 0, 3, 1, 1, 2, 0, 0]], 4)
    (path,) = greedy(logits, lengths)
    assert path.labels == (3, 3, 1, 2)
    assert path.frames == (1, 4, 5, 7)


def test_what_stands_beyond_the_length_is_ignored() -> None:
    logits = torch.randn(3, 11, 6, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([11, 4, 0])
    expected = [greedy(logits[item : item + 1, :n], torch.tensor([n]))[0] for item, n in enumerate(lengths.tolist())]
    dirty = logits.clone()
    dirty[1, 4:], dirty[2] = float("nan"), float("inf")
    assert greedy(dirty, lengths) == expected
    assert expected[2].labels == ()
    assert expected[2].frames == ()
    assert expected[2].confidence == 1.0


def test_confidence_is_the_geometric_mean_of_the_best_posteriors() -> None:
    posteriors = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]])
    (path,) = greedy(posteriors.log(), torch.tensor([3]))
    assert path.labels == (1,)
    assert path.frames == (1,)
    assert path.confidence == pytest.approx((0.5 * 0.8 * 0.9) ** (1 / 3), rel=1e-5)


def test_half_precision_is_decoded_as_well() -> None:
    logits, lengths = logits_of([[1, 0, 1], [2]], 3)
    assert [path.labels for path in greedy(logits.bfloat16(), lengths)] == [(1, 1), (2,)]


def collapsed(path: tuple[int, ...], labels: Sequence[str]) -> str:
    return "".join(labels[index] for index, _ in itertools.groupby(path) if index)


def exhaustive(logits: torch.Tensor, labels: Sequence[str], fusion: Fusion | None) -> dict[str, float]:
    """The score of every text that any path spells, summed path by path."""
    scores = logits.log_softmax(-1).tolist()
    totals: dict[str, float] = {}
    for path in itertools.product(range(len(labels)), repeat=len(scores)):
        text = collapsed(path, labels)
        totals[text] = totals.get(text, 0.0) + math.exp(
            sum(row[index] for row, index in zip(scores, path, strict=True))
        )
    found = {text: math.log(total) for text, total in totals.items()}
    for text in found if fusion else ():
        assert fusion is not None
        spelt = [*text, END]
        told = sum(fusion.model.log_probability(END + text[:k], one) for k, one in enumerate(spelt))
        found[text] += fusion.weight * told + fusion.bonus * len(text)
    return found


FUSIONS = (None, Fusion(CharacterNgram.from_texts(["ab", "abba", "bb"], 3), 0.7, 0.4))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("seed", range(12))
def test_a_wide_beam_finds_the_best_of_all_texts(seed: int, fusion: Fusion | None) -> None:
    labels = "-ab"
    logits = 2 * torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(seed))
    expected = exhaustive(logits[0], labels, fusion)
    (found,) = beam_search(logits, torch.tensor([6]), labels, fusion, width=1000)
    assert found == max(expected, key=lambda text: expected[text])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("seed", range(12))
def test_a_text_is_the_sum_of_its_spellings_in_longer_labels(seed: int, fusion: Fusion | None) -> None:
    labels = ("", "a", "b", "ab", "ba ")
    logits = 2 * torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(seed))
    expected = exhaustive(logits[0], labels, fusion)
    (found,) = beam_search(logits, torch.tensor([5]), labels, fusion, width=10_000)
    assert found == max(expected, key=lambda text: expected[text])


def test_a_text_does_not_tell_which_label_it_ends_in() -> None:
    """After "ch" an "h" is another label, not the same that goes on; only after itself it goes on."""
    logits = torch.full((1, 4, 4), -20.0)
    for frame, label in enumerate((3, 2, 2, 3)):
        logits[0, frame, label] = 0.0
    assert beam_search(logits, torch.tensor([4]), ("", "c", "h", "ch")) == ["chhch"]


def test_a_beam_sums_alignments_where_greedy_sees_one() -> None:
    # The best path is all blank (0.36), but the paths of "a" together have 0.64 (Graves et al. 2006, figure 2).
    logits = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()
    assert greedy(logits, torch.tensor([2]))[0].labels == ()
    assert beam_search(logits, torch.tensor([2]), "-a") == ["a"]


def test_a_language_model_chooses_between_what_sounds_alike() -> None:
    logits = torch.full((1, 2, 4), -20.0)
    logits[0, 0, 1], logits[0, 1, 2], logits[0, 1, 3] = 0.0, -0.69, -0.70
    labels = "-abc"
    assert beam_search(logits, torch.tensor([2]), labels) == ["ab"]
    told = Fusion(CharacterNgram.from_texts(["ac", "ca"], 3), 0.5, 0.0)
    assert beam_search(logits, torch.tensor([2]), labels, told) == ["ac"]


def test_a_beam_reads_each_item_to_its_length_alone() -> None:
    logits, lengths = logits_of([[1, 0, 1, 2], [2, 2], []], 3)
    assert beam_search(logits, lengths, "-ab") == ["aab", "b", ""]


def likeliest(logits: torch.Tensor, target: tuple[int, ...]) -> tuple[Span, ...]:
    """The spans of the best of all paths that spell the target, each path tried."""
    scores = logits.log_softmax(-1).tolist()
    spelling = [
        path
        for path in itertools.product(range(len(scores[0])), repeat=len(scores))
        if tuple(index for index, _ in itertools.groupby(path) if index) == target
    ]
    best = max(spelling, key=lambda path: sum(row[index] for row, index in zip(scores, path, strict=True)))
    runs = [(label, [at for at, _ in run]) for label, run in itertools.groupby(enumerate(best), lambda pair: pair[1])]
    return tuple(Span(run[0], run[-1], sum(scores[at][label] for at in run) / len(run)) for label, run in runs if label)


@pytest.mark.parametrize("target", [(1,), (1, 1), (1, 2, 1), (2, 2, 1), (2, 1, 1, 2), ()])
@pytest.mark.parametrize("seed", range(6))
def test_an_alignment_is_the_best_of_all_paths(seed: int, target: tuple[int, ...]) -> None:
    logits = 2 * torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(seed))
    (found,) = align(logits, torch.tensor([6]), [target])
    expected = likeliest(logits[0], target) if target else ()
    assert [(span.first, span.last) for span in found] == [(span.first, span.last) for span in expected]
    assert [span.log_posterior for span in found] == pytest.approx([span.log_posterior for span in expected], abs=1e-5)


def test_alignments_read_each_item_to_its_length_alone() -> None:
    logits, lengths = logits_of([[0, 1, 1, 0, 1, 2], [2, 2, 0, 1]], 3)
    one, other = align(logits.bfloat16(), lengths, [[1, 1, 2], [2, 1]])
    assert [(span.first, span.last) for span in one] == [(1, 2), (4, 4), (5, 5)]
    assert [(span.first, span.last) for span in other] == [(0, 1), (3, 3)]


@pytest.mark.parametrize(("target", "needed"), [([1, 2, 1, 2], 4), ([1, 1], 3)])
def test_labels_that_outrun_their_frames_are_refused(target: list[int], needed: int) -> None:
    align(torch.zeros(1, needed, 3), torch.tensor([needed]), [target])
    with pytest.raises(DataError, match=rf"item 0: {needed - 1} frames cannot .*at least {needed} are"):
        align(torch.zeros(1, needed, 3), torch.tensor([needed - 1]), [target])
