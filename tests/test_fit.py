"""The loop against a naive one; what is frozen stays; the best weights are chosen; it learns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training import ALL, LIVELY, OFF, PLAIN, Joined, equal, weights

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DataError
from speechtransfer.evaluate import evaluate, predict
from speechtransfer.fit import History, fit
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.schedule import FitSettings
from speechtransfer.score import Estimate, Scores
from speechtransfer.transfer import Rule

fitting = import_module("speechtransfer.fit")  # the package's own name ``fit`` is the function


def naive(joined: Joined, batches: Iterator[Batch], settings: FitSettings) -> None:
    """The loop as a page of formulas: Goyal's warm-up, clipping by norm, Sutskever's momentum or AdamW."""
    model, plan = joined
    model.train()
    scales = {item.name: item.scale for item in plan.parameters}
    values = {name: value for name, value in model.named_parameters() if scales[name] > 0}
    first, second = ({name: torch.zeros_like(value) for name, value in values.items()} for _ in "12")
    for step in range(settings.steps):
        gradients = {name: torch.zeros_like(value) for name, value in values.items()}
        for _ in range(settings.accumulate):
            loss = model(next(batches), 0.0)["ctc"]
            for name, gradient in zip(values, torch.autograd.grad(loss, list(values.values())), strict=True):
                gradients[name] += gradient / settings.accumulate
        norm = math.sqrt(sum(float((gradient.double() ** 2).sum()) for gradient in gradients.values()))
        shrink = min(1.0, settings.clip / norm) if settings.clip else 1.0
        rising = max(1, round(settings.warmup * settings.steps))
        factor = (step + 1) / rising if step < rising else 1 - (step - rising) / (settings.steps - rising)
        with torch.no_grad():
            for name, value in values.items():
                rate = settings.lr * scales[name] * factor
                decay = settings.weight_decay if value.ndim > 1 else 0.0
                gradient = gradients[name] * shrink
                if settings.optimizer == "sgd":
                    first[name] = settings.momentum * first[name] + gradient + decay * value
                    value -= rate * first[name]
                    continue
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.98 * second[name] + 0.02 * gradient**2
                mean, square = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.98 ** (step + 1))
                value -= rate * decay * value + rate * mean / (square.sqrt() + 1e-8)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "momentum": 0.8, "lr": 0.1},
        {"optimizer": "sgd", "accumulate": 3, "clip": 0.0, "lr": 0.05, "weight_decay": 0.1},
        {"optimizer": "adamw", "clip": 0.1, "weight_decay": 0.5},
        {"optimizer": "adamw", "accumulate": 2},
    ],
)
def test_training_equals_a_naive_loop(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tones: Manifest,
    recordings: Recordings,
    changes: dict[str, Any],
) -> None:
    settings = replace(PLAIN, warmup=0.5, decay="linear", **changes)
    rules = (Rule(r"encoder\..*", scale=0.3), Rule(r"objective\..*"))
    expected, found = join(rules, dropout=0.0), join(rules, dropout=0.0)
    source = TrainingBatches(tones.split("train"), recordings, settings.batches, settings.seed)
    naive(expected, itertools.chain.from_iterable(source.epoch(epoch) for epoch in range(9)), settings)
    train(found, settings)
    begun = weights(join(rules, dropout=0.0)[0])
    for name, value in found[0].state_dict().items():
        moved = expected[0].state_dict()[name] - begun[name]
        assert torch.allclose(value - begun[name], moved, rtol=0.02, atol=2e-5), name
        assert moved.abs().max() > 1e-6 or not moved.is_floating_point(), name


def test_frozen_parameters_and_buffers_are_bit_identical_and_live_ones_move(
    join: Callable[..., Joined], train: Callable[..., History], normed: type[Encoder]
) -> None:
    frozen = (r"encoder\.(norm|stride)\..*", r"objective\.output\.bias")
    model, plan = join((*(Rule(pattern, scale=0) for pattern in frozen), *ALL), encoder=normed())
    with torch.no_grad():
        for buffer in (model.encoder.norm.running_mean, model.encoder.mix_norm.running_mean):
            buffer.fill_(0.25)
    before = weights(model)
    train((model, plan), replace(LIVELY, weight_decay=0.5, evaluations=1))
    for name, value in model.state_dict().items():
        held = name.startswith(("encoder.norm.", "encoder.stride.")) or name == "objective.output.bias"
        assert torch.equal(value, before[name]) == held, name
    assert int(model.encoder.mix_norm.num_batches_tracked) == LIVELY.steps
    assert not any(module.training for module in model.modules())


def test_every_live_parameter_gets_a_gradient(join: Callable[..., Joined], train: Callable[..., History]) -> None:
    model, plan = join()
    before = weights(model)
    train((model, plan), replace(PLAIN, weight_decay=0.0))
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_rules_thaw_at_their_step(
    join: Callable[..., Joined], train: Callable[..., History], normed: type[Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, plan = join((Rule(r"encoder\..*", after=3), *ALL), encoder=normed())
    before, seen, forward = weights(model), [], Model.forward

    def spy(self: Model, *arguments: Any) -> dict[str, Tensor]:
        now = weights(self)
        seen.append(
            {
                part: equal(*({n: v for n, v in w.items() if n.startswith(part)} for w in (now, before)))
                for part in ("encoder", "objective")
            }
        )
        return forward(self, *arguments)

    monkeypatch.setattr(Model, "forward", spy)
    train((model, plan), replace(PLAIN, steps=6))
    # The update of step 3 (the fourth) is the first that moves the encoder: forward number 4 sees it.
    assert [one["encoder"] for one in seen] == [True] * 4 + [False] * 2
    assert [one["objective"] for one in seen] == [True] + [False] * 5
    assert int(model.encoder.norm.num_batches_tracked) == int(model.encoder.mix_norm.num_batches_tracked) == 3


def test_the_history_has_the_mean_loss_since_the_last_evaluation(
    join: Callable[..., Joined], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, forward = [], Model.forward

    def spy(self: Model, *arguments: Any) -> dict[str, Tensor]:
        found = forward(self, *arguments)
        losses.append(float(found["ctc"].detach()))
        return found

    monkeypatch.setattr(Model, "forward", spy)
    history = train(join(), replace(LIVELY, accumulate=2, lr=0.01, decay="constant"))
    assert len(losses) == 16
    assert [row["loss"] for row in history.rows] == pytest.approx([sum(losses[:8]) / 8, sum(losses[8:]) / 8])
    assert [row["lr"] for row in history.rows] == [0.01, 0.01]
    assert [row["step"] for row in history.rows] == [4, 8]


def test_the_same_seed_is_the_same_training_and_another_is_not(
    join: Callable[..., Joined], train: Callable[..., History]
) -> None:
    runs = [join() for _ in range(3)]
    for joined, seed in zip(runs, (1, 1, 2), strict=True):
        train(joined, replace(LIVELY, steps=3, seed=seed))
    one, two, three = (weights(model) for model, _ in runs)
    assert equal(one, two)
    assert not equal(one, three)


class Accuracy(Ctc):
    """More is better."""

    select = ("accuracy", "max")


@pytest.mark.parametrize(
    ("kind", "values", "best"),
    [(Ctc, [0.9, 0.3, 0.3, 0.6], 3), (Ctc, [0.2, 0.3, 0.4, 0.5], 1), (Accuracy, [0.1, 0.7, 0.8, 0.6], 3)],
)
def test_the_model_ends_with_its_best_weights(
    join: Callable[..., Joined],
    train: Callable[..., History],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Ctc],
    values: list[float],
    best: int,
) -> None:
    joined, seen, metric = join(kind=kind), [], kind.select[0]

    def scripted(model: Model, *_: Any) -> Scores:
        seen.append(weights(model))
        return Scores({metric: Estimate(values[len(seen) - 1], 0.0, 1.0, 10)})

    monkeypatch.setattr(fitting, "evaluate", scripted)
    history = train(joined, replace(LIVELY, evaluations=4))
    assert equal(weights(joined[0]), seen[best - 1])
    assert not equal(seen[0], seen[-1])
    assert (history.best_step, history.best) == (2 * best, values[best - 1])
    assert [row["step"] for row in history.rows] == [2, 4, 6, 8]
    assert [row["dev"][metric]["value"] for row in history.rows] == values


def test_of_equals_a_head_over_a_frozen_encoder_ends_with_the_first(
    join: Callable[..., Joined], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What came after only made it surer, of strangers as well."""
    values = iter([0.9, 0.3, 0.3, 0.6])
    monkeypatch.setattr(fitting, "evaluate", lambda *_: Scores({"cer": Estimate(next(values), 0.0, 1.0, 10)}))
    joined = join(rules=(Rule(r"encoder\..*", scale=0), Rule(r"objective\..*")))
    assert not joined[1].learns_encoder
    assert join()[1].learns_encoder
    assert train(joined, replace(LIVELY, evaluations=4), tmp_path).best_step == 4


def test_patience_stops(
    join: Callable[..., Joined], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = iter([0.5, 0.6, 0.4, 0.4, 0.9, 0.1, 0.1, 0.1])
    monkeypatch.setattr(fitting, "evaluate", lambda *_: Scores({"cer": Estimate(next(values), 0.0, 1.0, 10)}))
    settings = replace(LIVELY, evaluations=8, patience=2)
    history = train(join(), settings, tmp_path)
    # 0.6 is one without a better score, 0.4 is better, an equal 0.4 is kept but no better, 0.9 is the second in a row.
    assert [row["step"] for row in history.rows] == [1, 2, 3, 4, 5]
    assert history.best_step == 4
    assert history.steps == 8
    assert len(train(join(), settings, tmp_path, resume=True).rows) == 5


def test_two_half_batches_accumulate_to_a_whole_one(
    join: Callable[..., Joined], tones: Manifest, recordings: Recordings
) -> None:
    pair = Manifest((tones[0], tones[1]))  # "ab" and "ba": of one length
    models = []
    for seconds, accumulate in ((2.0, 1), (0.7, 2)):
        settings = replace(
            PLAIN, optimizer="sgd", lr=0.1, clip=0.0, accumulate=accumulate, batches=BatchSettings(seconds, (1.0,))
        )
        joined = join(dropout=0.0)
        fit(*joined, pair, tones.split("dev"), settings, recordings=recordings)
        models.append(weights(joined[0]))
    assert all(torch.allclose(models[0][name], models[1][name], atol=1e-6) for name in models[0])


@pytest.mark.parametrize("empty", ["train", "dev"])
def test_an_empty_split_is_refused(join: Callable[..., Joined], tones: Manifest, empty: str) -> None:
    splits = {name: Manifest(()) if name == empty else tones.split(name) for name in ("train", "dev")}
    with pytest.raises(DataError, match=f"the {empty} split is empty"):
        fit(*join(), splits["train"], splits["dev"], PLAIN)


def test_it_learns_the_tones(join: Callable[..., Joined], tones: Manifest, recordings: Recordings) -> None:
    """Eight items, learnt by heart, are read back without a mistake."""
    known = tones.split("train")[:8]
    joined = join(dropout=0.0, width=32)
    settings = FitSettings(steps=90, lr=1e-2, evaluations=2, batches=BatchSettings(10.0, (1.0,)), masks=OFF)
    history = fit(*joined, known, known, settings, recordings=recordings)
    assert history.best == evaluate(joined[0], known, recordings)["cer"].value <= 0.05
    assert [one.value for one in predict(joined[0], known[:3], recordings)] == [row.text for row in known[:3]]
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
