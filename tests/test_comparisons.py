"""Losses that compare clips, against their formulas in plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from speechtransfer.objectives.comparisons import COMPARISONS

SAID = torch.tensor([0, 1, 0, 2, 1, 0, 2, 1])
TEMPERATURE, MARGIN = 0.3, 0.4


def embedded(items: int = 8) -> Tensor:
    values = torch.randn(items, 5, generator=torch.Generator().manual_seed(4))
    return torch.nn.functional.normalize(values, dim=-1).requires_grad_()


def loss(name: str, values: Tensor, said: Tensor = SAID) -> float:
    return float(COMPARISONS[name](values, said, TEMPERATURE, MARGIN).detach())


def distance(one: list[float], other: list[float]) -> float:
    return math.dist(one, other)


def unit(values: list[float]) -> list[float]:
    length = math.hypot(*values)
    return [value / length for value in values]


def test_prototypes_are_the_cross_entropy_of_queries_over_supports() -> None:
    values = embedded().tolist()
    own = {word: [k for k, one in enumerate(SAID.tolist()) if one == word] for word in (0, 1, 2)}
    means = {}
    for word, places in own.items():
        support = places[: len(places) // 2]
        means[word] = unit([sum(values[k][d] for k in support) / len(support) for d in range(5)])
    terms = []
    for word, places in own.items():
        for k in places[len(places) // 2 :]:
            odds = {other: math.exp(-(distance(values[k], mean) ** 2) / TEMPERATURE) for other, mean in means.items()}
            terms.append(-math.log(odds[word] / sum(odds.values())))
    assert loss("prototypes", embedded()) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_triplets_are_those_that_violate_the_margin() -> None:
    values, said = embedded().tolist(), SAID.tolist()
    places = range(len(said))
    terms = [
        max(0.0, distance(values[a], values[p]) - distance(values[a], values[n]) + MARGIN)
        for a in places
        for p in places
        for n in places
        if a != p and said[a] == said[p] != said[n]
    ]
    violating = [term for term in terms if term > 0]
    assert loss("triplet", embedded()) == pytest.approx(sum(violating) / len(violating), rel=1e-5)


def test_ntxent_is_the_cross_entropy_of_each_pair_against_other_words() -> None:
    values, said = embedded().tolist(), SAID.tolist()
    places = range(len(said))
    cosine = [[sum(x * y for x, y in zip(values[a], values[b], strict=True)) for b in places] for a in places]
    terms = []
    for a in places:
        others = sum(math.exp(cosine[a][n] / TEMPERATURE) for n in places if said[n] != said[a])
        for p in places:
            if p != a and said[p] == said[a]:
                same = math.exp(cosine[a][p] / TEMPERATURE)
                terms.append(-math.log(same / (same + others)))
    assert loss("ntxent", embedded()) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_siamese_draws_a_words_pairs_together_and_others_to_the_margin() -> None:
    wide = 1.5
    values, said = embedded().tolist(), SAID.tolist()
    pairs = [(a, b) for a in range(len(said)) for b in range(len(said)) if a != b]
    same = [distance(values[a], values[b]) for a, b in pairs if said[a] == said[b]]
    apart = [max(0.0, wide - distance(values[a], values[b])) for a, b in pairs if said[a] != said[b]]
    lacking = [one for one in apart if one > 0]
    expected = sum(same) / len(same) + sum(lacking) / len(lacking)
    found = float(COMPARISONS["siamese"](embedded(), SAID, TEMPERATURE, wide).detach())
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", sorted(COMPARISONS))
@pytest.mark.parametrize("said", [[], [0], [0, 1, 2]])
def test_where_no_two_clips_are_of_one_word_no_number_breaks(name: str, said: list[int]) -> None:
    values = embedded(max(len(said), 1))
    found = COMPARISONS[name](values[: len(said)], torch.tensor(said, dtype=torch.int64), TEMPERATURE, MARGIN)
    assert math.isfinite(float(found.detach()))
    (found + values.sum() * 0.0).backward()
    assert values.grad is not None and values.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_the_order_of_other_words_does_not_matter(name: str) -> None:
    values = embedded()
    renamed = torch.tensor([2, 0, 1])[SAID]
    assert loss(name, values) == pytest.approx(loss(name, values, renamed), rel=1e-6)
