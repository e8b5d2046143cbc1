"""Match: recordings of words kept and compared, a metric learnt here or grafted from a source, saved and loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from speechtransfer.encoders.contract import SourceCard
from speechtransfer.encoders.dnn import Dnn
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames, pad
from speechtransfer.manifest import Utterance
from speechtransfer.objectives import KINDS, Match
from speechtransfer.objectives.contract import Spots
from speechtransfer.objectives.warping import nearest_stretches
from speechtransfer.spotting import Keywords
from speechtransfer.transfer import Transfer

LABELS = ("no", "stop", "yes")
SAID = ("yes", "no", "stop", "no", "yes", "stop", "no", "yes")
LENGTHS = (19, 14, 11, 16, 15, 13, 18, 17)
WIDTH = 6


def word(label: str) -> torch.Tensor:
    """What the three words sound like: each is a way through the same space."""
    return 3 * torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(LABELS.index(label)))


def said(k: int) -> torch.Tensor:
    """The word in so many frames, and what is no word's."""
    source = torch.Generator().manual_seed(50 + k)
    places = torch.arange(LENGTHS[k]) * 4 // LENGTHS[k]
    return word(SAID[k])[places] + torch.randn(LENGTHS[k], WIDTH, generator=source)


def frames(padding: float = 0.0, chosen: tuple[int, ...] = tuple(range(8))) -> Frames:
    values, lengths = pad([said(k) for k in chosen])
    for item, k in enumerate(chosen):
        values[item, LENGTHS[k] :] = padding
    return Frames(values, lengths, 0.02)


def batch(chosen: tuple[int, ...] = tuple(range(8)), labels: tuple[str | None, ...] | None = None) -> Batch:
    labels = labels or tuple(SAID[k] for k in chosen)
    count = len(labels)
    ids = tuple(f"u{k}" for k in chosen)
    return Batch(torch.zeros(count, 1), torch.ones(count), ids, torch.ones(count), {"label": labels})


def attached(**values: Any) -> Match:
    objective = Match(LABELS, **values)
    objective.attach(WIDTH, 0.02)
    return objective.eval()


def settled(chosen: tuple[int, ...] = tuple(range(8)), **values: Any) -> Match:
    objective = attached(**values)
    with torch.inference_mode():
        objective.settle(iter([(frames(chosen=chosen), batch(chosen))]))
    return objective.requires_grad_(False)


def loaded(state: Match) -> Match:
    again = Match.from_settings({"kind": "match", **json.loads(json.dumps(state.settings()))})
    again.attach(WIDTH, 0.02)
    again.load_state_dict(state.state_dict())
    return again.eval()


def test_a_word_is_the_mean_over_its_recordings_of_how_far_they_are() -> None:
    objective = settled(embedding=5)
    clips = objective.embed(frames())
    assert [len(one) for one in clips] == list(LENGTHS)
    found = objective.distances(clips)
    for place, label in enumerate(LABELS):
        own = [clips[k] for k in range(8) if SAID[k] == label]
        for k in range(8):
            each = [
                float(
                    nearest_stretches(one[None], torch.tensor([len(one)]), clips[k][None], torch.tensor([LENGTHS[k]]))
                )
                for one in own
            ]
            assert float(found[k, place]) == pytest.approx(sum(each) / len(each), abs=1e-5)
    assert [one.value for one in objective.predict(frames())] == list(SAID)


def test_the_metric_is_learnt_from_parts_of_words_and_frames_lie_on_a_sphere() -> None:
    objective = settled(embedding=5)
    clips = objective.embed(frames())
    assert all(torch.allclose(one.norm(dim=-1), torch.ones(len(one)), atol=1e-5) for one in clips)
    values = torch.cat([said(k) for k in range(8)])
    assert objective.project is not None
    centred = objective.project(values).mean(0)
    assert torch.allclose(centred, torch.zeros(5), atol=1e-4)


def test_what_is_padded_and_who_is_in_the_batch_changes_nothing() -> None:
    objective = settled(embedding=5)
    whole = objective.word_scores(frames())
    assert torch.equal(whole, objective.word_scores(frames(padding=50.0)))
    alone = torch.cat([objective.word_scores(frames(chosen=(k,))) for k in range(8)])
    assert torch.allclose(alone, whole, atol=1e-6)
    again = attached(embedding=5)
    pieces = [(frames(chosen=part), batch(part)) for part in ((0, 1, 2), (3, 4), (5, 6, 7))]
    with torch.inference_mode():
        again.settle(iter(pieces))
    assert torch.allclose(again.word_scores(frames()), whole, atol=1e-4)


def test_a_word_that_is_added_changes_no_other_words_score() -> None:
    objective = settled(embedding=5)
    objective.scale.fill_(0.7)
    clips = objective.embed(frames())
    more = objective.enrolled("maybe", [clips[0], clips[4]])
    assert more.labels == (*LABELS, "maybe") and objective.labels == LABELS
    assert torch.equal(objective.distances(clips), more.distances(clips)[:, :3])
    again = more.enrolled("no", [clips[2]])
    assert torch.equal(more.distances(clips)[:, 1:], again.distances(clips)[:, 1:])
    assert not torch.equal(more.distances(clips)[:, 0], again.distances(clips)[:, 0])
    assert again.clips.tolist() == [1, 2, 3, 2]
    assert torch.equal(loaded(again).distances(clips), again.distances(clips))


def test_layers_stand_side_by_side_and_are_saved() -> None:
    heard = frames()
    own = {"a": heard.values[..., :4], "b": heard.values[..., 2:]}
    halves = Frames(torch.zeros_like(own["a"]), heard.lengths, heard.period, own)
    objective = Match(LABELS, layers=("a", "b"), embedding=5)
    objective.attach(4, 0.02)
    joined = Match(LABELS, embedding=5)
    joined.attach(8, 0.02)
    together = Frames(torch.cat([own["a"], own["b"]], -1), heard.lengths, heard.period)
    with torch.inference_mode():
        objective.settle(iter([(halves, batch())]))
        joined.settle(iter([(together, batch())]))
    assert torch.equal(objective.word_scores(halves), joined.word_scores(together))
    again = Match.from_settings({"kind": "match", **json.loads(json.dumps(objective.settings()))})
    assert again.taps == ("a", "b") and again.settings() == objective.settings()
    uneven = replace(halves, taps={"a": own["a"], "b": own["b"][..., :2]})
    with pytest.raises(PlanError, match=r"cannot be put together: a \(19, 4\), b \(19, 2\); the last block's are"):
        objective.embed(uneven)


def test_what_is_saved_scores_as_before_and_knows_how_much_was_kept() -> None:
    objective = settled(embedding=5)
    objective.finish(iter([(frames(), batch())]))
    again = loaded(objective)
    assert again.acceptance == objective.acceptance and again.acceptance.thresholds.keys() == set(LABELS)
    assert torch.equal(again.word_scores(frames()), objective.word_scores(frames()))
    assert again.settings() == objective.settings()
    assert KINDS["match"] is Match and isinstance(objective, Spots)


def test_background_and_strangers_are_no_words_but_what_reaches_no_threshold() -> None:
    """Noise that never changes would fit the quietest frame of any clip."""
    objective = Match((*LABELS, "_silence_", "_unknown_"), embedding=5)
    assert objective.labels == LABELS
    objective.attach(WIDTH, 0.02)
    noise = 0.1 * torch.randn(2, 300, WIDTH, generator=torch.Generator().manual_seed(9))
    noisy = Frames(noise, torch.tensor([300, 300]), 0.02)
    quiet = replace(batch((0, 1), ("_silence_", "_unknown_")), ids=("n0", "n1"))
    with torch.inference_mode():
        objective.eval().settle(iter([(frames(), batch()), (noisy, quiet)]))
        told = objective.finish(iter([(frames(), batch()), (noisy, quiet)]))
        found = [*objective.predict(frames()), *objective.predict(noisy)]
    assert told["acceptance"]["recordings"] == 10
    rows = [
        Utterance(Path(f"/sound/{n}.wav"), label=label) for n, label in enumerate((*SAID, "_silence_", "_unknown_"))
    ]
    scores = objective.score(rows, found)
    assert [row.hypothesis for row in scores.rows] == [row.reference for row in scores.rows]


def test_of_many_recordings_the_first_and_others_evenly_are_kept() -> None:
    objective = settled(embedding=5, most=2)
    assert objective.clips.tolist() == [3, 2, 3]
    assert objective.frames.tolist() == [LENGTHS[k] for k in (1, 3, 2, 5, 0, 4)]
    assert objective.recordings.shape == (6, 16 + 3, 5)


def test_a_metric_is_grafted_from_a_source_like_an_output_layer() -> None:
    source = settled(embedding=5)
    encoder = Dnn(WIDTH, (), SourceCard("learnt"))
    encoder.donor = source.heads["project"]
    model, plan = Transfer().apply(encoder, Match(LABELS, metric="source", embedding=5))
    target = model.objective
    assert isinstance(target, Match) and target.project is not None and source.project is not None
    assert torch.equal(target.project.weight, source.project.weight)
    assert torch.equal(target.project.bias, source.project.bias)
    assert {one.name: one.origin for one in plan.parameters}["objective.project.weight"] == "grafted"
    with torch.inference_mode():
        target.settle(iter([(frames(chosen=(0, 1, 2)), batch((0, 1, 2)))]))
    assert torch.equal(target.project.weight, source.project.weight)
    placed = functional.normalize(source.project(said(1)), dim=-1)
    assert torch.allclose(target.recordings[0, : LENGTHS[1]], placed, atol=1e-6)


@pytest.mark.parametrize("donor", [None, "a recogniser"])
def test_without_a_metric_a_source_cannot_bring_one(donor: str | None) -> None:
    encoder = Dnn(WIDTH, (), SourceCard("untaught"))
    if donor is not None:
        letters = replace(settled(embedding=3).heads["project"], labels=("", "a", "b"))
        encoder.donor = letters
    model, _ = Transfer().apply(encoder, Match(LABELS, metric="source", embedding=5))
    with torch.inference_mode(), pytest.raises(PlanError, match="no metric of 5 directions was grafted"):
        model.objective.settle(iter([(frames(), batch())]))


def test_nothing_is_learnt_by_steps_and_nothing_is_said_before_the_first_clip() -> None:
    objective = attached(embedding=5)
    with pytest.raises(PlanError, match="steps teach it nothing"):
        objective.loss(frames(), batch(), 0.0)
    with pytest.raises(PlanError, match="no clip was heard yet"):
        objective.predict(frames())
    with pytest.raises(PlanError, match="no width yet"):
        Match(LABELS).embed(frames())
    with torch.inference_mode():
        objective.settle(iter([(frames(chosen=(0, 1, 3)), batch((0, 1, 3), ("yes", "no", None)))]))
    assert objective.clips.tolist() == [1, 0, 1]
    assert {one.value for one in objective.predict(frames())} <= {"yes", "no"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"labels": ("no",)}, "match: 1 different labels in 1"),
        ({"labels": ("no", "no")}, "match: 1 different labels in 2"),
        ({"labels": ("_silence_", "_unknown_")}, "match: 0 different labels in 0"),
        ({"kept": (-1, 3)}, "kept="),
        ({"metric": "plain"}, "metric='plain' is none of within, source"),
        ({"most": 0}, "above zero"),
        ({"embedding": 0}, "above zero"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Match(**{"labels": LABELS, **values})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"metric": "source"}, "metric would do nothing: loss=classify takes pooling"),
        ({"loss": "match", "pooling": "parts"}, "pooling would do nothing: loss=match takes embedding"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Keywords(**values)


def test_rows_without_two_labels_are_refused() -> None:
    rows = [Utterance(Path("/sound/a.wav"), label="no"), Utterance(Path("/sound/b.wav"), label=None)]
    with pytest.raises(DataError, match="two at least"):
        Match.from_rows(rows)
