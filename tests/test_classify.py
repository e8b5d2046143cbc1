"""Classify against hand-made cross-entropy: pooling that ignores padding, weights, honest scores, a round trip."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import framed
import pytest
import torch
from framed import LENGTHS, batch, row

from speechtransfer.acceptance import Acceptance
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames
from speechtransfer.objectives import KINDS, Classify, Prediction
from speechtransfer.objectives.pooled import Attention, Pooling, pool

LABELS = ("no", "stop", "yes")


def attached(**values: Any) -> Classify:
    torch.manual_seed(0)
    objective = Classify(LABELS, **{"dropout": 0.0, **values})
    objective.attach(6, 0.02)
    return objective.eval()


def frames(padding: float = 0.0) -> Frames:
    made = framed.frames(padding)
    made.values.requires_grad_()
    return made


def naive(objective: Classify, item: int) -> list[float]:
    """Log-probabilities of one item, frame by frame in plain Python, for mean and max pooling."""
    values = frames().values[item, : LENGTHS[item]].tolist()
    columns = list(zip(*values, strict=True))
    pooled = [max(one) if objective.pooling == "max" else sum(one) / len(one) for one in columns]
    weight, bias = objective.heads["output"].weight.tolist(), objective.heads["output"].bias.tolist()
    logits = [sum(w * x for w, x in zip(line, pooled, strict=True)) + b for line, b in zip(weight, bias, strict=True)]
    total = math.log(sum(math.exp(one) for one in logits))
    return [one - total for one in logits]


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_weighted_mean_cross_entropy(pooling: Any, smoothing: float) -> None:
    objective = attached(pooling=pooling, smoothing=smoothing, weights=(1.0, 2.0, 0.5))
    (loss,) = objective.loss(frames(), batch("yes", "stop", None, weight=(3.0, 1.0, 9.0)), 0.5).values()
    terms = []
    for item, label in ((0, 2), (1, 1)):
        logs = naive(objective, item)
        terms.append(-(1 - smoothing) * logs[label] - smoothing * sum(logs) / 3)
    weights = (3.0 * 0.5, 1.0 * 2.0)
    expected = sum(w * term for w, term in zip(weights, terms, strict=True)) / sum(weights)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max", "attentive"])
def test_what_is_padded_changes_nothing(pooling: Any) -> None:
    objective = attached(pooling=pooling, hidden=(5,))
    clean, dirty = objective.logits(frames()), objective.logits(frames(padding=50.0))
    assert torch.equal(clean, dirty)
    alone = [
        objective.logits(Frames(frames().values[item : item + 1, :length], torch.tensor([length]), 0.02))
        for item, length in enumerate(LENGTHS)
    ]
    assert torch.allclose(torch.cat(alone), clean, atol=1e-6)


def test_attentive_pooling_is_a_mean_until_it_has_learnt() -> None:
    objective = attached(pooling="attentive")
    assert objective.attention is not None
    with torch.no_grad():
        objective.attention.weigh.weight.zero_()
    mean = attached(pooling="mean")
    mean.output = objective.output
    assert torch.allclose(objective.logits(frames()), mean.logits(frames()), atol=1e-6)


def test_a_batch_without_labels_gives_a_zero_attached_to_the_graph() -> None:
    objective, given = attached(pooling="attentive", hidden=(4,)), frames()
    (loss,) = objective.loss(given, batch(None, None, None), 0.0).values()
    assert loss.item() == 0.0
    loss.backward()
    assert all(value.grad is not None and not value.grad.any() for value in (given.values, *objective.parameters()))


def test_predictions_name_the_likeliest_label_and_its_probability() -> None:
    objective = attached()
    for item, prediction in enumerate(objective.predict(frames())):
        logs = naive(objective, item)
        assert prediction.value == LABELS[max(range(3), key=lambda index: logs[index])]
        assert prediction.confidence == pytest.approx(math.exp(max(logs)), rel=1e-5)


def test_scores_resample_speakers_and_count_unseen_labels_as_errors() -> None:
    rows = [row("yes", f"{k}.wav", speaker) for k, speaker in enumerate(("anna", "anna", "ben"))]
    scores = attached().score([*rows, row("maybe", "3.wav", "ben")], [Prediction("yes", 0.9)] * 4)
    assert (scores["accuracy"].value, scores["accuracy"].count) == (0.75, 4)
    assert {one.group for one in scores.rows} == {"anna", "ben"}
    alone = attached().score(rows[:2], [Prediction("yes", 0.9)] * 2)
    assert {one.group for one in alone.rows} == {one.id for one in rows[:2]}
    with pytest.raises(DataError, match=r"a\.wav: has no label"):
        attached().score([row(None)], [Prediction("yes", 1.0)])


@pytest.mark.parametrize(
    ("label", "count", "reason"),
    [("yes", 3, None), (None, 3, "no label"), ("maybe", 3, "unknown label: maybe"), ("yes", 0, "shorter than one")],
)
def test_what_cannot_be_learnt_from_is_told_why(label: str | None, count: int, reason: str | None) -> None:
    found = attached().unfit(row(label), count)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_labels_come_from_training_rows_sorted_and_balanced_by_count() -> None:
    rows = [row("b"), row("a"), row("b"), row("b"), row(None)]
    objective = Classify.from_rows(rows, balanced=True)
    assert objective.labels == ("a", "b")
    assert objective.weights == pytest.approx((2.0, 2 / 3))
    with pytest.raises(DataError, match="1 different labels"):
        Classify.from_rows(rows[:1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": ("a",)},
        {"labels": ("a", "a")},
        {"labels": ("a", "b"), "weights": (1.0,)},
        {"labels": ("a", "b"), "weights": (1.0, -1.0)},
        {"labels": ("a", "b"), "pooling": "median"},
        {"labels": ("a", "b"), "smoothing": 1.0},
        {"labels": ("a", "b"), "hidden": (0,)},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="classify: "):
        Classify(**wrong)


def test_settings_round_trip() -> None:
    objective = attached(pooling="attentive", hidden=(5, 4), smoothing=0.1, weights=(1.0, 2.0, 3.0))
    saved = json.loads(json.dumps({"kind": objective.kind, **objective.settings()}))
    again = KINDS[saved["kind"]].from_settings(saved)
    again.attach(6, 0.02)
    again.load_state_dict(objective.state_dict(), strict=True)
    assert isinstance(again, Classify)
    assert again.settings() == objective.settings()
    assert torch.equal(again.eval().logits(frames()), objective.logits(frames()))


def test_the_head_is_the_output_layer_under_its_own_names() -> None:
    objective = attached(hidden=(5,))
    parameters = dict(objective.named_parameters())
    weight, bias = (parameters[name] for name in ("output.weight", "output.bias"))
    assert objective.heads["output"].weight is weight
    assert objective.heads["output"].bias is bias
    assert objective.heads["output"].labels == LABELS
    with pytest.raises(PlanError, match="no width"):
        _ = Classify(LABELS).heads
    with pytest.raises(PlanError, match="no width"):
        Classify(LABELS, pooling="attentive").logits(frames())


def test_hidden_layers_and_pooling_learn_eight_items() -> None:
    objective = attached(pooling="attentive", hidden=(8,)).train()
    values = torch.randn(8, 5, 6, generator=torch.Generator().manual_seed(3))
    labels = tuple(LABELS[index % 3] for index in range(8))
    given = Frames(values, torch.tensor([5, 4, 3, 2, 1, 5, 4, 3]), 0.02)
    eight = Batch(values, given.lengths, labels, torch.ones(8), {"label": labels})
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.03)
    for _ in range(200):
        (loss,) = objective.loss(given, eight, 0.0).values()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert [one.value for one in objective.eval().predict(given)] == list(labels)


def test_a_sum_of_layers_begins_as_their_mean_and_ignores_how_loud_they_are() -> None:
    mixed = attached(layers=("a", "b"))
    plain = attached()
    mixed.load_state_dict(plain.state_dict(), strict=False)
    values = frames()
    normed = torch.nn.functional.layer_norm(values.values, (6,))
    both = Frames(values.values * 0, values.lengths, 0.02, {"a": values.values * 5 + 3, "b": values.values})
    expected = plain.logits(Frames(normed, values.lengths, 0.02))
    assert torch.allclose(mixed.logits(both), expected, atol=1e-4)
    with torch.no_grad():
        mixed.mix.weight.copy_(torch.tensor([0.0, 50.0]))
    other = {"a": torch.randn_like(values.values), "b": values.values}
    assert torch.allclose(mixed.logits(Frames(values.values, values.lengths, 0.02, other)), expected, atol=1e-4)
    with pytest.raises(PlanError, match=r"different sizes cannot be put together: a \(9, 6\), b \(9, 3\)"):
        mixed.logits(Frames(values.values, values.lengths, 0.02, {"a": values.values, "b": values.values[..., :3]}))
    again = Classify.from_settings({"kind": "classify", **json.loads(json.dumps(mixed.settings()))})
    assert again.taps == ("a", "b") and again.mix is not None


@torch.no_grad()
def test_energies_take_the_place_of_probabilities_and_are_saved() -> None:
    objective = attached(acceptance=Acceptance(by="energy"))
    told = objective.finish([(frames(), batch("no", "stop", "yes"))])["acceptance"]
    logits = objective.logits(frames())
    own = [logits[item, item].item() for item in range(3)]
    assert len(set(told["thresholds"].values())) == 3
    assert told["middle"] == pytest.approx(sum(own) / 3)
    expected = ((logits - told["middle"]) / told["spread"]).sigmoid()
    assert torch.allclose(objective.word_scores(frames()), expected, atol=1e-6)
    again = Classify.from_settings({"kind": "classify", **json.loads(json.dumps(objective.settings()))})
    assert again.acceptance == objective.acceptance
    said = objective.predict(frames())[0]
    assert said.scores == {
        word: pytest.approx(expected[0, place].item(), abs=1e-6) for place, word in enumerate(LABELS)
    }
    assert said.confidence <= 1.0  # a probability still


@torch.no_grad()
def test_probabilities_of_few_recordings_share_a_threshold() -> None:
    """Each word's own would follow the luck of two others; energies and distances are no one measure for all words."""
    told = attached().finish([(frames(), batch("no", "stop", "yes"))])["acceptance"]
    assert sorted(told["thresholds"]) == [*LABELS]
    assert len(set(told["thresholds"].values())) == 1


def test_a_silence_that_was_learnt_is_no_stranger() -> None:
    """Where ``_unknown_`` was none of the labels, what reaches no threshold is refused; ``_silence_`` is an answer."""
    objective = Classify(("_silence_", "no", "yes"))
    said = ("_silence_", "_unknown_", "_unknown_", "yes", "no")
    heard = [Prediction(value, 0.9, {}, ()) for value in ("_silence_", "_silence_", "yes", "_silence_", "yes")]
    scores = objective.score([row(label, f"{k}.wav") for k, label in enumerate(said)], heard)
    assert [one.hypothesis for one in scores.rows] == ["_silence_", "_unknown_", "_unknown_", "_silence_", "_unknown_"]
    assert scores["accuracy"].value == 0.6


@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_a_clip_without_a_frame_is_pooled_to_numbers_of_usual_size(pooling: Any) -> None:
    """One of dev that is shorter than a frame must not make its probabilities, and with them all thresholds, NaN."""
    empty = Frames(torch.ones(2, 3, 6), torch.tensor([3, 0]), 0.02)
    assert float(pool(empty, pooling, Attention(6)).detach().abs().max()) <= 1.0
