"""The learning rate's closed forms, an optimiser that follows the plan, and settings that are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training import PLAIN, Joined

from speechtransfer.errors import SettingsError
from speechtransfer.fit import History
from speechtransfer.muon import MuonAdamW
from speechtransfer.schedule import FitSettings, make_optimizer, rate_factor
from speechtransfer.transfer import Rule


@given(steps=st.integers(1, 400), warmup=st.floats(0, 0.99), decay=st.sampled_from(["cosine", "linear", "constant"]))
def test_the_rate_rises_to_its_peak_and_falls(steps: int, warmup: float, decay: str) -> None:
    factors = [rate_factor(step, steps, warmup, decay) for step in range(steps)]
    rising = max(1, round(warmup * steps))
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:rising] == pytest.approx([(step + 1) / rising for step in range(min(rising, steps))])
    falling = factors[rising:]
    assert falling == sorted(falling, reverse=True)
    assert not falling or falling[0] == 1


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


def test_muon_steps_the_matrices_of_the_encoder_alone(join: Callable[..., Joined]) -> None:
    rules = (Rule(r"encoder\..*norm.*", scale=0), Rule(r"encoder\..*", scale=0.1), Rule(r"objective\..*"))
    model, plan = join(rules)
    optimizer = make_optimizer(model, plan, replace(PLAIN, optimizer="muon", lr=0.5, weight_decay=0.3))
    assert isinstance(optimizer, MuonAdamW)
    found = {id(value): group for group in optimizer.param_groups for value in group["params"]}
    learnt = {name: value for name, value in model.named_parameters() if id(value) in found}
    assert {name for name in learnt if found[id(learnt[name])]["muon"]} == {
        name for name, value in learnt.items() if name.startswith("encoder.") and value.ndim == 2
    }
    kernels = [name for name, value in learnt.items() if value.ndim == 3]
    heads = [name for name in learnt if name.startswith("objective.")]
    assert kernels
    assert heads
    for name, value in learnt.items():
        group = found[id(value)]
        assert group["peak"] == pytest.approx(0.05 if name.startswith("encoder.") else 0.5)
        assert group["weight_decay"] == (0.0 if value.ndim == 1 else 0.3)


def test_muon_without_a_matrix_to_step_is_refused(join: Callable[..., Joined]) -> None:
    model, plan = join((Rule(r"encoder\..*", scale=0), Rule(r"objective\..*")))
    with pytest.raises(SettingsError, match="no matrix of the encoder learns"):
        make_optimizer(model, plan, replace(PLAIN, optimizer="muon"))


def test_a_plan_that_freezes_everything_trains_nothing(
    join: Callable[..., Joined], train: Callable[..., History]
) -> None:
    with pytest.raises(SettingsError, match="freezes every parameter"):
        train(join((Rule(r".*", scale=0),)), PLAIN)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": math.nan}, "lr=nan"),
        ({"accumulate": 0}, "accumulate=0"),
        ({"evaluations": 0}, "evaluations=0"),
        ({"minutes": 0.0}, "minutes=0.0"),
        ({"epochs": -1.0}, "epochs=-1.0"),
        ({"warmup": 1.0}, "warmup=1.0"),
        ({"decay": "exponential"}, "decay='exponential' is none of cosine, linear, constant"),
        ({"optimizer": "adam"}, "optimizer='adam' is none of adamw, muon, sgd"),
        ({"precision": "fp8"}, "precision='fp8' is none of auto"),
    ],
)
def test_settings_that_cannot_train_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        FitSettings(**values)
