"""Contrast: prototypes of training clips, scores that no other word changes, saved and loaded with their labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames, pad
from speechtransfer.manifest import Utterance
from speechtransfer.objectives import KINDS, Classify, Contrast, Sum
from speechtransfer.objectives.contract import Spots

LABELS = ("no", "stop", "yes")
SAID = ("yes", "no", "stop", "no", "yes", "stop", "no", "yes")
LENGTHS = (9, 4, 1, 6, 5, 3, 8, 7)


def frames(padding: float = 0.0, chosen: tuple[int, ...] = tuple(range(8))) -> Frames:
    pieces = [torch.randn(LENGTHS[k], 6, generator=torch.Generator().manual_seed(k)) for k in chosen]
    values, lengths = pad(pieces)
    for item, k in enumerate(chosen):
        values[item, LENGTHS[k] :] = padding
    return Frames(values.requires_grad_(), lengths, 0.02)


def batch(labels: tuple[str | None, ...] = SAID, weight: float = 1.0) -> Batch:
    ids = tuple(f"u{index}" for index in range(len(labels)))
    count = len(labels)
    return Batch(torch.zeros(count, 1), torch.ones(count), ids, torch.full((count,), weight), {"label": labels})


def attached(**values: Any) -> Contrast:
    torch.manual_seed(0)
    objective = Contrast(LABELS, **{"dropout": 0.0, **values})
    objective.attach(6, 0.02)
    return objective.eval()


def settled(**values: Any) -> Contrast:
    objective = attached(**values)
    with torch.inference_mode():
        objective.settle(iter([(frames(), batch())]))
    return objective


def row(label: str | None, name: str = "a.wav") -> Utterance:
    return Utterance(Path("/sound") / name, label=label)


def normal(values: list[float]) -> list[float]:
    length = math.hypot(*values)
    return [value / length for value in values]


def test_without_training_a_prototype_is_the_mean_direction_of_the_standardised_mean_frames() -> None:
    objective = settled(metric="channels")
    pooled = [
        [sum(one) / LENGTHS[k] for one in zip(*frames().values[k, : LENGTHS[k]].tolist(), strict=True)]
        for k in range(8)
    ]
    columns = list(zip(*pooled, strict=True))
    means = [sum(one) / 8 for one in columns]
    spread = [math.sqrt(sum((x - m) ** 2 for x in one) / 8) for one, m in zip(columns, means, strict=True)]
    scales = [one + 0.3 * sum(spread) / 6 for one in spread]
    places = [normal([(x - m) / s for x, m, s in zip(one, means, scales, strict=True)]) for one in pooled]
    for word, found, clips in zip(LABELS, objective.prototypes.tolist(), objective.clips.tolist(), strict=True):
        own = [places[k] for k in range(8) if SAID[k] == word]
        assert clips == len(own)
        assert found == pytest.approx(normal([sum(one) / len(own) for one in zip(*own, strict=True)]), abs=1e-5)
    distances = objective.distances(objective.embed(frames()))
    expected = math.dist(places[3], objective.prototypes[1].tolist()) ** 2
    assert float(distances[3, 1].detach()) == pytest.approx(expected, rel=1e-4)


def test_without_a_metric_nothing_is_centred_or_scaled() -> None:
    objective = settled(metric="plain")
    pooled = objective.embed(frames()).detach()
    values = frames().values.detach()
    for k in range(8):
        mean = [sum(one) / LENGTHS[k] for one in zip(*values[k, : LENGTHS[k]].tolist(), strict=True)]
        assert pooled[k].tolist() == pytest.approx(normal(mean), abs=1e-5)


def test_the_metric_of_words_is_that_of_channels_while_no_word_has_two_clips() -> None:
    once = [(frames(chosen=(0, 1, 2)), batch(SAID[:3]))]
    within, channels = attached(metric="within"), attached(metric="channels")
    with torch.inference_mode():
        within.settle(iter(once))
        channels.settle(iter(once))
    assert torch.equal(within.whiten, channels.whiten)
    assert not torch.equal(settled().whiten, settled(metric="channels").whiten)


def test_predictions_name_the_nearest_word_and_trust_its_distance_alone() -> None:
    objective = settled()
    squared = objective.distances(objective.embed(frames())).tolist()
    for found, ours in zip(objective.predict(frames()), squared, strict=True):
        assert found.value == LABELS[ours.index(min(ours))]
        assert found.confidence == pytest.approx(math.exp(-min(ours) / float(objective.scale)), rel=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max", "attentive", "parts"])
def test_what_is_padded_changes_nothing_and_a_batch_gives_what_single_clips_give(pooling: Any) -> None:
    objective = settled(pooling=pooling, embedding=4)
    assert torch.equal(objective.embed(frames()), objective.embed(frames(padding=50.0)))
    alone = torch.cat([objective.embed(frames(chosen=(k,))) for k in range(8)])
    assert torch.allclose(alone, objective.embed(frames()), atol=1e-6)
    assert torch.allclose(alone.norm(dim=-1), torch.ones(8), atol=1e-6)


def test_clips_in_other_batches_give_the_same_prototypes() -> None:
    whole, parts = settled(), attached()
    pieces = [(frames(chosen=part), batch(tuple(SAID[k] for k in part))) for part in ((5, 1, 0), (7,), (2, 3, 6, 4))]
    with torch.inference_mode():
        parts.settle(iter(pieces))
    assert torch.allclose(whole.prototypes, parts.prototypes, atol=1e-5)


def test_a_word_that_is_added_changes_no_other_words_score() -> None:
    objective = settled()
    objective.scale.fill_(0.7)
    others = objective.embed(frames(chosen=(2, 5))).detach()
    more = objective.enrolled("maybe", others)
    assert more.labels == (*LABELS, "maybe")
    before, after = (one.distances(one.embed(frames())) for one in (objective, more))
    assert torch.equal(before, after[:, :3])
    assert objective.labels == LABELS and objective.prototypes.shape[0] == 3
    again = more.enrolled("no", others)
    assert again.labels == more.labels
    assert torch.equal(again.prototypes[0], more.prototypes[3])
    assert torch.equal(again.prototypes[1:], more.prototypes[1:])
    own = torch.stack([objective.embed(frames())[k] for k in range(8) if SAID[k] == "stop"])
    assert torch.allclose(objective.enrolled("halt", own).prototypes[3], objective.prototypes[1], atol=1e-6)


def test_the_scale_is_that_under_which_dev_is_likeliest() -> None:
    objective = settled()
    before = objective.distances(objective.embed(frames()))
    with torch.inference_mode():
        told = objective.finish(iter([(frames(), batch())]))
    assert told["acceptance"]["recordings"] == len(batch().ids)
    assert set(told["acceptance"]["thresholds"]) == set(objective.words)
    chosen = float(objective.scale)
    assert torch.equal(before, objective.distances(objective.embed(frames())))
    right = torch.tensor([[said == label for label in LABELS] for said in SAID])

    def cost(scale: float) -> float:
        sure = (-before.detach().double() / scale).exp()
        return -float(sure[right].log().mean() + (1 - sure[~right]).log().mean())

    assert cost(chosen) <= min(cost(chosen * 1.2), cost(chosen / 1.2)) + 1e-9
    untouched = settled()
    untouched.finish(iter(()))
    untouched.finish(iter([(frames(), batch((None,) * 8))]))
    assert float(untouched.scale) == 1.0


def test_words_are_accepted_by_thresholds_of_their_own_and_a_new_one_by_the_middle_of_them() -> None:
    objective = settled()
    with torch.inference_mode():
        objective.finish(iter([(frames(), batch())]))
        scores = objective.word_scores(frames())
        assert torch.allclose(scores, (-objective.distances(objective.embed(frames())) / objective.scale).exp())
        found = objective.predict(frames())
        more = objective.enrolled("halt", objective.embed(frames())[:2])
        assert torch.equal(more.word_scores(frames())[:, : len(LABELS)], scores)
    assert isinstance(objective, Spots)
    thresholds = objective.acceptance.thresholds
    for one, row in zip(found, scores.tolist(), strict=True):
        assert list(one.scores.values()) == pytest.approx(row, abs=1e-6)
        assert one.accepted == tuple(word for word, score in one.scores.items() if score >= thresholds[word])
    assert more.acceptance.thresholds == {**thresholds, "halt": sorted(thresholds.values())[1]}
    again = Contrast.from_settings({"kind": "contrast", **json.loads(json.dumps(more.settings()))})
    assert again.acceptance == more.acceptance


def test_a_word_without_a_clip_is_never_said_and_nothing_is_before_the_first() -> None:
    objective = attached()
    with pytest.raises(PlanError, match="no clip was heard yet"):
        objective.predict(frames())
    with torch.inference_mode():
        objective.settle(iter([(frames(chosen=(0, 1, 3)), batch(("yes", "no", None)))]))
    assert objective.clips.tolist() == [1, 0, 1]
    assert {one.value for one in objective.predict(frames())} == {"yes", "no"}


@pytest.mark.parametrize("loss", ["prototypes", "triplet", "ntxent", "siamese"])
def test_eight_items_are_learnt(loss: Any) -> None:
    objective = attached(loss=loss, pooling="attentive", embedding=5).train()
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.02)
    # Eight clips of noise in which nothing of one word is alike.
    for _ in range(150):
        (value,) = objective.loss(frames(), batch(), 0.0).values()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
    objective.eval()
    with torch.inference_mode():
        objective.settle(iter([(frames(), batch())]))
    assert [one.value for one in objective.predict(frames())] == list(SAID)


@pytest.mark.parametrize("labels", [(None,) * 8, ("yes", *(None,) * 7), ("yes",) * 8, ("yes", "no", *(None,) * 6)])
@pytest.mark.parametrize("loss", ["prototypes", "triplet", "ntxent"])
def test_a_batch_without_words_to_compare_gives_a_zero_attached_to_the_graph(labels: Any, loss: Any) -> None:
    objective, given = attached(pooling="attentive", loss=loss), frames()
    (value,) = objective.loss(given, batch(labels), 0.0).values()
    assert value.item() == 0.0
    value.backward()
    assert all(one.grad is not None and not one.grad.any() for one in (given.values, *objective.parameters()))


def test_items_without_a_weight_are_left_out() -> None:
    objective = attached()
    assert objective.loss(frames(), batch(weight=0.0), 0.0)["prototypes"].item() == 0.0
    (whole,) = objective.loss(frames(), batch((*SAID[:6], None, None)), 0.0).values()
    given = batch()
    given.weight[6:] = 0.0
    (left,) = objective.loss(frames(), given, 0.0).values()
    assert float(whole.detach()) == float(left.detach()) > 0


def test_settings_and_prototypes_round_trip() -> None:
    objective = settled(pooling="parts", embedding=4, loss="triplet", margin=0.2)
    saved = json.loads(json.dumps({"kind": objective.kind, **objective.settings()}))
    again = KINDS[saved["kind"]].from_settings(saved)
    again.attach(6, 0.02)
    again.load_state_dict(objective.state_dict(), strict=True)
    assert isinstance(again, Contrast)
    assert again.settings() == objective.settings()
    assert again.eval().predict(frames()) == objective.predict(frames())


def test_without_a_projection_of_its_own_it_begins_as_what_it_was_given() -> None:
    assert attached().project is not None
    assert torch.equal(attached().project.weight, torch.eye(6))  # type: ignore[union-attr]
    narrow = attached(embedding=4).project.weight  # type: ignore[union-attr]
    assert torch.allclose(narrow @ narrow.T, torch.eye(4), atol=1e-5)
    assert attached().heads == {}
    with pytest.raises(PlanError, match="no width"):
        Contrast(LABELS).embed(frames())


def test_labels_come_from_training_rows_sorted() -> None:
    rows = [row("b"), row("a"), row("b"), row(None)]
    assert Contrast.from_rows(rows, loss="ntxent").labels == ("a", "b")
    with pytest.raises(DataError, match="1 different labels"):
        Contrast.from_rows(rows[:1])
    assert attached().unfit(row("maybe"), 3) == "unknown label: maybe"
    assert attached().unfit(row("yes"), 3) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": ("a",)},
        {"labels": ("a", "a")},
        {"pooling": "median"},
        {"loss": "hinge"},
        {"metric": "cosine"},
        {"temperature": 0.0},
        {"margin": 0.0},
        {"dropout": 1.0},
        {"embedding": 0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="contrast: "):
        Contrast(**{"labels": ("a", "b"), **wrong})


def test_a_sum_settles_each_part_on_its_own_items_and_asks_for_nothing_in_vain() -> None:
    asked: list[int] = []

    def heard() -> Iterator[tuple[Frames, Batch]]:
        asked.append(1)
        yield frames(), batch()

    def made(**parts: Any) -> Sum:
        objective = Sum(**{name: (1.0, part) for name, part in parts.items()})
        objective.attach(6, 0.02)
        return objective.eval()

    with torch.inference_mode():
        made(one=Classify(LABELS)).settle(heard())
        assert not asked
        two = made(one=Contrast(LABELS), two=Contrast(LABELS), three=Classify(LABELS))
        two.settle(heard())
    assert asked == [1]
    for name in ("one", "two"):
        assert torch.equal(two.parts[name].get_buffer("prototypes"), settled().prototypes)
