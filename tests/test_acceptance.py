"""Calibration and thresholds against closed forms and the counts that they promise."""

from __future__ import annotations

import json
import math

import pytest
import torch

from speechtransfer.acceptance import Acceptance, fit_acceptance, fit_temperature, fit_threshold
from speechtransfer.errors import SettingsError


def test_a_temperature_undoes_the_sharpening_of_calibrated_logits() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 4, generator=draw) * 2
    targets = torch.multinomial(logits.softmax(-1), 1, generator=draw).squeeze(1)
    assert fit_temperature(logits, targets) == pytest.approx(1.0, abs=0.05)
    assert fit_temperature(3 * logits, targets) == pytest.approx(3.0, rel=0.05)


def test_without_an_error_the_model_is_not_made_surer() -> None:
    assert fit_temperature(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])) == 1.0


@pytest.mark.parametrize(("rate", "reach"), [(0.0, 0), (0.24, 0), (0.25, 1), (0.5, 2), (0.99, 3)])
def test_a_threshold_lets_no_more_than_its_share_of_the_negatives_pass(rate: float, reach: int) -> None:
    negatives = [0.4, 0.3, 0.2, 0.1]
    threshold = fit_threshold([0.9, negatives[reach] + 1e-4], negatives, rate)
    assert sum(score >= threshold for score in negatives) == reach
    assert sum(score >= fit_threshold([0.9], negatives, rate) for score in negatives) <= reach


def test_it_lies_half_way_in_log_odds() -> None:
    odds = math.sqrt((0.2 / 0.8) * (0.9 / 0.1))
    assert fit_threshold([0.9, 0.99], [0.2, 0.05], 0.0) == pytest.approx(odds / (1 + odds))


def test_a_word_below_every_negative_is_refused_with_them() -> None:
    assert 0.7 < fit_threshold([0.3], [0.7], 0.0) <= 1


@pytest.mark.parametrize("negatives", [[], [1.0], [0.0], [1.0, 1.0]])
def test_scores_at_the_ends_of_the_scale_have_a_threshold(negatives: list[float]) -> None:
    threshold = fit_threshold([1.0], negatives, 0.0)
    assert not any(score >= threshold for score in negatives)
    assert math.isfinite(threshold)


def test_every_word_has_the_others_as_its_negatives() -> None:
    scores = torch.tensor([[0.9, 0.3], [0.2, 0.8], [0.4, 0.1]])
    found = fit_acceptance(scores, ["a", "b", "_unknown_"], ("a", "b"), 0.0)
    assert found["a"] == pytest.approx(fit_threshold([0.9], [0.2, 0.4], 0.0), abs=1e-6)
    assert found["b"] == pytest.approx(fit_threshold([0.8], [0.3, 0.1], 0.0), abs=1e-6)


def test_words_with_few_others_share_a_threshold() -> None:
    scores = torch.tensor([[0.9, 0.3], [0.2, 0.8], [0.4, 0.1]])
    found = fit_acceptance(scores, ["a", "b", "_unknown_"], ("a", "b"), 0.0, alike=True)
    shared = fit_threshold([0.9, 0.8], [0.2, 0.4, 0.3, 0.1], 0.0)
    assert found == {"a": pytest.approx(shared, abs=1e-6), "b": pytest.approx(shared, abs=1e-6)}


@pytest.mark.parametrize(("others", "own"), [(99, False), (100, True)])
def test_a_word_with_many_others_has_its_own(others: int, own: bool) -> None:
    draw = torch.Generator().manual_seed(3)
    # Of "b" there are some more others, so only "a" is at the border.
    said = ["a"] * 60 + ["b"] * (others - 40) + ["_unknown_"] * 40
    scores = torch.rand(len(said), 2, generator=draw, dtype=torch.float64)
    found = fit_acceptance(scores, said, ("a", "b"), 0.1, alike=True)
    columns = scores.T.tolist()
    of = [
        ([s for s, label in zip(column, said, strict=True) if (label == word) is positive])
        for word, column in zip("ab", columns, strict=True)
        for positive in (True, False)
    ]
    shared = fit_threshold(of[0] + of[2], of[1] + of[3], 0.1)
    assert found["a"] == (fit_threshold(of[0], of[1], 0.1) if own else shared)
    assert found["b"] == (fit_threshold(of[2], of[3], 0.1) if len(of[3]) >= 100 else shared)
    assert fit_threshold(of[0], of[1], 0.1) != shared


def test_what_is_shared_keeps_to_its_rate_on_other_recordings() -> None:
    draw = torch.Generator().manual_seed(0)
    words = tuple("abcdefghij")
    said = [word for word in words for _ in range(5)]
    rate, fresh = 0.01, torch.rand(100_000, generator=draw, dtype=torch.float64)

    def reached(threshold: float) -> float:
        return float((fresh >= threshold).double().mean())

    # Whatever is said scores alike and evenly: the share that reaches a threshold is one less it.
    scores = torch.rand(len(said), len(words), generator=draw, dtype=torch.float64)
    (found,) = {reached(threshold) for threshold in fit_acceptance(scores, said, words, rate, alike=True).values()}
    assert 0 < found <= rate * 1.5
    alone = [
        fit_threshold(
            [score for score, label in zip(column, said, strict=True) if label == word],
            [score for score, label in zip(column, said, strict=True) if label != word],
            rate,
        )
        for word, column in zip(words, scores.T.tolist(), strict=True)
    ]
    assert max(map(reached, alone)) > 3 * rate


def test_it_is_written_and_read() -> None:
    made = Acceptance({"a": 0.5}, 1.5, 0.8, 0.05)
    assert Acceptance(**json.loads(json.dumps(made.as_dict()))) == made
    assert made.accepted({"a": 0.5, "b": 1.0}) == ("a",)
    assert made.accepted({"a": 0.49}) == ()


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"window": 0.0}, {"rate": 1.0}, {"rate": -0.1}])
def test_values_that_accept_nothing_or_anything_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="above zero"):
        Acceptance(**wrong)  # type: ignore[arg-type]


def test_a_stranger_that_is_merely_likeliest_is_probable_but_of_high_energy() -> None:
    logits = torch.tensor([[8.0, 0.0, 0.0], [0.0, 9.0, 0.0], [7.0, 1.0, 0.0], [0.0, 0.0, 8.0]])
    fitted = Acceptance(by="energy").fitted(logits, torch.tensor([0, 1, 0, 2]))
    assert fitted.middle == pytest.approx(8.0)
    assert fitted.spread == pytest.approx(math.sqrt((0 + 1 + 1 + 0) / 4))
    stranger = torch.tensor([[1.0, -6.0, -6.0]])
    probable = Acceptance(temperature=fitted.temperature).word_scores(stranger, [0, 1])
    energies = fitted.word_scores(torch.cat([logits, stranger]), [0, 1])
    assert probable[0, 0] > 0.99
    assert energies[-1, 0] < 0.01
    # By hand, and in the order of the logits: a threshold on one is a threshold on the other.
    assert energies[0, 0] == pytest.approx(0.5)
    assert energies[1, 1] == pytest.approx(1 / (1 + math.exp(-1 / fitted.spread)))
    assert energies.argsort(0).tolist() == torch.cat([logits, stranger])[:, :2].argsort(0).tolist()


def test_one_recording_has_no_spread_and_still_a_scale() -> None:
    fitted = Acceptance(by="energy").fitted(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
    assert fitted.word_scores(torch.tensor([[2.0, 0.0], [1.9, 0.0]]), [0]).flatten().tolist() == [0.5, 0.0]
