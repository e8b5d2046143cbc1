"""The loop against a naive one; what is frozen stays; a resumed training equals an uninterrupted one bit for bit."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DataError, SettingsError, SourceError
from speechtransfer.evaluate import evaluate, predict
from speechtransfer.fit import FitSettings, History, MaskSettings, fit, forecast, make_optimizer, rate_factor
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.resume import Progressed, State, read_state, write_state
from speechtransfer.score import Estimate, Scores
from speechtransfer.text import Vocabulary
from speechtransfer.transfer import Plan, Rule, Transfer

fitting = import_module("speechtransfer.fit")  # the package's own name ``fit`` is the function
ALL = (Rule(r".*"),)
OFF = MaskSettings(freq_masks=0, time_masks=0)
#: Random in every way that training can be: dropout (of the tiny encoder), speeds, masks.
LIVELY = FitSettings(
    steps=8,
    lr=3e-3,
    evaluations=2,
    batches=BatchSettings(seconds=2.0),
    masks=MaskSettings(freq_width=5, time_width=5, time_ratio=0.3),
)
#: The same on every machine and in every loop.
PLAIN = replace(LIVELY, steps=4, evaluations=1, batches=BatchSettings(seconds=2.0, speeds=(1.0,)), masks=OFF)
Joined = tuple[Model, Plan]


@pytest.fixture
def join(tiny: Callable[..., Encoder], tones: Manifest) -> Callable[..., Joined]:
    """Makes model and plan, always from the same random weights."""

    def make(
        rules: tuple[Rule, ...] = ALL, encoder: Encoder | None = None, kind: type[Ctc] = Ctc, **sizes: Any
    ) -> Joined:
        objective = kind(
            Vocabulary.from_texts(row.text for row in tones.split("train")), dropout=sizes.get("dropout", 0.1)
        )
        source = encoder or tiny(**sizes)
        torch.manual_seed(5)
        return Transfer(rules).apply(source, objective)

    return make


@pytest.fixture
def train(tones: Manifest, recordings: Recordings) -> Callable[..., History]:
    """``fit`` on the tones."""

    def run(joined: Joined, settings: FitSettings, *place: Any, **options: Any) -> History:
        return fit(
            *joined, tones.split("train"), tones.split("dev"), settings, *place, recordings=recordings, **options
        )

    return run


def weights(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def without_seconds(history: History) -> tuple[Any, ...]:
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in history.rows]
    return rows, history.steps, history.best_step, history.best, history.audio_seconds, history.waste


@given(steps=st.integers(1, 400), warmup=st.floats(0, 0.99), decay=st.sampled_from(["cosine", "linear", "constant"]))
def test_the_rate_rises_to_its_peak_and_falls(steps: int, warmup: float, decay: str) -> None:
    factors = [rate_factor(step, steps, warmup, decay) for step in range(steps)]
    rising = max(1, round(warmup * steps))
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:rising] == pytest.approx([(step + 1) / rising for step in range(min(rising, steps))])
    falling = factors[rising:]
    assert falling == sorted(falling, reverse=True) and (not falling or falling[0] == 1)


def test_the_rate_has_its_closed_forms() -> None:
    # A warm-up of 20 steps of 100, then half a cosine, a line, or a level over 80.
    for after in range(80):
        angle = math.pi * after / 80
        assert rate_factor(20 + after, 100, 0.2, "cosine") == pytest.approx(math.cos(angle / 2) ** 2)
        assert rate_factor(20 + after, 100, 0.2, "linear") == pytest.approx((80 - after) / 80)
        assert rate_factor(20 + after, 100, 0.2, "constant") == 1
    assert rate_factor(60, 100, 0.2, "cosine") == pytest.approx(0.5)
    assert rate_factor(0, 100, 0.0, "linear") == 1


def test_the_optimiser_follows_the_plan(join: Callable[..., Joined]) -> None:
    rules = (
        Rule(r"encoder\..*norm.*", scale=0),
        Rule(r"encoder\..*", scale=0.1, after=3),
        Rule(r"objective\..*", scale=2),
    )
    model, plan = join(rules)
    optimizer = make_optimizer(model, plan, replace(PLAIN, lr=0.5, weight_decay=0.3))
    found = {id(value): group for group in optimizer.param_groups for value in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)
    for name, parameter in model.named_parameters():
        if "norm" in name and name.startswith("encoder."):
            assert id(parameter) not in found
            continue
        group = found.pop(id(parameter))
        assert group["peak"] == pytest.approx(0.05 if name.startswith("encoder.") else 1.0)
        assert group["weight_decay"] == (0.0 if parameter.ndim == 1 else 0.3)
    assert not found


def test_a_plan_that_freezes_everything_trains_nothing(
    join: Callable[..., Joined], train: Callable[..., History]
) -> None:
    with pytest.raises(SettingsError, match="freezes every parameter"):
        train(join((Rule(r".*", scale=0),)), PLAIN)


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
    train((model, plan), replace(LIVELY, weight_decay=0.5))
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


class Interrupted(Exception):
    """What takes a training down."""


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the forward pass number ``at`` (from 1) fail."""
    calls, forward = itertools.count(1), Model.forward

    def failing(self: Model, *arguments: Any) -> dict[str, Tensor]:
        if next(calls) == at:
            raise Interrupted
        return forward(self, *arguments)

    monkeypatch.setattr(Model, "forward", failing)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("interrupted", [(5,), (7, 2), (8,), (2,)])
def test_a_resumed_training_equals_an_uninterrupted_one(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: Any,
    interrupted: tuple[int, ...],
) -> None:
    """Over a thaw, an epoch's end, and checkpoints at evaluations (4, 8) and between them (3, 6)."""
    settings = replace(LIVELY, optimizer=optimizer, checkpoint_every=3)
    rules = (Rule(r"encoder\.layers\..*", scale=0.5, after=5), *ALL)
    whole = join(rules)
    expected = train(whole, settings, tmp_path / "whole")
    folder = tmp_path / "resumed"
    for at in interrupted:
        broken = join(rules)
        torch.manual_seed(1234 + at)
        with monkeypatch.context() as patch:
            interrupt(patch, at)
            with pytest.raises(Interrupted):
                train(broken, settings, folder, resume=True)
    again = join(rules)
    torch.manual_seed(99)
    found = train(again, settings, folder, resume=True)
    assert equal(weights(again[0]), weights(whole[0]))
    assert without_seconds(found) == without_seconds(expected)
    lines = [(tmp_path / name / "history.jsonl").read_text().splitlines() for name in ("whole", "resumed")]
    assert [len(rows) for rows in lines] == [2, 2]
    assert [path.name for path in (folder / "checkpoints").glob("step-*")] == ["step-8"]
    # And once more: a finished training is left as it is.
    third = join(rules)
    assert without_seconds(train(third, settings, folder, resume=True)) == without_seconds(expected)
    assert equal(weights(third[0]), weights(whole[0]))


def test_resume_starts_where_there_is_nothing_and_no_folder_is_no_checkpoint(
    join: Callable[..., Joined], train: Callable[..., History], tmp_path: Path
) -> None:
    runs = [join(), join(), join()]
    histories = [
        train(runs[0], LIVELY),
        train(runs[1], LIVELY, tmp_path / "a", resume=True),
        train(runs[2], LIVELY, tmp_path / "b"),
    ]
    assert equal(weights(runs[0][0]), weights(runs[1][0])) and equal(weights(runs[0][0]), weights(runs[2][0]))
    assert len({json.dumps(without_seconds(history)) for history in histories}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_new_training_never_resumes_from_an_older_one(
    join: Callable[..., Joined], train: Callable[..., History], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(join(), replace(PLAIN, seed=7), tmp_path)
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        with pytest.raises(Interrupted):
            train(join(), PLAIN, tmp_path)
    whole, again = join(), join()
    train(whole, PLAIN)
    train(again, PLAIN, tmp_path, resume=True)
    assert equal(weights(again[0]), weights(whole[0]))


def test_the_same_seed_is_the_same_training_and_another_is_not(
    join: Callable[..., Joined], train: Callable[..., History]
) -> None:
    runs = [join() for _ in range(3)]
    for joined, seed in zip(runs, (1, 1, 2), strict=True):
        train(joined, replace(LIVELY, steps=3, seed=seed))
    one, two, three = (weights(model) for model, _ in runs)
    assert equal(one, two) and not equal(one, three)


class Accuracy(Ctc):
    """More is better."""

    select = ("accuracy", "max")


@pytest.mark.parametrize(
    ("kind", "values", "best"),
    [(Ctc, [0.9, 0.3, 0.6, 0.3], 2), (Ctc, [0.2, 0.3, 0.4, 0.5], 1), (Accuracy, [0.1, 0.7, 0.8, 0.6], 3)],
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
    assert equal(weights(joined[0]), seen[best - 1]) and not equal(seen[0], seen[-1])
    assert (history.best_step, history.best) == (2 * best, values[best - 1])
    assert [row["step"] for row in history.rows] == [2, 4, 6, 8]
    assert [row["dev"][metric]["value"] for row in history.rows] == values


def test_patience_stops(
    join: Callable[..., Joined], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = iter([0.5, 0.6, 0.4, 0.4, 0.9, 0.1, 0.1, 0.1])
    monkeypatch.setattr(fitting, "evaluate", lambda *_: Scores({"cer": Estimate(next(values), 0.0, 1.0, 10)}))
    settings = replace(LIVELY, evaluations=8, patience=2)
    history = train(join(), settings, tmp_path)
    # 0.6 is one without a better score, 0.4 is better, an equal 0.4 is not, 0.9 is the second in a row.
    assert [row["step"] for row in history.rows] == [1, 2, 3, 4, 5] and history.best_step == 3 and history.steps == 8
    assert len(train(join(), settings, tmp_path, resume=True).rows) == 5


def test_two_half_batches_accumulate_to_a_whole_one(
    join: Callable[..., Joined], tones: Manifest, recordings: Recordings
) -> None:
    pair = Manifest((tones[0], tones[1]))  # "ab" and "ba": of one length
    models = []
    for seconds, accumulate in ((2.0, 1), (0.7, 2)):
        settings = replace(
            PLAIN, optimizer="sgd", lr=0.1, accumulate=accumulate, batches=BatchSettings(seconds, (1.0,))
        )
        joined = join(dropout=0.0)
        fit(*joined, pair, tones.split("dev"), settings, recordings=recordings)
        models.append(weights(joined[0]))
    assert all(torch.allclose(models[0][name], models[1][name], atol=1e-6) for name in models[0])


@pytest.mark.parametrize(("epochs", "accumulate"), [(1, 1), (2.5, 1), (2, 3), (0.01, 1)])
def test_epochs_become_steps(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tones: Manifest,
    recordings: Recordings,
    epochs: float,
    accumulate: int,
) -> None:
    settings = replace(PLAIN, epochs=epochs, accumulate=accumulate)
    batches = TrainingBatches(tones.split("train"), recordings, settings.batches, settings.seed).steps()
    history = train(join(), settings)
    assert history.steps == max(1, round(epochs * batches / accumulate)) == history.rows[-1]["step"]


@pytest.mark.parametrize(
    ("step", "scoring", "minutes", "expected"), [(2.0, 50.0, 1.0, 5), (2.0, 500.0, 1.0, 2), (9.9, 1.0, 0.5, 2)]
)
def test_minutes_become_steps_before_the_first(
    join: Callable[..., Joined],
    train: Callable[..., History],
    normed: type[Encoder],
    monkeypatch: pytest.MonkeyPatch,
    step: float,
    scoring: float,
    minutes: float,
    expected: int,
) -> None:
    """Timing teaches the model nothing: it ends as with that number of steps given."""
    timed, taken = fitting._Run.timed, []

    def scripted(self: Any) -> tuple[float, float]:
        taken.extend(timed(self))
        return step, scoring

    monkeypatch.setattr(fitting._Run, "timed", scripted)
    rules = (Rule(r"encoder\.mix\..*", after=1), *ALL)
    timed_model, stepped = (join(rules, encoder=normed()) for _ in range(2))
    history = train(timed_model, replace(LIVELY, minutes=minutes))
    assert history.steps == expected and all(seconds > 0 for seconds in taken) and len(taken) == 2
    train(stepped, replace(LIVELY, steps=expected))
    assert equal(weights(timed_model[0]), weights(stepped[0]))


def test_a_forecast_leaves_the_model_as_it_was(
    join: Callable[..., Joined], tones: Manifest, normed: type[Encoder]
) -> None:
    model, plan = join((Rule(r"encoder\..*", after=9), *ALL), encoder=normed())
    before = weights(model)
    cost = forecast(model, plan, tones.split("train"), tones.split("dev"), LIVELY)
    assert equal(weights(model), before)
    assert cost.steps == LIVELY.steps and cost.seconds > 0
    values = sum(parameter.numel() for parameter in model.parameters())
    assert cost.memory_mb == pytest.approx(4 * 5 * values / 1e6)  # weights, gradients, two moments, the best copy


class Broken(Ctc):
    """Its loss is not a number from the middle of the training on."""

    def loss(self, frames: Any, batch: Batch, progress: float) -> dict[str, Tensor]:
        return {
            name: value * (math.nan if progress >= 0.5 else 1.0)
            for name, value in super().loss(frames, batch, progress).items()
        }


def test_a_loss_that_is_no_number_names_its_recordings_and_loses_nothing(
    join: Callable[..., Joined], train: Callable[..., History], tones: Manifest, tmp_path: Path
) -> None:
    settings = replace(LIVELY, checkpoint_every=2)
    broken = join(kind=Broken)
    with pytest.raises(DataError, match="the loss is nan on .*check these recordings, or lower lr") as caught:
        train(broken, settings, tmp_path)
    assert any(row.id in str(caught.value) for row in tones.split("train"))
    assert all(value.isfinite().all() for value in broken[0].state_dict().values())
    whole, again = join(), join()
    train(whole, settings)
    train(again, settings, tmp_path, resume=True)
    assert equal(weights(again[0]), weights(whole[0]))


@pytest.mark.parametrize("empty", ["train", "dev"])
def test_an_empty_split_is_refused(join: Callable[..., Joined], tones: Manifest, empty: str) -> None:
    splits = {name: Manifest(()) if name == empty else tones.split(name) for name in ("train", "dev")}
    with pytest.raises(DataError, match=f"the {empty} split is empty"):
        fit(*join(), splits["train"], splits["dev"], PLAIN)


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5, 6])
def test_a_full_disk_leaves_the_last_checkpoint(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writes: int,
) -> None:
    """The disk fills at each of the files of the second checkpoint in turn."""
    settings = replace(LIVELY, steps=4, evaluations=2)
    synced, calls, first = os.fsync, itertools.count(1), 6  # five files and the history

    def full(handle: int) -> None:
        if next(calls) >= first + writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="cannot be written .No space left on device.") as caught:
            train(join(), settings, tmp_path)
    assert "Traceback" not in str(caught.value) and str(caught.value).count("\n") == 0
    last = json.loads((tmp_path / "checkpoints" / "last.json").read_text())
    assert last == ("step-2" if writes < 6 else "step-4")
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
    assert not [path for path in tmp_path.rglob(".*")]
    whole, again = join(), join()
    expected = train(whole, settings)
    assert without_seconds(train(again, settings, tmp_path, resume=True)) == without_seconds(expected)
    assert equal(weights(again[0]), weights(whole[0]))


@pytest.fixture
def checkpoint(join: Callable[..., Joined], tmp_path: Path) -> Path:
    """A folder with one checkpoint, at step 3."""
    model, plan = join()
    optimizer = make_optimizer(model, plan, PLAIN)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    write_state(tmp_path, State(Progressed(9, 3), [{"step": 2}], [0.5], weights(model)), model, optimizer)
    return tmp_path


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *((name, half) for name in ("model.safetensors", "best.safetensors", "optimizer.pt", "progress.json")),
        ("optimizer.pt", lambda _: b""),
        ("optimizer.pt", lambda _: b"garbage, no pickle"),
        ("model.safetensors", lambda _: b""),
        ("progress.json", lambda _: b'{"done": {}}'),
        ("progress.json", lambda _: b'{"done": {"step": 1, "leap": 2}, "rows": []}'),
        ("progress.json", lambda _: b"[]"),
        ("../last.json", lambda _: b"{"),
        ("../last.json", lambda _: b'"step-99"'),
        ("model.safetensors", None),
        ("optimizer.pt", None),
        ("progress.json", None),
    ],
)
def test_a_damaged_checkpoint_is_named(
    join: Callable[..., Joined],
    train: Callable[..., History],
    checkpoint: Path,
    file: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    path = checkpoint / "checkpoints" / "step-3" / file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match="checkpoints"):
        train(join(), PLAIN, checkpoint, resume=True)


def test_a_checkpoint_reads_back_and_belongs_to_its_model(join: Callable[..., Joined], checkpoint: Path) -> None:
    model, plan = join()
    optimizer = make_optimizer(model, plan, PLAIN)
    state = read_state(checkpoint, model, optimizer)
    assert (
        state is not None and state.done == Progressed(9, 3) and state.rows == [{"step": 2}] and state.losses == [0.5]
    )
    assert state.best is not None and equal(state.best, weights(model))
    assert all(moments["step"] == 1 for moments in optimizer.state.values())
    for other in (join(width=32), join(layers=2), join((Rule(r"encoder\..*", scale=0), *ALL))):
        with pytest.raises(SourceError, match=r"cannot be resumed .*Remove .*checkpoints to start again"):
            read_state(checkpoint, other[0], make_optimizer(*other, PLAIN))
    assert read_state(checkpoint / "elsewhere", model, optimizer) is None
    shutil.rmtree(checkpoint / "checkpoints")


def test_masks_begin_at_their_time_and_are_an_utterances_own(
    join: Callable[..., Joined], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, features = Model.forward, torch.arange(400.0).reshape(1, 20, 20)
    seen: list[tuple[float, bool]] = []
    drawn: dict[float, dict[str, Tensor]] = {}

    def spy(self: Model, batch: Batch, progress: float, augment: Any) -> dict[str, Tensor]:
        seen.append((progress, augment is not None))
        if augment is not None:
            count = len(batch.ids)
            masked = augment(features.expand(count, 20, 20), torch.full((count,), 20))
            drawn.setdefault(size, {}).update(zip(batch.ids, masked, strict=True))
        return forward(self, batch, progress, augment)

    monkeypatch.setattr(Model, "forward", spy)
    masks = replace(LIVELY.masks, after=0.5)
    for size in (2.0, 4.0):  # seconds of a batch: one epoch in batches of another make-up
        train(join(), replace(LIVELY, epochs=1, batches=BatchSettings(size), masks=replace(masks, after=0.0)))
    assert drawn[2.0].keys() == drawn[4.0].keys() and equal(drawn[2.0], drawn[4.0])
    assert len({tuple(value.flatten().tolist()) for value in drawn[2.0].values()}) > 5
    seen.clear()
    train(join(), replace(LIVELY, masks=masks))
    assert seen == [(step / 8, step >= 4) for step in range(8)]


def test_a_precision_of_one_training_is_not_that_of_the_next(
    join: Callable[..., Joined], train: Callable[..., History]
) -> None:
    runs = [join() for _ in range(3)]
    for joined, precision in zip(runs, ("no", "bf16", "no"), strict=True):
        train(joined, replace(PLAIN, precision=precision))
    one, two, three = (weights(model) for model, _ in runs)
    assert equal(one, three) and not equal(one, two)
    assert all(value.dtype in (torch.float32, torch.int64) for value in two.values())
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="precision=fp16"):
            train(join(), replace(PLAIN, precision="fp16"))


def test_tensorboard_gets_what_the_history_gets(
    join: Callable[..., Joined], train: Callable[..., History], tmp_path: Path
) -> None:
    train(join(), replace(PLAIN, tensorboard=True), tmp_path)
    events = list(tmp_path.rglob("events.out.tfevents.*"))
    assert events and b"dev/cer" in b"".join(path.read_bytes() for path in events)
    train(join(), PLAIN, tmp_path / "without")
    assert not list((tmp_path / "without").rglob("events*"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": math.nan}, "lr=nan"),
        ({"accumulate": 0}, "accumulate=0"),
        ({"evaluations": 0}, "evaluations=0"),
        ({"minutes": 0.0}, "minutes=0.0"),
        ({"epochs": -1.0}, "epochs=-1.0"),
        ({"warmup": 1.0}, "warmup=1.0"),
        ({"decay": "exponential"}, "decay='exponential' is none of cosine, linear, constant"),
        ({"optimizer": "adam"}, "optimizer='adam' is none of adamw, sgd"),
        ({"precision": "fp8"}, "precision='fp8' is none of auto"),
    ],
)
def test_settings_that_cannot_train_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        FitSettings(**values)


def test_it_learns_the_tones(join: Callable[..., Joined], tones: Manifest, recordings: Recordings) -> None:
    """Eight items, learnt by heart, are read back without a mistake."""
    known = tones.split("train")[:8]
    joined = join(dropout=0.0, width=32)
    settings = FitSettings(steps=150, lr=1e-2, evaluations=3, batches=BatchSettings(10.0, (1.0,)), masks=OFF)
    history = fit(*joined, known, known, settings, recordings=recordings)
    assert history.best == evaluate(joined[0], known, recordings)["cer"].value <= 0.05
    assert [one.value for one in predict(joined[0], known[:3], recordings)] == [row.text for row in known[:3]]
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
